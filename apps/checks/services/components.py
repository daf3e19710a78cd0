"""Counting how long each component of the pool was up, by day, and keeping its incidents.

Between two evaluations a component was as the first one found it.  Time in which nothing evaluated the checks
was an outage of the console, and is unknown of all others; it is never counted as up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import transaction

from apps.checks.models import ComponentDay, ComponentIncident, ComponentStatus, Maintenance
from apps.checks.report.components import ComponentFound
from apps.checks.selectors.components import GAP
from apps.checks.states import IMPAIRED, WORST_LAST, Component, Condition
from apps.checks.table.components import STOPPED
from apps.core.live import Change, publish_all
from apps.messages.services.recovery.detect import restore_check

AHEAD: Final = timedelta(days=1)
"""A clock that was further ahead was wrong for long: what it counted is no record of anything."""
MERGED: Final = timedelta(minutes=5)
"""What fails again so soon is the same incident."""
RETENTION: Final = timedelta(days=400)
"""Days, incidents and announcements are kept so long."""
COUNTS: Final = ("up_s", "degraded_s", "down_s", "unknown_s")


@transaction.atomic
def components_record(found: Mapping[Component, ComponentFound], *, now: datetime) -> None:
    """Count the time since the last evaluation, and note how each component is from now on.

    Two at once come one after the other, and the second has nothing left to count.
    """
    now = now.replace(microsecond=0)
    rows = _statuses(found, now=now)
    first = min(row.evaluated_at for row in rows)
    days = DayCounts(_maintenances(first, now), now=now)
    days.read(first)
    open_ones = ComponentIncident.objects.select_for_update().filter(ended_at=None)
    incidents = {row.component: row for row in open_ones.order_by("pk")}
    changed = []
    for row in rows:
        component = Component(row.component)
        before = (row.condition, row.since)
        _count(row, days, now=now)
        _note(row, found[component], incidents.get(component), now=now)
        if (row.condition, row.since) != before:
            changed.append(Change("component", component, None))
    ComponentStatus.objects.bulk_update(rows, ["condition", "since", "evaluated_at", "counted_until"])
    days.write()
    publish_all(changed)


def _statuses(found: Mapping[Component, ComponentFound], *, now: datetime) -> list[ComponentStatus]:
    """Return the locked row of each component; one that is new begins now."""
    locked = ComponentStatus.objects.select_for_update().filter(component__in=found).order_by("pk")
    rows = list(locked)
    if len(rows) == len(found):
        return rows
    known = {row.component for row in rows}
    new = dict.fromkeys(("since", "evaluated_at", "counted_until"), now)
    ComponentStatus.objects.bulk_create(
        [
            ComponentStatus(component=one, condition=Condition.UNKNOWN, **new)
            for one in found
            if one not in known
        ],
        ignore_conflicts=True,
    )
    return list(locked.all())


def _count(row: ComponentStatus, days: DayCounts, *, now: datetime) -> None:
    """Count the time up to now of one component.

    Of a clock that was set back no second is counted twice; what one that was far ahead had begun is
    forgotten, and then no day gets more than has passed of it.
    """
    begin, gap = row.evaluated_at, now - row.evaluated_at
    row.evaluated_at = now
    if row.counted_until - now > AHEAD:
        row.counted_until = now
        days.forget_after(now.date())
    if gap < timedelta():
        row.since = min(row.since, now)
        return
    first, row.counted_until = max(begin, row.counted_until), max(now, row.counted_until)
    if gap <= GAP:
        days.add(row.component, first, now, Condition(row.condition))
        return
    is_outage = row.component == Component.CONSOLE and not _is_restored_since(begin, now=now)
    days.add(row.component, first, now, Condition.DOWN if is_outage else Condition.UNKNOWN)
    row.condition, row.since = Condition.UNKNOWN, now
    if is_outage:
        incident = _incident_begin(Component.CONSOLE, Condition.DOWN, STOPPED.name, now=begin)
        incident.ended_at = now
        incident.save()


def _is_restored_since(begin: datetime, *, now: datetime) -> bool:
    """Return whether the database is a backup's: what the pool did since that is not known."""
    restored_at = restore_check(now=now).restored_at
    return restored_at is not None and restored_at > begin


def _note(
    row: ComponentStatus, found: ComponentFound, incident: ComponentIncident | None, *, now: datetime
) -> None:
    """Note how a component is from now on, and begin, worsen or end its incident."""
    if row.condition != found.condition:
        row.condition, row.since = found.condition, now
    if found.condition in IMPAIRED:
        if incident is None:
            incident = _incident_begin(Component(row.component), found.condition, found.effect, now=now)
        elif _is_worse(found.condition, incident.condition):
            incident.condition, incident.effect = found.condition, found.effect
        incident.since = min(incident.since, now)
        incident.save()
    elif incident is not None and found.condition == Condition.UP:
        incident.since, incident.ended_at = min(incident.since, now), now
        incident.save()


