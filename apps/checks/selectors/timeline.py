"""The events of a miner or a tenant, from several tables in the order of time, a page at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, Q, QuerySet

from apps.blocks.selectors.rounds import rounds_won
from apps.checks.selectors.alerts import alerts_visible
from apps.messages.selectors.messages import UNLISTED, messages_visible
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_visible
from apps.sectors.models import Job, JobEvent, Sector, Store, StoreEvent, Worker, WorkerCommand
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.audit_search import AuditFilter, audit_page
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import RUN_KINDS, JobKind
from poolsite.wire.pipeline import RUN_FINAL

KINDS: Final[tuple[str, ...]] = ("alert", "act", "message", "block", "sector", "host", "store")
"""Kinds of entries: alerts, lines of the audit log, messages, wins of blocks, what became of sectors, orders
to hosts, events of stores."""
ALERTS_SEARCHED: Final = 2_000
"""Alerts that one page reads in search of a miner's."""
EVENTS_SEARCHED: Final = 10_000
"""Rows of a table of events that one page looks at, whosever they are: the tables have no index by miner."""
SECTOR_EVENTS: Final = (
    *("FINALIZE", "ABORT", "RETICKET", "RESEED", "RESEAL", "HOST_GONE", "RESTORE", "RESTORE_PROVEN"),
    *("FILES_LOST", "FILES_MISSING", "FILES_FOUND", "FILES_REMOVED", "STORE_FORGOTTEN", "COMM_R_DIFFERS"),
    *("TERMINATE", "TERMINATE_REQUEST", "TERMINATE_CANCEL", "TERMINATE_REVERT", "REVERT_TERMINATE"),
    *("EXTEND_REQUEST", "EXTEND_LAND", "EXTEND_CANCEL", "EXTEND_REVERT", "REVERT_COMMIT"),
    *("REVERT_PRECOMMIT", "REVERT_UPDATE", "ADOPTED"),
)
"""Steps that say what became of a sector, besides failures; its own page has all of them."""
SECTOR_JOBS: Final = (JobKind.SEAL, *RUN_KINDS)
HOST_ORDERS: Final = (
    *(Operation.PAUSE, Operation.RESUME, Operation.DRAIN, Operation.UPGRADE, Operation.SET_PLAN),
    *(Operation.ATTACH, Operation.DETACH, Operation.SET_STORE),
)
"""Orders that are about a host, not about one sector's files there."""


@dataclass(frozen=True, slots=True)
class TimelineFilter:
    """Filters of a timeline; empty fields match all."""

    kinds: frozenset[str] = frozenset(KINDS)
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is no longer shown."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened."""

    kind: str
    at: datetime
    row: Any
    """The alert, the line of the audit log, the message, the round, the step of a job, the order to a host or
    the event of a store."""
    place: str
    """The place in its table at which the next page begins."""


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """One page, newest first."""

    entries: Sequence[TimelineEntry]
    after: Mapping[str, str]
    """The place at which each table's next page begins, by source; empty if all was shown."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The entries of one table, newest first."""

    entries: Sequence[TimelineEntry]
    until: datetime | None = None
    """Back to when all was read; None: to the beginning."""
    place: str = ""
    """The place at which reading goes on if none of `entries` is left."""


_Source = Callable[[str, int], _Found]
"""Reads up to so many entries from a place on."""


def tenant_timeline(
    viewer: Principal, tenant: Tenant, wanted: TimelineFilter, *, after: Mapping[str, str], limit: int
) -> TimelinePage:
    """Return what happened to a tenant that the viewer sees."""
    own = replace(viewer, tenant_id=tenant.pk, tenant_name=tenant.name, is_operator=False)
    miners = list(miners_visible(own))
    sources = {
        "alert": _alerts(own, wanted),
        "act": _acts(own, wanted, AuditFilter()),
        "message": _messages(own, wanted, [Q()]),
        "block": _blocks(miners, wanted),
        **_sources_of_farm(tenant.pk, miners, wanted),
    }
    if viewer.is_operator:  # what operators do to it is in the log as their own tenant's
        about = AuditFilter(targets=frozenset({tenant.name}))
        sources["act-on"] = _acts(viewer, wanted, about, omit_tenant=tenant.pk)
    return _page(sources, wanted, after=after, limit=limit)


