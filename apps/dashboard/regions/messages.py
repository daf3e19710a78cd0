"""The list of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.messages import message_line
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import verdict_by
from apps.messages.selectors import messages_visible
from apps.messages.selectors.stuck import stuck_marked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.regions.scene import Scene


def list_verdict_of(scene: Scene) -> Verdict:
    """Say in one sentence what is on its way."""
    waiting, report = scene.messages_waiting, scene.report_of(Topic.MESSAGES)
    if not waiting.signed and not waiting.queued:
        landed = "" if report.found else "All pushed messages have landed or failed."
        return verdict_by(report, Verdict("No messages pending.", landed))
    facts = Verdict(
        f"{plural(waiting.signed + waiting.queued, 'message')} on the way:",
        f"{waiting.signed} signed, {waiting.queued} without a nonce yet.",
    )
    return verdict_by(report, facts)


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    scene = place.scene
    changed = messages_visible(place.viewer).filter(pk__in=keys)
    for message in stuck_marked(changed, head=scene.head, network=scene.network):
        yield fragment("messages/_row.html", message=message_line(message, place.scene.names))


REGIONS: Final[Regions] = {
    "message": (list_verdict,),
    "messages": (list_verdict,),
    "head": (list_verdict,),
}
