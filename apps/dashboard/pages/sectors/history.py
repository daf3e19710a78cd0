"""The rows of a sector's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.reasons import shown_text
from apps.dashboard.cards import Event
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import CHANGE_EVENTS, EVENTS, STAGES
from apps.dashboard.pages.sectors.change_rows import change_event
from poolsite.wire.pipeline import (
    BACK_TO,
    NEXT_STAGE,
    RUN_NEXT,
    RebuildState,
    SnapState,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.sectors.models import JobEvent, Sector


def pledged_row(sector: Sector) -> Event:
    """Return the first line of the timeline."""
    by = gettext("by {actor}, ").format(actor=sector.pledge.actor) if sector.pledge is not None else ""
    at = str(time_html(sector.created_at))
    return Event(
        at,
        "idle",
        "plus",
        gettext("Pledged"),
        gettext("{by}sector number {number} allocated").format(by=by, number=sector.number),
    )


def event_row(event: JobEvent) -> Event:
    """One step in the timeline."""
    stage = STAGES.get(event.stage, event.stage)
    at = str(time_html(event.at))
    if event.event in CHANGE_EVENTS:
        return change_event(event, at)
    if event.is_error:
        return Event(
            at,
            "bad",
            "bad",
            gettext("{stage} failed").format(stage=stage),
            shown_text(event.note),
            _took(event),
        )
    sub = " · ".join(part for part in (shown_text(event.note), event.actor) if part)
    if event.event.startswith(BACK_TO):
        stage = STAGES[(NEXT_STAGE | RUN_NEXT)[event.to_state].stage]
        return Event(at, "idle", "left", gettext("Set back to {stage}").format(stage=stage), sub)
    if event.event == "BEGIN":
        return Event(at, "idle", "plus", STARTED.get(event.to_state) or gettext("Started"), sub)
    say = EVENTS.get(event.event) or event.event.replace("_", " ").capitalize()
    tone = "ok" if event.event in STEP_EVENTS else "warn"
    if event.event == "RETRY":
        return Event(at, "run", "retry", say, sub)
    return Event(at, tone, tone, say, sub, _took(event))


STARTED: Final[dict[str, StrOrPromise]] = {
    SnapState.PIECES_ASSIGNED: _("Snap-up started"),
    RebuildState.LOST: _("Rebuild started"),
}


STEP_EVENTS: Final = frozenset(
    event
    for event in EVENTS
    if event not in ("RETICKET", "RESEED", "ABORT", "RETRY", "LEASE_OVER", "COMM_R_DIFFERS")
    and not event.startswith(("FAIL_", "REVERT_"))
)
"""Steps forward."""


def _took(event: JobEvent) -> str:
    return formatting.duration(event.ms / 1000) if event.ms is not None else ""