def miner_timeline(
    viewer: Principal, miner: Miner, wanted: TimelineFilter, *, after: Mapping[str, str], limit: int
) -> TimelinePage:
    """Return what happened to a miner that the viewer sees, and to its tenant's hosts and stores."""
    names = frozenset({*miner.names, str(miner.uuid)})
    sources = {
        "alert": _alerts(viewer, wanted, names=names, tenant_id=miner.tenant_id),
        "act": _acts(viewer, wanted, AuditFilter(targets=names)),
        # one address at a time, as the index is read in order only then
        "message": _messages(viewer, wanted, [Q(to=name) for name in miner.names]),
        "block": _blocks([miner], wanted),
        **_sources_of_farm(0 if viewer.is_partial else miner.tenant_id, [miner], wanted),
    }
    return _page(sources, wanted, after=after, limit=limit)


def _page(
    sources: Mapping[str, _Source], wanted: TimelineFilter, *, after: Mapping[str, str], limit: int
) -> TimelinePage:
    """Merge what the sources have, as far back as all of them were read."""
    found = {
        name: read(after.get(name, ""), limit)
        for name, read in sources.items()
        if name.partition("-")[0] in wanted.kinds and (not after or name in after)
    }
    cut = max((one.until for one in found.values() if one.until is not None), default=None)
    merged = sorted(
        ((at, name, -index) for name, one in found.items() for index, at in enumerate(_times(one.entries))),
        reverse=True,
    )
    shown = [item for item in merged if cut is None or item[0] >= cut][:limit]
    counts = Counter(name for _at, name, _index in shown)
    places: dict[str, str] = {}
    for name, one in found.items():
        many = counts[name]
        if many < len(one.entries):
            places[name] = one.entries[many - 1].place if many else after.get(name, "")
        elif one.until is not None:
            places[name] = one.place
    return TimelinePage([found[name].entries[-index] for _at, name, index in shown], places)


def _times(entries: Sequence[TimelineEntry]) -> Iterator[datetime]:
    """Yield when each happened, none later than the one before it: a clock may have been set back."""
    latest: datetime | None = None
    for entry in entries:
        latest = entry.at if latest is None else min(latest, entry.at)
        yield latest


def _within(wanted: TimelineFilter, field: str) -> Q:
    fits = Q()
    if wanted.since is not None:
        fits &= Q(**{f"{field}__gte": wanted.since})
    if wanted.until is not None:
        fits &= Q(**{f"{field}__lt": wanted.until})
    return fits


def _full(entries: list[TimelineEntry], limit: int) -> _Found:
    """Return entries that were read up to a limit: if it was reached, older ones may follow."""
    if len(entries) < limit:
        return _Found(entries)
    return _Found(entries, min(entry.at for entry in entries), entries[-1].place)


def _stopped(entries: list[TimelineEntry], at: datetime, place: str) -> _Found:
    """Return entries of a search that went back to a row of this time and stopped there."""
    return _Found(entries, min(at, *(entry.at for entry in entries)) if entries else at, place)


def _alerts(
    viewer: Principal,
    wanted: TimelineFilter,
    *,
    names: frozenset[str] = frozenset(),
    tenant_id: int | None = None,
) -> _Source:
    def read(place: str, limit: int) -> _Found:
        rows = alerts_visible(viewer)
        if names:
            rows = rows.filter(Q(tenant=None) | Q(tenant=tenant_id))
        if place:
            rows = rows.filter(pk__lt=int(place))
        stop = rows[ALERTS_SEARCHED - 1 : ALERTS_SEARCHED].first() if names else None
        if stop is not None:
            rows = rows.filter(pk__gte=stop.pk)
        about = Q()
        for name in names:
            about |= Q(object_names__contains=[name])
        found = rows.filter(about & _within(wanted, "began_at"))[:limit]
        entries = [TimelineEntry("alert", row.began_at, row, str(row.pk)) for row in found]
        if stop is None or len(entries) == limit:
            return _full(entries, limit)
        return _stopped(entries, stop.began_at, str(stop.pk))

    return read


def _acts(viewer: Principal, wanted: TimelineFilter, about: AuditFilter, *, omit_tenant: int = 0) -> _Source:
    about = replace(about, since=wanted.since, until=wanted.until)

    def read(place: str, limit: int) -> _Found:
        page = audit_page(viewer, about, before=int(place or 0), limit=limit)
        entries = [
            TimelineEntry("act", row.at, row, str(row.pk))
            for row in page.rows
            if not omit_tenant or row.tenant_id != omit_tenant
        ]
        if page.stopped_at is not None:
            return _stopped(entries, page.stopped_at.at, str(page.stopped_at.pk))
        if len(page.rows) == limit:
            return _stopped(entries, page.rows[-1].at, str(page.rows[-1].pk))
        return _Found(entries)

    return read


