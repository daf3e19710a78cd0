"""A sector's stages as bars on a time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import colon_text
from apps.dashboard.charts import Gantt, GanttRow, Tick, gantt_bar
from apps.dashboard.labels import STAGES
from apps.sectors.states import JobState
from poolsite.wire.pipeline import SectorEvent, SectorState

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.sectors.models import JobEvent, Sector


FIRST_PROOF: Final = _("First proof")
"""The last row: from the sealed sector to the proof that makes it active."""
TICKS: Final = 4
"""Parts of the axis."""
DETOURS: Final = ("RETICKET", "RESEED", "LEASE_OVER")
"""Events that do not bring a sector forward."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that a stage took."""

    row: StrOrPromise
    start: datetime
    end: datetime
    tone: str
    is_wait: bool = False
    """Whether nobody worked on it: it waited for a host."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


ENDS: Final = (SectorEvent.TERMINATE, SectorEvent.REVERT_TERMINATE)


def sector_gantt(sector: Sector, events: Sequence[JobEvent], *, at: datetime) -> Gantt:
    """Draw the stages from the pledge to now, or until nothing more was to be done."""
    spans = list(_spans(sector, events, at=at))
    start = sector.created_at
    end = spans[-1].end if spans else at
    whole = max((end - start).total_seconds(), 1.0)
    bars: dict[str, list[Span]] = {}
    for span in spans:
        bars.setdefault(str(span.row), []).append(span)
    rows = tuple(_row(name, group, start=start, whole=whole) for name, group in bars.items())
    return Gantt(rows=rows, ticks=_ticks(start, end), now=None if _is_over(sector) else 100.0)


def _is_over(sector: Sector) -> bool:
    is_proven = sector.state == SectorState.PROVING and sector.active_since is not None
    return is_proven or sector.state in (SectorState.ABORTED, SectorState.TERMINATED)


def _spans(sector: Sector, events: Sequence[JobEvent], *, at: datetime) -> list[Span]:
    """Each stage ends with its event; the present one is open to now.

    Events have the clocks of several machines: one from before the last ends when that did.
    """
    spans, since = [], sector.created_at
    for event in events:
        # File removals and extensions are events too, but end no stage.
        if (not event.stage and not event.to_state) or event.event in ENDS:
            continue
        row = STAGES.get(event.stage, event.stage) or STAGES[sector.stage]
        end = max(event.at, since)
        if not event.ms:  # not told: hosts by Damocles' protocol tell 0
            spans.append(Span(row, since, end, _tone(event)))
        else:
            # By the host's own clock alone; it cannot have begun before the stage.
            run_start = max(end - timedelta(milliseconds=max(event.ms, 0)), since)
            spans.append(Span(row, since, run_start, _tone(event), is_wait=True))
            spans.append(Span(row, run_start, end, _tone(event)))
        since = end
    if sector.state in (SectorState.ABORTED, SectorState.TERMINATED):
        return spans
    at = max(at, since)  # the page's clock was taken before its rows were read
    if sector.state == SectorState.PROVING:
        if sector.active_since is not None:
            return [*spans, Span(FIRST_PROOF, since, max(sector.active_since, since), "ok")]
        return [*spans, Span(FIRST_PROOF, since, at, "run")]
    tone = "warn" if sector.paused_at is not None else "run"
    is_wait = sector.job.state == JobState.READY
    return [*spans, Span(STAGES[sector.stage], since, at, tone, is_wait=is_wait)]


def _tone(event: JobEvent) -> str:
    if event.is_error:
        return "bad"
    if event.event in DETOURS or event.event.startswith(("REVERT_", "FAIL_")):
        return "warn"
    return "idle" if event.event.startswith(("RETRY", "BACK_TO_", "RESTORE")) else "ok"


def _row(name: str, spans: Sequence[Span], *, start: datetime, whole: float) -> GanttRow:
    took = text = formatting.duration(sum(span.seconds for span in spans))
    waits = [span.seconds for span in spans if span.is_wait]
    if waits:
        text = gettext("{took}, of which {waited} waiting").format(
            took=took, waited=formatting.duration(sum(waits))
        )
    bars = tuple(
        gantt_bar(
            (span.start - start).total_seconds() / whole,
            (span.end - start).total_seconds() / whole,
            tone=" ".join((span.tone, "quiet")) if span.is_wait else span.tone,
        )
        for span in spans
        if span.seconds or not span.is_wait
    )
    return GanttRow(stage=name, took=took, text=colon_text(name, text), bars=bars)


def _ticks(start: datetime, end: datetime) -> tuple[Tick, ...]:
    anchors = {0: "start", TICKS: "end"}
    return tuple(
        Tick(
            at=100 * part / TICKS,
            label=f"{localtime(start + (end - start) * part / TICKS):%H:%M:%S}",
            anchor=anchors.get(part, "middle"),
        )
        for part in range(TICKS + 1)
    )
