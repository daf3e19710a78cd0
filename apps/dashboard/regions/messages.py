"""The list of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.messages import message_line
from apps.dashboard.regions.counts import messages_waiting
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.messages.selectors import messages_visible
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.users.principals import Principal


def list_verdict_of(viewer: Principal) -> Verdict:
    """Say in one sentence what is on its way."""
    waiting = messages_waiting(viewer)
    flight, queued = waiting.get(MessageState.FILLED, 0), waiting.get(MessageState.UNFILLED, 0)
    if not flight and not queued:
        return Verdict("Nothing waits.", "Every message that was pushed has its end.")
    return Verdict(
        f"{plural(flight + queued, 'message')} on the way:",
        f"{flight} signed, {queued} without a nonce yet.",
    )


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.viewer))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    for message in messages_visible(place.viewer).filter(pk__in=keys):
        yield fragment("messages/_row.html", message=message_line(message, place.scene.names))


REGIONS: Final[Regions] = {"message": (list_verdict,), "messages": (list_verdict,)}