def _messages(viewer: Principal, wanted: TimelineFilter, parts: Sequence[Q]) -> _Source:
    def read(place: str, limit: int) -> _Found:
        rows = messages_visible(viewer).filter(_within(wanted, "created_at")).defer(*UNLISTED)
        at, _space, pk = place.partition(" ")
        if pk:
            at_place = datetime.fromisoformat(at)
            rows = rows.filter(created_at__lte=at_place)
            rows = rows.filter(Q(created_at__lt=at_place) | Q(created_at=at_place, pk__lt=pk))
        found = [row for part in parts for row in rows.filter(part)[:limit]]
        found.sort(key=lambda row: row.created_at, reverse=True)  # ids stay in the database's order
        return _full(
            [
                TimelineEntry("message", row.created_at, row, f"{row.created_at.isoformat()} {row.pk}")
                for row in found[:limit]
            ],
            limit,
        )

    return read


def _blocks(miners: Sequence[Miner], wanted: TimelineFilter) -> _Source:
    def read(place: str, limit: int) -> _Found:
        rows = rounds_won(miners).filter(_within(wanted, "at"))
        epoch, _space, pk = place.partition(" ")
        if pk:
            rows = rows.filter(epoch__lte=epoch).filter(Q(epoch__lt=epoch) | Q(epoch=epoch, pk__lt=pk))
        return _full(
            [TimelineEntry("block", row.at, row, f"{row.epoch} {row.pk}") for row in rows[:limit]], limit
        )

    return read


def _sources_of_farm(tenant_id: int, miners: Sequence[Miner], wanted: TimelineFilter) -> dict[str, _Source]:
    """Return the sources of these miners' sectors, and of a tenant's hosts and stores; of tenant 0 none."""
    jobs = Job.objects.filter(miner__in=[miner.pk for miner in miners], kind__in=SECTOR_JOBS)
    hosts, stores = Worker.objects.filter(tenant=tenant_id), Store.objects.filter(tenant=tenant_id)
    steps = JobEvent.objects.select_related("job__sector", "job__run__sector", "job__miner", "worker")
    shown = Q(is_error=True) | Q(event__in=SECTOR_EVENTS) | Q(to_state__in=RUN_FINAL)
    orders = WorkerCommand.objects.select_related("worker")
    return {
        "sector": _searched(_Events("sector", steps, shown, "job", jobs), wanted),
        "host": _searched(
            _Events("host", orders, Q(op__in=HOST_ORDERS), "worker", hosts, at="created_at"), wanted
        ),
        "store": _searched(
            _Events("store", StoreEvent.objects.select_related("store"), Q(), "store", stores), wanted
        ),
    }


def sector_of(step: JobEvent) -> Sector:
    """Return the sector that a step is of: its own, or that of its snap-up or rebuild."""
    own = step.job.sector
    return step.job.run.sector if own is None else own


@dataclass(frozen=True, slots=True)
class _Events:
    """A table of events that has no index by what is looked for."""

    kind: str
    rows: QuerySet[Any]
    shown: Q
    """The condition, by its own columns, under which an event is shown."""
    about: str
    """The column that says what an event is about."""
    objects: QuerySet[Any]
    """The jobs, hosts or stores whose events are looked for."""
    at: str = "at"


def _searched(events: _Events, wanted: TimelineFilter) -> _Source:
    """Read a table of events backwards by its key, `EVENTS_SEARCHED` rows of it for each page.

    Nothing is read where there is nothing that an event could be about.
    """
    rows = events.rows.order_by("-pk")

    def read(place: str, limit: int) -> _Found:
        newest = rows.filter(Exists(events.objects)).values_list("pk", flat=True)
        first = int(place) if place else (newest.first() or 0) + 1
        if first == 1:
            return _Found([])
        last = first - EVENTS_SEARCHED
        # In steps, each by a key: in one statement a plan might begin with all events of the objects.
        shown = rows.filter(events.shown & _within(wanted, events.at), pk__lt=first, pk__gte=last)
        of = dict(shown.values_list("pk", f"{events.about}_id"))
        own = (
            set(events.objects.filter(pk__in=set(of.values())).values_list("pk", flat=True)) if of else set()
        )
        keys = [pk for pk, about in of.items() if about in own][:limit]
        found = rows.filter(pk__in=keys) if keys else ()
        entries = [TimelineEntry(events.kind, getattr(row, events.at), row, str(row.pk)) for row in found]
        if len(entries) == limit:
            return _full(entries, limit)
        before = rows.filter(pk__lt=last).values_list("pk", events.at).first() if last > 0 else None
        if before is None or (wanted.since is not None and before[1] < wanted.since):
            return _Found(entries)
        return _stopped(entries, before[1], str(before[0] + 1))

    return read
