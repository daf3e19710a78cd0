"""The status page laid out: components, incidents, announcements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.checks.report.status_page import StatusPage, component_names, incident_text, percent_up
from apps.checks.selectors.components import DAYS_SHOWN, ComponentRecord, Seconds
from apps.checks.states import Condition
from apps.core.formatting import duration, plural
from apps.core.languages import clauses_text, colon_text, list_text
from apps.dashboard.cards import Verdict
from apps.dashboard.labels import StateLabel

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.checks.models import ComponentIncident, Maintenance

HEIGHT_PX: Final = 26.0
LEAST_PX: Final = 9.0
"""What lasted a minute of a day is seen, too, with its mark."""
SHARE: Final = 0.72
"""Part of its place that a bar fills."""
TONES: Final = {
    Condition.DOWN: "bad",
    Condition.UNKNOWN: "idle",
    Condition.DEGRADED: "warn",
    Condition.UP: "ok",
}
MARKS: Final = {Condition.DOWN: "×", Condition.UNKNOWN: "?", Condition.DEGRADED: "!"}


@dataclass(frozen=True, slots=True)
class BarPart:
    """A part of a day's bar, in px from above."""

    y: float
    h: float
    tone: str


@dataclass(frozen=True, slots=True)
class DayBar:
    """One day: x, w and mid in percent of the width; without a part there is no record of it."""

    x: float
    w: float
    mid: float
    parts: tuple[BarPart, ...]
    mark: str
    title: str
    """Empty of a day that was up all the time."""


@dataclass(frozen=True, slots=True)
class ImpairedDay:
    """A day on which a component was not up all the time, for the table."""

    day: date
    component: str
    counted: Seconds


def day_bars(record: ComponentRecord, *, now: datetime) -> tuple[DayBar, ...]:
    """Return the bars of the days up to today."""
    first, place = now.date() - timedelta(days=DAYS_SHOWN - 1), 100 / DAYS_SHOWN
    days = [first + timedelta(days=index) for index in range(DAYS_SHOWN)]
    return tuple(_bar(day, record.days.get(day, Seconds()), x=place * at) for at, day in enumerate(days))


def _bar(day: date, counted: Seconds, *, x: float) -> DayBar:
    worst, width = counted.worst, 100 / DAYS_SHOWN * SHARE
    return DayBar(
        x=round(x, 2),
        w=round(width, 2),
        mid=round(x + width / 2, 2),
        parts=tuple(_parts(counted)),
        mark="" if worst is None else MARKS.get(worst, ""),
        title="" if worst in (None, Condition.UP) else colon_text(day.isoformat(), seconds_text(counted)),
    )


def _parts(counted: Seconds) -> Iterator[BarPart]:
    """Yield the parts from below; each that is there is seen."""
    if not counted.recorded:
        return
    spans = {
        Condition.DOWN: counted.down,
        Condition.UNKNOWN: counted.unknown,
        Condition.DEGRADED: counted.degraded,
    }
    bottom = HEIGHT_PX
    for condition, seconds in spans.items():
        if seconds:
            height = min(max(HEIGHT_PX * seconds / counted.recorded, LEAST_PX), bottom)
            bottom -= height
            yield BarPart(round(bottom, 1), round(height, 1), TONES[condition])
    if counted.up and bottom > 0:
        yield BarPart(0, round(bottom, 1), TONES[Condition.UP])


def seconds_text(counted: Seconds) -> str:
    """Return how long a component was not up, and how."""
    texts = (
        (counted.down, gettext("down {time}")),
        (counted.degraded, gettext("degraded {time}")),
        (counted.unknown, gettext("unknown {time}")),
        (counted.announced, gettext("announced {time}")),
    )
    return list_text(text.format(time=duration(seconds)) for seconds, text in texts if seconds)


def impaired_days(records: tuple[ComponentRecord, ...]) -> list[ImpairedDay]:
    """Return the days on which a component was not up all the time, the newest first."""
    found = [
        ImpairedDay(day, str(record.component.label), counted)
        for record in records
        for day, counted in record.days.items()
        if counted.worst not in (None, Condition.UP)
    ]
    return sorted(found, key=lambda one: one.day, reverse=True)


