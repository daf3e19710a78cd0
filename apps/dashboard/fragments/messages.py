"""The list of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.todo import verdict_by
from apps.dashboard.rows.cards import Verdict, plural
from apps.dashboard.rows.messages import message_row
from apps.messages.selectors import messages_visible
from apps.messages.selectors.stuck import stuck_marked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence what is on its way."""
    waiting, report = data.messages_waiting, data.report_of(Topic.MESSAGES)
    if not waiting.signed and not waiting.queued:
        landed = "" if report.found else "All pushed messages have landed or failed."
        return verdict_by(report, Verdict("No messages pending.", landed))
    facts = Verdict(
        f"{plural(waiting.signed + waiting.queued, 'message')} on the way:",
        f"{waiting.signed} signed, {waiting.queued} without a nonce yet.",
    )
    return verdict_by(report, facts)


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    data = context.data
    changed = messages_visible(context.viewer).filter(pk__in=keys)
    for message in stuck_marked(changed, head=data.head, network=data.network):
        yield fragment("messages/_row.html", message=message_row(message, context.data.names))


FRAGMENTS: Final[FragmentsByKind] = {
    "message": (list_verdict,),
    "messages": (list_verdict,),
    "head": (list_verdict,),
}
