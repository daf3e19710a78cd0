"""Senders: the list with their lanes, and its CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.csv_export import csv_answer
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.senders.lane import LaneView, lane_view
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.messages.selectors import senders_of, senders_visible
from apps.messages.selectors.balances import balances_of
from apps.messages.selectors.foreign import is_used_elsewhere
from apps.messages.selectors.gas import LEARN_DAYS, spend_by_sender
from apps.messages.selectors.nonce_lanes import lanes_of, open_by_sender
from apps.messages.selectors.stuck import stuck_by_sender
from apps.messages.services.fees import shared_rules
from apps.messages.states import SenderState, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse

    from apps.dashboard.csv_export import Download
    from apps.messages.models import Sender
    from apps.messages.selectors.nonce_lanes import Lane
    from apps.users.principals import Principal


RUNWAY_SHORT_DAYS: Final = 3
RUNWAY_SHOWN_DAYS: Final = 3650
"""A longer runway is only said to be long."""


@dataclass(frozen=True, slots=True)
class SenderRow:
    """One sender in a list."""

    row: Sender
    label: StateLabel
    name: str
    why: str
    lane: Lane
    view: LaneView
    stuck: int
    quota: int
    balance: int | None
    runway: str
    runway_tone: str
    spent: int


def sender_label(sender: Sender, lane: Lane, *, stuck: int, at: datetime) -> StateLabel:
    """Return in words how a sender does; the worst comes first."""
    if sender.state == SenderState.FORBIDDEN:
        return StateLabel("idle", _("paused"), "pause")
    if sender.wait == Wait.NO_ACTOR:
        return StateLabel("bad", _("never funded"))
    if sender.gap_nonce is not None:
        return StateLabel("bad", _("nonce gap"))
    if stuck:
        return StateLabel("warn", say("{stuck} stuck").format(stuck=stuck))
    if is_used_elsewhere(sender, now=at):
        return StateLabel("warn", _("used elsewhere"))
    if lane.in_flight:
        return StateLabel("run", _("sending"), "messages")
    if lane.waiting:
        held = lane.waiting == lane.held
        return StateLabel("idle", _("held up")) if held else StateLabel("run", _("queued"), "messages")
    return StateLabel("ok", _("all landed"))


def sender_why(sender: Sender, lane: Lane, *, stuck: int, at: datetime) -> str:
    """Return what holds the sender up, in one sentence; empty if nothing does."""
    if sender.state == SenderState.FORBIDDEN:
        return "paused: nothing is pushed or signed until it is resumed"
    if sender.wait:
        return sender.error or str(Wait(sender.wait).label)
    if sender.gap_nonce is not None:
        return "an empty message will fill the gap within a few heads"
    if lane.stuck:
        return "a fee cap is below the base fee, or no node accepts the message"
    if stuck:
        return "see each stuck message for the reason"
    if is_used_elsewhere(sender, now=at):
        return "another program also sends from this address"
    if lane.held and lane.held == lane.waiting and not lane.in_flight:
        return "see each waiting message for the reason"
    return ""


def runway(balance: int | None, spent: tuple[int, int] | None) -> tuple[str, str]:
    """How long the balance lasts at what the last days cost, and how bad that is."""
    if balance is None or not spent or spent[0] <= 0:
        return formatting.NOTHING, ""
    days = balance * spent[1] // spent[0]
    if days > RUNWAY_SHOWN_DAYS:
        return "over 10 years", ""
    return f"{formatting.whole(days)} d", "bad" if days < 1 else "warn" if days < RUNWAY_SHORT_DAYS else ""


def sender_row(
    sender: Sender, *, lane: Lane, data: PageData, spent: tuple[int, int] | None, quota: int, stuck: int
) -> SenderRow:
    """Lay out one sender of `senders_visible`."""
    balance = balance_of(sender, data)
    lasts, lasts_tone = runway(balance, spent)
    return SenderRow(
        row=sender,
        label=sender_label(sender, lane, stuck=stuck, at=data.at),
        name=data.names.wallets.get(sender.address) or formatting.shortened(sender.address),
        why=sender_why(sender, lane, stuck=stuck, at=data.at),
        lane=lane,
        view=lane_view(lane),
        stuck=stuck,
        quota=sender.quota or quota,
        balance=balance,
        runway=lasts,
        runway_tone=lasts_tone,
        spent=spent[0] if spent else 0,
    )


def balance_of(sender: Sender, data: PageData) -> int | None:
    """Return the wallet's balance, which every head refreshes; else what the last selection saw."""
    wallet = next((one for one in data.wallets if one.address == sender.address), None)
    found = sender.balance if wallet is None or wallet.balance is None else wallet.balance
    return None if found is None else int(found)


TONES: Final = ("bad", "warn", "idle", "run", "ok")


