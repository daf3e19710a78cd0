"""Senders: the list with their lanes, and one with its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from apps.checks.object_reports import report_of_sender
from apps.checks.results import Topic
from apps.core import formatting
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.todo import ObjectFindings, found_of, verdict_by
from apps.dashboard.rows.actions import Action
from apps.dashboard.rows.cards import Fact, Verdict, plural
from apps.dashboard.rows.senders import SenderRow, sender_row, worst_first
from apps.messages.errors import SenderNotFound
from apps.messages.models import Message, Sender
from apps.messages.selectors import sender_get, sender_may_set, senders_visible
from apps.messages.selectors.gas import LEARN_DAYS
from apps.messages.selectors.nonce_lanes import lanes_of, open_by_sender
from apps.messages.selectors.stuck import stuck_by_sender
from apps.messages.services.fees import shared_rules
from apps.messages.states import SenderState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.dashboard.page_data import PageData

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
        return verdict_by(report, Verdict("", "No message was pushed yet."))
    rest = "" if report.found else "no nonce gaps and nothing is stuck."
    return verdict_by(report, Verdict(f"{plural(len(rows), 'sender')}{',' if rest else '.'}", rest))


def list_senders(context: FragmentContext) -> list[Sender]:
    """The senders that the page shows."""
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
    found = set(Message.objects.filter(pk__in=keys).values_list("from_addr", flat=True))
    yield from _rows([row for row in list_senders(context) if row.address in found], context)


def all_rows(context: FragmentContext, _keys: list[str]) -> Iterable[str]:
    """Render every sender: a head moved the chain's nonces and balances."""
    yield from _rows(list_senders(context), context)


def _rows(senders: Sequence[Sender], context: FragmentContext) -> Iterable[str]:
    if not senders:
        return
    for row in sender_rows(senders, context.data):
        yield fragment("senders/_row.html", sender=row)


LIST_FRAGMENTS: Final[FragmentsByKind] = {
    "message": (list_verdict,),
    "messages": (list_verdict,),
    "sender": (list_verdict,),
    "head": (list_verdict,),
}


@dataclass(frozen=True, slots=True)
class SenderDetail:
    """The whole of one sender."""

    row: SenderRow
    found: ObjectFindings
    actions: tuple[Action, ...]
    facts: tuple[Fact, ...]


def sender_detail(sender: Sender, data: PageData) -> SenderDetail:
    """Lay out the whole of one sender."""
    [row] = sender_rows([sender], data)
    found = found_of(report_of_sender(data, sender, stuck=row.stuck), data)
    return SenderDetail(row, found, sender_actions(sender, data), tuple(sender_facts(sender, row)))


def sender_actions(sender: Sender, data: PageData) -> tuple[Action, ...]:
    """What a person can do about a sender."""
    if not (data.viewer.may("sign") and sender_may_set(data.viewer, sender.address)):
        return ()
    if sender.state == SenderState.FORBIDDEN:
        address = reverse("sender-act", args=[sender.address, "resume"])
        return (Action("resume", "Resume", address, icon="run", kind="primary"),)
    return (Action("pause", "Pause", reverse("sender-act", args=[sender.address, "pause"]), icon="pause"),)


def sender_facts(sender: Sender, row: SenderRow) -> Iterable[Fact]:
    """What is known of it."""
    yield Fact("Address", sender.address, mono=True)
    yield Fact("Balance", f"{row.balance} FIL")
    yield Fact("Runway", f"{row.runway}, at what the last {LEARN_DAYS} days cost")
    yield Fact(f"Gas of {LEARN_DAYS} days", f"{row.spent} FIL")
    yield Fact("In flight", f"{row.flying} of {row.quota}")
    yield Fact("Waiting", row.waiting)
    yield Fact("Next nonce", row.nonce)
    yield Fact("Chain wants", formatting.whole(sender.chain_nonce))
    if sender.gap_nonce is not None:
        yield Fact("Missing nonce", formatting.whole(sender.gap_nonce))
    if sender.foreign_at is not None:
        yield Fact("Used elsewhere", f"{sender.foreign_cid or 'seen in a node pool'}", mono=True)


def detail_fragment(context: FragmentContext) -> Iterable[str]:
    """The head and the facts of one sender's page."""
    try:
        row = sender_get(context.viewer, context.key)
    except SenderNotFound:
        return
    detail = sender_detail(row, context.data)
    yield fragment("senders/_head.html", **head_context(detail))
    yield fragment("messages/_facts.html", facts=detail.facts, title="Status", key="sender-facts")


def head_context(detail: SenderDetail) -> dict[str, Any]:
    """What the head of the page needs."""
    return {"sender": detail.row, "found": detail.found, "actions": detail.actions}


FRAGMENTS: Final[FragmentsByKind] = {
    "message": (detail_fragment,),
    "messages": (detail_fragment,),
    "sender": (detail_fragment,),
    "head": (detail_fragment,),
}
