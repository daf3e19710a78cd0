"""Wallets as rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.languages import clauses_text, list_text
from apps.dashboard.page_data import PageData
from apps.messages.selectors.messages import messages_open
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.wallets.models import Wallet


@dataclass(frozen=True, slots=True)
class WalletRow:
    """One address in a list."""

    row: Wallet
    key: str
    name: str
    address: str
    short: str
    used: str
    kind: str
    balance: str
    nonce: str
    waiting: str
    tenant: str
    tone: str
    signer_tone: str
    signer_label: str
    policy_href: str
    """Page of its signer's policy; empty for a signer of somebody else's."""
    name_href: str
    """Where it is named; empty for whoever may not."""


def uses_of(address: str, data: PageData) -> str:
    """Return what the miners use an address for: `owner, worker of f01001, f01002`."""
    uses: dict[tuple[str, ...], list[str]] = {}
    for miner in data.miners:
        roles = [role for role, held in (("owner", miner.owner), ("worker", miner.worker)) if held == address]
        roles += ["control"] if address in miner.control else []
        if roles:
            uses.setdefault(tuple(roles), []).append(miner.address or gettext("new miner"))
    return (
        clauses_text(
            gettext("{roles} of {miner}").format(roles=list_text(roles), miner=list_text(miners))
            for roles, miners in uses.items()
        )
        or formatting.NOTHING
    )


def wallet_row(wallet: Wallet, *, data: PageData, waiting: int | None = None) -> WalletRow:
    """Lay out one wallet of `wallets_visible`."""
    own = data.viewer.is_operator or wallet.tenant_id == data.viewer.own_id
    tone, word = (
        ("ok", gettext("signer online")) if wallet.is_served(data.at) else ("idle", gettext("signer offline"))
    )
    if wallet.address in data.addresses_away:
        tone = "bad"
    return WalletRow(
        row=wallet,
        key=str(wallet.pk),
        name=wallet.shown_label or formatting.shortened(wallet.address),
        address=wallet.address,
        short=formatting.shortened(wallet.address),
        used=uses_of(wallet.address, data),
        kind=wallet.key_type,
        balance=formatting.fil(wallet.balance),
        nonce=formatting.whole(wallet.nonce),
        waiting=formatting.whole(waiting),
        tenant=wallet.tenant.name,
        tone=tone,
        signer_tone=tone,
        signer_label=word,
        policy_href=reverse("policy", args=[wallet.address]) if own else "",
        name_href=reverse("wallet-name", args=[wallet.address]) if own and data.viewer.may("write") else "",
    )


def messages_by_sender(viewer: Principal) -> dict[str, int]:
    """Count open messages by sender."""
    rows = messages_open(viewer).select_related(None).order_by()
    return dict(rows.values_list("from_addr").annotate(Count("pk")))


def wallet_rows(wallets: Iterable[Wallet], data: PageData) -> list[WalletRow]:
    """Lay out wallets."""
    waiting = messages_by_sender(data.viewer)
    return [wallet_row(wallet, data=data, waiting=waiting.get(wallet.address, 0)) for wallet in wallets]
