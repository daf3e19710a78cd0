"""Keeping how much DataCap our addresses have left as clients of FIL+."""

from __future__ import annotations

from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json
from apps.wallets.models import Wallet

MOST = (1 << 63) - 1
"""What the column holds."""


def data_caps_refresh(*, client: ChainClient, key: str) -> int:
    """Read the DataCap of the addresses that the chain knows; returns of how many it changed.

    Source: lotus node/impl/full/state.go StateVerifiedClientStatus, null where there is none.
    Raises NodeUnavailable.
    """
    wallets = list(Wallet.objects.exclude(actor_id=None).order_by("pk"))
    calls = [("StateVerifiedClientStatus", [f"f0{one.actor_id}", key_to_json(key)]) for one in wallets]
    found = [
        (wallet, None if answer is None else min(int(answer), MOST))
        for wallet, answer in zip(wallets, client.call_many(calls), strict=True)
        if not isinstance(answer, NodeRefused)
    ]
    changed = [(wallet, size) for wallet, size in found if size != wallet.data_cap]
    with transaction.atomic():
        for wallet, size in changed:
            Wallet.objects.filter(pk=wallet.pk, actor_id=wallet.actor_id).update(data_cap=size)
    return len(changed)
