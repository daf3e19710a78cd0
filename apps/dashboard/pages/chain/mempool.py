"""Messages that wait in a node's pool."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

from django.urls import path, reverse
from django.views.decorators.http import require_safe

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.chain.tipset import params_text
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.sessions import sign_in_required
from apps.messages.methods import receiver_kind
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from django.http import HttpRequest, HttpResponse

    from apps.dashboard.pagination import Pager
    from apps.users.principals import Principal
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


Row = TypeVar("Row")


@require_safe
@sign_in_required
def mempool(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The senders, those with most messages first."""
    data = PageData(viewer)
    pending, error = pending_now()
    shown, pager = cut(sender_rows(pending, names=data.names.wallets), request)
    return page_render(
        request,
        "chain/mempool.html",
        title="Message pool",
        section="chain",
        page_key="",
        data=data,
        verdict=verdict_of(pending, error=error, base_fee=base_fee_of(data)),
        senders=shown,
        pager=pager,
    )


@require_safe
@sign_in_required
def sender(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """One sender's messages in the order of their nonces."""
    data = PageData(viewer)
    pending, error = pending_now()
    mine = [signed for signed in pending if str(signed.message.from_) == address]
    shown, pager = cut(mine, request)
    base_fee = base_fee_of(data)
    miners = {miner.address for miner in data.miners if miner.address}
    return page_render(
        request,
        "chain/sender.html",
        title="Messages that wait",
        section="chain",
        page_key="",
        data=data,
        verdict=verdict_of(mine, error=error, base_fee=base_fee),
        address=address,
        name=data.names.wallets.get(address, ""),
        messages=[pending_row(signed, base_fee=base_fee, miners=miners) for signed in shown],
        pager=pager,
    )


def cut(rows: Sequence[Row], request: HttpRequest) -> tuple[list[Row], Pager]:
    """Return one page of what the node has now; the cursor counts rows, since the pool moves anyway."""
    after = cursor_read(request.GET.get("after", ""))
    at = int(after) if after.isdigit() else 0
    numbered = list(enumerate(rows[at : at + ROWS + 1], start=at + 1))
    shown, pager = page_of(numbered, cursor_of=lambda row: str(row[0]), query={}, is_first=at == 0)
    return [row for _, row in shown], pager


def base_fee_of(data: PageData) -> int:
    """Return the newest base fee; 0 before the first head."""
    return int(data.head.base_fee) if data.head is not None else 0


def pending_now() -> tuple[list[SignedMessage], str]:
    """Ask the best node; gives no message and the reason where none answers."""
    try:
        return chain_client().mpool_pending(), ""
    except (NodeUnavailable, NodeRefused) as error:
        return [], error.reason


def verdict_of(pending: list[SignedMessage], *, error: str, base_fee: int) -> Verdict:
    """Return in one sentence how full the pool is."""
    if error:
        return Verdict("No node tells its message pool.", error)
    senders = len({signed.message.from_ for signed in pending})
    low = sum(signed.message.gas_fee_cap < base_fee for signed in pending)
    rest = f"The base fee is {formatting.fee_text(base_fee)}"
    rest += f"; {plural(low, 'message')} cannot pay it." if low else "; all of them can pay it."
    if not pending:
        return Verdict("No message waits.", f"The base fee is {formatting.fee_text(base_fee)}.")
    return Verdict(f"{plural(len(pending), 'message')} of {plural(senders, 'sender')} wait.", rest)


urlpatterns: Final = [
    path("chain/mempool/", mempool, name="chain-mempool"),
    path("chain/mempool/<str:address>/", sender, name="chain-sender"),
]
