"""What a sector's page says and offers about its termination or extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import colon_text, sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action, Event
from apps.dashboard.labels import CHANGE_EVENTS, CHANGES
from poolsite.wire.pipeline.changes import OPEN_CHANGES, QUEUED, ChangeKind, change_state

if TYPE_CHECKING:
    from apps.sectors.models import JobEvent, Sector, SectorChange

DONE_CHANGES: Final = frozenset(
    change_state(kind, word) for kind in ChangeKind for word in ("LANDED", "CANCELLED")
)
"""Ends that need no word: the sector itself, or the timeline, shows them."""


def change_text(change: SectorChange | None) -> str:
    """Return where a sector's newest termination or extension is; empty for one that has been done."""
    if change is None or change.state in DONE_CHANGES:
        return ""
    word = CHANGES[change.state]
    if change.state in OPEN_CHANGES:
        end = (
            ""
            if change.expiration is None
            else gettext(", to epoch {expiration}").format(expiration=formatting.whole(change.expiration))
        )
        return _sentence(f"{word[:1].upper()}{word[1:]}{end}", change)
    code = (
        "" if not change.exit_code else gettext(" (exit code {exit_code})").format(exit_code=change.exit_code)
    )
    return _sentence(f"{word[:1].upper()}{word[1:]}{code}", change)


def _sentence(text: str, change: SectorChange) -> str:
    """Return a sentence with what went wrong."""
    why = shown_text(change.error).rstrip(".")
    return sentence_text(colon_text(text, why) if why else text)


def change_actions(sector: Sector, change: SectorChange | None) -> tuple[Action, ...]:
    """Return what a person can do about how long a proving sector lives."""
    if change is not None and change.state in OPEN_CHANGES:
        if change.state not in QUEUED:
            return ()
        is_end = change.kind == ChangeKind.TERMINATE
        label = gettext("Cancel termination") if is_end else gettext("Cancel extension")
        href = reverse("sector-change-cancel", args=[change.uuid])
        return (Action("change-cancel", label, href, icon="close"),)
    query = f"?id={sector.uuid}"
    extend = reverse("sectors-change", args=["extend"]) + query
    end = reverse("sectors-change", args=["terminate"]) + query
    return (
        Action("extend", _("Extend…"), extend, opens_page=True),
        Action("terminate", _("Terminate…"), end, icon="close", kind="danger", opens_page=True),
    )


def change_event(event: JobEvent, at: str) -> Event:
    """One step of it in the timeline."""
    tone = "bad" if event.is_error else "warn" if event.event.endswith(("_REVERT", "_REQUEUE")) else "ok"
    sub = " · ".join(part for part in (shown_text(event.note), event.actor) if part)
    return Event(at, tone, tone, CHANGE_EVENTS[event.event], sub)