def _incident_begin(
    component: Component, condition: Condition, effect: str, *, now: datetime
) -> ComponentIncident:
    """Return an incident that is unsaved, or the one that ended shortly before and goes on."""
    rows = ComponentIncident.objects.select_for_update().filter(component=component)
    last = rows.filter(ended_at=None).first() or (
        rows.filter(ended_at__gte=now - MERGED).order_by("-ended_at", "-pk").first()
    )
    if last is None:
        return ComponentIncident(component=component, condition=condition, effect=effect, since=now)
    last.ended_at = None
    if _is_worse(condition, last.condition):
        last.condition, last.effect = condition, effect
    return last


def _is_worse(one: str, other: str) -> bool:
    return WORST_LAST.index(Condition(one)) > WORST_LAST.index(Condition(other))


def _maintenances(begin: datetime, end: datetime) -> list[Maintenance]:
    return list(Maintenance.objects.filter(starts_at__lt=end, ends_at__gt=begin))


@dataclass
class DayCounts:
    """The rows of the days that an evaluation counts on: read once, written once."""

    maintenances: Sequence[Maintenance]
    now: datetime
    rows: dict[tuple[str, date], ComponentDay] = field(default_factory=dict)
    touched: set[tuple[str, date]] = field(default_factory=set)
    has_new: bool = False

    def read(self, begin: datetime) -> None:
        """Read the days from this moment on, as far as they are kept."""
        for row in ComponentDay.objects.filter(day__gte=max(begin, self.now - RETENTION).date()):
            self.rows[row.component, row.day] = row

    def add(self, component: str, begin: datetime, end: datetime, condition: Condition) -> None:
        """Count a time, split at each midnight UTC."""
        begin = max(begin, self.now - RETENTION)
        while begin < end:
            midnight = datetime.combine(begin.date(), time.min, UTC)
            until = min(end, midnight + timedelta(days=1))
            row = self._row(component, begin.date())
            room = int((until - midnight).total_seconds()) - sum(getattr(row, name) for name in COUNTS)
            seconds = max(min(int((until - begin).total_seconds()), room), 0)
            name = f"{condition.lower()}_s"
            setattr(row, name, getattr(row, name) + seconds)
            if condition != Condition.UP:
                row.announced_s += min(self._announced_s(component, begin, until), seconds)
            begin = until

    def forget_after(self, day: date) -> None:
        """Delete the days that a clock which was ahead had begun."""
        ComponentDay.objects.filter(day__gt=day).delete()
        self.rows = {key: row for key, row in self.rows.items() if key[1] <= day}

    def write(self) -> None:
        """Write what was counted; as a day begins, delete what is kept no longer."""
        if self.has_new:
            _old_delete(self.now - RETENTION)
        counts = (*COUNTS, "announced_s")
        rows = [self.rows[key] for key in sorted(self.touched)]
        # Copies without a key, so that those of days that are there are updated by the same statement.
        copies = [
            ComponentDay(
                component=row.component, day=row.day, **{name: getattr(row, name) for name in counts}
            )
            for row in rows
        ]
        ComponentDay.objects.bulk_create(
            copies, update_conflicts=True, unique_fields=["component", "day"], update_fields=counts
        )

    def _row(self, component: str, day: date) -> ComponentDay:
        self.touched.add((component, day))
        if (component, day) not in self.rows:
            self.has_new = True
            self.rows[component, day] = ComponentDay(component=component, day=day)
        return self.rows[component, day]

    def _announced_s(self, component: str, begin: datetime, end: datetime) -> int:
        """Return how much of a time was announced before; two announcements of one time count once."""
        spans = sorted(
            (max(one.starts_at, one.created_at, begin), min(one.ends_at, end))
            for one in self.maintenances
            if component in one.components
        )
        return int(sum(span.total_seconds() for span in _lengths(spans)))


def _lengths(spans: Iterable[tuple[datetime, datetime]]) -> Iterable[timedelta]:
    """Yield the lengths of sorted spans without what an earlier one covers."""
    covered: datetime | None = None
    for begin, end in spans:
        start = begin if covered is None else max(begin, covered)
        if start < end:
            yield end - start
            covered = end


def _old_delete(before: datetime) -> None:
    ComponentDay.objects.filter(day__lt=before.date()).delete()
    ComponentIncident.objects.filter(ended_at__lt=before).delete()
    Maintenance.objects.filter(ends_at__lt=before).delete()