LABELS: Final = {
    Condition.UP: StateLabel("ok", _("up")),
    Condition.DEGRADED: StateLabel("warn", _("degraded")),
    Condition.UNKNOWN: StateLabel("idle", _("unknown"), "info"),
    Condition.DOWN: StateLabel("bad", _("down")),
}


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """One component."""

    key: str
    name: StrOrPromise
    word: StateLabel
    since: datetime | None
    percent: str
    bars: tuple[DayBar, ...]
    summary: str
    """What the bars say, for who does not see them."""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident."""

    key: str
    component: str
    word: StateLabel
    text: StrOrPromise
    note: str
    noted_at: datetime | None
    since: datetime
    ended_at: datetime | None
    lasted: str


@dataclass(frozen=True, slots=True)
class MaintenanceRow:
    """One announcement."""

    key: str
    word: StateLabel
    text: str
    components: str
    starts_at: datetime
    ends_at: datetime
    end_label: StrOrPromise
    """What the operator can do with it; empty once it is over."""


def component_row(record: ComponentRecord, *, now: datetime) -> ComponentRow:
    """Lay out a component."""
    percent, total = percent_up(record.total), record.total
    summary = gettext("no record yet")
    if percent is not None:
        impaired = seconds_text(total)
        days = plural(len(record.days), "day")
        summary = gettext("{days} on record, all of it up").format(days=days)
        if impaired:
            summary = gettext("{days} on record: {impaired}").format(days=days, impaired=impaired)
    return ComponentRow(
        key=record.component.lower(),
        name=record.component.label,
        word=LABELS[record.condition],
        since=record.since,
        percent="–" if percent is None else f"{percent:.2f} %" if percent < 100 else "100 %",
        bars=day_bars(record, now=now),
        summary=summary,
    )


def incident_row(row: ComponentIncident, *, now: datetime) -> IncidentRow:
    """Lay out an incident."""
    is_open = row.ended_at is None
    return IncidentRow(
        key=str(row.uuid),
        component=row.get_component_display(),
        word=LABELS[Condition(row.condition)] if is_open else StateLabel("ok", _("ended")),
        text=incident_text(row),
        note=row.note,
        noted_at=row.noted_at,
        since=row.since,
        ended_at=row.ended_at,
        lasted=duration(((row.ended_at or now) - row.since).total_seconds()),
    )


def maintenance_row(row: Maintenance, *, now: datetime) -> MaintenanceRow:
    """Lay out an announcement."""
    word, end_label = StateLabel("idle", _("ended"), "ok"), ""
    if row.starts_at > now:
        word, end_label = StateLabel("idle", _("announced")), gettext("Withdraw")
    elif row.ends_at > now:
        word, end_label = StateLabel("run", _("in progress")), gettext("End now")
    return MaintenanceRow(
        key=str(row.uuid),
        word=word,
        text=row.text,
        components=list_text(component_names(row.components)),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        end_label=end_label,
    )


def status_verdict(page: StatusPage) -> Verdict:
    """Return one sentence: whether all is up, or what is not."""
    not_up = [one for one in page.components if one.condition != Condition.UP]
    if not not_up:
        return Verdict(_("All components are up."), "")
    if all(one.condition == Condition.UNKNOWN for one in not_up) and len(not_up) == len(page.components):
        return Verdict(_("How the components are is unknown: nothing has checked them for a minute."), "")
    parts = [
        gettext("{component}: {condition}").format(
            component=one.component.label, condition=LABELS[one.condition].word
        )
        for one in not_up
    ]
    return Verdict(clauses_text(parts) + ".", "")


def status_shown(page: StatusPage) -> dict[str, Any]:
    """Return everything on the page that all who may open it see."""
    return {
        "verdict": status_verdict(page),
        "components": [component_row(one, now=page.at) for one in page.components],
        "days": impaired_days(page.components),
        "incidents": [incident_row(one, now=page.at) for one in page.incidents],
        "maintenances": [maintenance_row(one, now=page.at) for one in page.maintenances],
    }
