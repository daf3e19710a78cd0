"""The nodes' message pool as its page shows it: senders, and one sender's messages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.rows.chain import params_text
from apps.messages.methods import receiver_kind
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from poolsite.filecoin.message import SignedMessage


@dataclass(frozen=True, slots=True)
class SenderRow:
    """One sender with what it has in the pool."""

    address: str
    name: str
    """Ours by this name; empty for a stranger's."""
    href: str
    count: str
    nonces: str
    gap: str
    """What is missing between the nonces, in words."""
    premium: str
    most: str
    """Most FIL that all its messages together may cost in gas."""


@dataclass(frozen=True, slots=True)
class PendingRow:
    """One message that waits."""

    nonce: str
    cid: str
    to: str
    method: str
    params: str
    value: str
    cap: str
    premium: str
    limit: str
    tone: str
    word: str


def sender_rows(pending: Iterable[SignedMessage], *, names: Mapping[str, str]) -> list[SenderRow]:
    """Lay out the senders, those with most messages first; `pending` is in order of sender and nonce."""
    groups = [
        (address, list(group)) for address, group in groupby(pending, key=lambda one: str(one.message.from_))
    ]
    groups.sort(key=lambda group: (-len(group[1]), group[0]))
    return [sender_row(address, group, name=names.get(address, "")) for address, group in groups]


def sender_row(address: str, group: list[SignedMessage], *, name: str) -> SenderRow:
    """Lay out one sender."""
    nonces = sorted({signed.message.nonce for signed in group})
    missing = nonces[-1] - nonces[0] + 1 - len(nonces)
    span = str(nonces[0]) if len(nonces) == 1 else f"{nonces[0]} to {nonces[-1]}"
    premiums = [signed.message.gas_premium for signed in group]
    return SenderRow(
        address=address,
        name=name,
        href=reverse("chain-sender", args=[address]),
        count=formatting.whole(len(group)),
        nonces=span,
        gap=f"{formatting.whole(missing)} missing between them" if missing else "",
        premium=formatting.fee_text(min(premiums)),
        most=formatting.fil(sum(one.message.gas_limit * one.message.gas_fee_cap for one in group)),
    )


def pending_row(signed: SignedMessage, *, base_fee: int, miners: Collection[str]) -> PendingRow:
    """Lay out one message; what the fee cap means is told against the newest base fee."""
    message = signed.message
    try:
        kind = receiver_kind(str(message.to), kind="", miners=miners)
    except BadAddress:
        kind = ""
    pays = message.gas_fee_cap >= base_fee
    return PendingRow(
        nonce=formatting.whole(message.nonce),
        cid=str(signed.cid),
        to=str(message.to),
        method=method_name(kind, message.method),
        params=params_text(kind, message.method, message.params),
        value=formatting.fil(message.value),
        cap=formatting.fee_text(message.gas_fee_cap),
        premium=formatting.fee_text(message.gas_premium),
        limit=formatting.whole(message.gas_limit),
        tone="idle" if pays else "warn",
        word="waits for a block" if pays else "cap is under the base fee",
    )
