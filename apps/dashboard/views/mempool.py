"""The message pool of the best node: who has messages waiting, and what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.views.decorators.http import require_safe

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import formatting
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.rows.cards import Verdict, plural
from apps.dashboard.rows.mempool import pending_row, sender_rows
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest, HttpResponse

    from apps.dashboard.pagination import Pager
    from apps.users.principals import Principal
    from poolsite.filecoin.message import SignedMessage

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
