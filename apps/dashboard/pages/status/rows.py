"""The status page laid out: components, incidents, announcements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.checks.report.status_page import component_names, incident_text, percent_up
from apps.checks.states import Condition
from apps.core.formatting import duration, plural
from apps.core.languages import clauses_text, list_text
from apps.dashboard.cards import Verdict
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.status.day_bars import day_bars, impaired_days, seconds_text

if TYPE_CHECKING:
    from datetime import datetime

    from django_stubs_ext import StrOrPromise

    from apps.checks.models import ComponentIncident, Maintenance
    from apps.checks.report.status_page import StatusPage
    from apps.checks.selectors.components import ComponentRecord
    from apps.dashboard.pages.status.day_bars import DayBar

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
