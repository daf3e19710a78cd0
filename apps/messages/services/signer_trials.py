"""Asking the signer of a message's sender what its policy would decide; nothing is signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.messages.rules.methods import method_text
from apps.wallets.services.policies import signer_refusal_find
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.message import Message as ChainMessage

if TYPE_CHECKING:
    from apps.messages.rules.push_items import PushItem
    from apps.messages.services.dry_run import DryRun
    from apps.users.rules.principals import Principal


def item_refusal_find(item: PushItem, *, run: DryRun, by: Principal, method: str = "") -> str:
    """Return why the sender's signer would not sign a message after its dry run; empty if it would."""
    sender, to = str(item.from_), str(item.to)
    message = ChainMessage(
        to=address_parse(to),
        from_=address_parse(sender),
        value=AttoFil(item.value),
        gas_limit=run.gas_limit,
        gas_fee_cap=AttoFil(run.gas_fee_cap),
        gas_premium=AttoFil(run.gas_premium),
        method=item.method,
        params=item.params,
    )
    name = method or method_text(to, item.method, kind=item.kind, miners=())
    return signer_refusal_find(by, address=sender, message=message, method=name)
