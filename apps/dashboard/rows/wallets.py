"""A wallet as the pages show it: an address of which a connected signer holds the key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.messages.methods import method_text
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from apps.dashboard.page_data import PageData
    from apps.users.principals import Principal
    from apps.wallets.models import SignRecord, Wallet


@dataclass(frozen=True, slots=True)
class WalletRow:
    """One address in a list."""

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


def wallet_choice(wallet: Wallet, *, viewer: Principal) -> str:
    """A wallet in a list to choose from: `worker f3wd…mlia, 50.0000 FIL`; an operator sees whose it is."""
    named = f"{wallet.label} {formatting.shortened(wallet.address)}".strip()
    whose = f", {wallet.tenant.name}" if viewer.is_operator else ""
    return f"{named}, {formatting.fil(wallet.balance)} FIL{whose}"


def uses_of(address: str, data: PageData) -> str:
    """What the miners use an address for: `owner, worker of f01001`."""
    uses = []
    for miner in data.miners:
        roles = [role for role, held in (("owner", miner.owner), ("worker", miner.worker)) if held == address]
        roles += ["control"] if address in miner.control else []
        if roles:
            uses.append(f"{', '.join(roles)} of {miner.address or 'new miner'}")
    return "; ".join(uses) or formatting.NOTHING


def wallet_row(wallet: Wallet, *, data: PageData, waiting: int | None = None) -> WalletRow:
    """Lay out one wallet of `wallets_visible`."""
    own = data.viewer.is_operator or wallet.tenant_id == data.viewer.own_id
    tone, word = ("ok", "signer here") if wallet.is_served(data.at) else ("bad", "signer away")
    return WalletRow(
        key=str(wallet.pk),
        name=wallet.label or formatting.shortened(wallet.address),
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


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One answer of a signer."""

    at: str
    key: str
    what: str
    by: str
    took: str
    tone: str
    word: str
    rule: str
    """Rule of the signer's policy that allowed it, or why it was refused."""


SIGNED: Final = re.compile(r"message: method (\d+) to (f\w+)")
"""How a record names a message whose method has no name in its own room."""


def what_text(what: str, data: PageData) -> str:
    """What was signed, with the method's name where the receiver tells it."""
    found = SIGNED.fullmatch(what)
    if found is None:
        return what
    method, to = int(found[1]), found[2]
    try:
        name = method_text(to, method, kind="", miners=data.names.miners)
    except BadAddress:  # older records end after 60 characters
        return f"{what}…"
    return f"{name} to {data.names.miners.get(to) or formatting.shortened(to)}"


def record_row(record: SignRecord, *, data: PageData) -> RecordRow:
    """Lay out one sign record."""
    return RecordRow(
        at=str(time_html(record.at)),
        key=data.names.wallets.get(record.address) or formatting.shortened(record.address),
        what=what_text(record.what, data),
        by=record.asked_by,
        took=formatting.duration(record.ms / 1000 if record.ms is not None else None),
        tone="bad" if record.error else "ok",
        word="refused" if record.error else "signed",
        rule=record.error or record.rule,
    )