def worst_first(rows: Sequence[SenderRow]) -> list[SenderRow]:
    """Order the list: what needs somebody stands on top."""
    return sorted(rows, key=lambda row: (TONES.index(row.label.tone), row.name, row.row.address))


SENDERS_MAX: Final = 200
"""Senders on the page; a search finds the others."""


def sender_rows(senders: Sequence[Sender], data: PageData) -> list[SenderRow]:
    """Lay out senders, those that need somebody first."""
    base_fee = 0 if data.head is None else int(data.head.base_fee)
    lanes = lanes_of(senders, viewer=data.viewer, open_counts=open_by_sender(data.viewer), base_fee=base_fee)
    spent = data.spend
    quota = shared_rules().quota
    stuck = stuck_by_sender(data.viewer, head=data.head, network=data.network)
    return worst_first(
        [
            sender_row(
                row,
                lane=lanes[row.address],
                data=data,
                spent=spent.get(row.address),
                quota=quota,
                stuck=stuck.get(row.address, 0),
            )
            for row in senders
        ]
    )


def list_verdict_of(rows: Sequence[SenderRow], data: PageData) -> Verdict:
    """Return in one sentence whether every address sends."""
    report = data.report_of(Topic.SENDERS)
    if not rows:
        return verdict_by(report, Verdict("", _("No messages pushed yet.")))
    rest = "" if report.found else "no nonce gaps, nothing stuck."
    return verdict_by(report, Verdict(f"{plural(len(rows), 'sender')}{',' if rest else '.'}", rest))


def list_senders(context: FragmentContext) -> list[Sender]:
    """Return the senders that the page shows."""
    return list(senders_visible(context.viewer)[:SENDERS_MAX])


def list_verdict(context: FragmentContext) -> Iterable[str]:
    rows = sender_rows(list_senders(context), context.data)
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(rows, context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed senders."""
    wanted = [row for row in list_senders(context) if str(row.pk) in set(keys)]
    yield from _rows(wanted, context)


def rows_of_messages(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the senders of the changed messages."""
    found = senders_of(keys)
    yield from _rows([row for row in list_senders(context) if row.address in found], context)


def all_rows(context: FragmentContext, _keys: list[str]) -> Iterable[str]:
    """Render every sender: a head moved the chain's nonces and balances."""
    yield from _rows(list_senders(context), context)


def _rows(senders: Sequence[Sender], context: FragmentContext) -> Iterable[str]:
    if not senders:
        return
    for row in sender_rows(senders, context.data):
        yield fragment("senders/_row.html", sender=row)


COLUMNS: Final = (
    "address",
    "state",
    "chain_nonce",
    "next_nonce",
    "in_flight",
    "waiting",
    "missing_nonces",
    "balance_atto",
    "gas_7_days_atto",
    "quota",
    "max_fee_atto",
    "gas_fee_cap_atto",
    "base_fee_gate_atto",
)
"""Of the list as CSV."""


@require_safe
@sign_in_required
def senders(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that need somebody first."""
    data = PageData(viewer)
    rows = sender_rows(list(senders_visible(viewer)[:SENDERS_MAX]), data)
    return page_render(
        request,
        "senders/list.html",
        title=_("Senders"),
        section="senders",
        page_key="senders",
        data=data,
        senders=rows,
        verdict=list_verdict_of(rows, data),
        csv=reverse("senders-csv"),
    )


@require_safe
@sign_in_required
def senders_csv(_request: HttpRequest, viewer: Principal) -> Download:
    """Return the list as CSV."""
    data = PageData(viewer)
    rows = list(senders_visible(viewer))
    lanes = lanes_of(rows, viewer=viewer, open_counts=open_by_sender(viewer), base_fee=0)
    spent = spend_by_sender(viewer, days=LEARN_DAYS, now=data.at)
    balances = balances_of(rows)
    cells = (
        (
            row.address,
            row.state,
            row.chain_nonce,
            row.next_nonce,
            lanes[row.address].in_flight,
            lanes[row.address].waiting,
            lanes[row.address].gaps,
            balances[row.address],
            spent.get(row.address, (0, 0))[0],
            row.quota,
            row.max_fee,
            row.gas_fee_cap,
            row.base_fee,
        )
        for row in rows
    )
    return csv_answer("senders.csv", COLUMNS, cells)


NAV: Final = NavItem("senders", _("Senders"), "pipeline", place=(1, 10))
urlpatterns: Final = [
    path("senders/", senders, name="senders"),
    path("senders.csv", senders_csv, name="senders-csv"),
]
LIVE: Final = {
    "senders": LivePage(
        dict.fromkeys(("message", "messages", "sender", "head"), (list_verdict,)),
        rows={"sender": rows, "message": rows_of_messages, "messages": all_rows, "head": all_rows},
        findings=list_verdict,
    )
}
