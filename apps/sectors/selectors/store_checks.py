"""Reads of checks of files: how far they are, and what was found of each sector in each store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import BigIntegerField, Exists, F, Func, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext_noop as _

from apps.core.errors import BadValue
from apps.core.formatting import plural, whole
from apps.core.marked_texts import gettext
from apps.core.reasons import MARKED, as_reason, clauses
from apps.core.uuids import is_uuid
from apps.sectors.errors.stores import CheckUnknown
from apps.sectors.models import RUNS_OVER, PipelineRun, Sector, SectorCopy, Store, StoreAttachment, StoreCheck
from apps.sectors.reasons import FILE_STATE
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.states import ENDED_SECTORS, CopyCondition, StoreCheckState
from poolsite.wire.pipeline import SectorState
from poolsite.wire.store_checks import BAD_FILES, FileState
from poolsite.wire.stores import READABLE

BAD_COUNTED_MAX: Final = 1_000
"""Damaged sectors that are counted in one store."""
COPIES_SHOWN: Final = 50
FILES_NAMED: Final = 3
"""Bad files of a sector that are named."""
FILE_TEXTS: Final = {
    FileState.GOOD: _("matches its recorded checksum"),
    FileState.NOTED: _("has its checksum recorded now"),
    FileState.NOT_KEPT: _("was read, but its checksum cannot be recorded: the store is not writable"),
    FileState.NOT_READ: _("exists"),
    FileState.DIFFERS: _("does not match its recorded checksum"),
    FileState.MISSING: _("is missing"),
    FileState.WRONG_SIZE: _("has the wrong size"),
    FileState.UNREADABLE: _("cannot be read"),
    FileState.WRONG_COMM_R: _("does not match the comm_r of the sector"),
}


def checks_of(store: Store, *, miners: Collection[int] = ()) -> QuerySet[StoreCheck]:
    """Return the checks of a store's files, the newest first; of one sector alone only of these miners'."""
    rows = store.checks.select_related("store", "worker", "sector__miner").order_by("-pk")
    return rows.filter(Q(sector=None) | Q(sector__miner__actor_id__in=miners)) if miners else rows


def check_get(store: Store, uuid: str) -> StoreCheck:
    """Return one check of a store.  Raises CheckUnknown."""
    check = checks_of(store).filter(uuid=uuid).first() if is_uuid(uuid) else None
    if check is None:
        raise CheckUnknown(uuid)
    return check


def checks_wait(checks: Collection[StoreCheck], *, now: datetime) -> dict[int, str]:
    """Return what each check waits for, by its row."""
    running = [check for check in checks if check.state == StoreCheckState.RUNNING]
    rows = StoreAttachment.objects.filter(
        worker__in={check.worker_id for check in running}, store__in={check.store_id for check in running}
    )
    read = set(rows.filter(condition__in=READABLE).values_list("worker", "store")) if running else set()
    found = dict.fromkeys((check.pk for check in checks), "")
    for check in running:
        if worker_is_away(check.worker, now=now):
            found[check.pk] = gettext("waiting for {host}, which is offline").format(host=check.worker.name)
        elif (check.worker_id, check.store_id) not in read:
            found[check.pk] = gettext("waiting until {host} can read {store} again").format(
                host=check.worker.name, store=check.store.name
            )
        elif check.waits_until is not None and now < check.waits_until:
            found[check.pk] = gettext("retrying shortly")
    return found


@dataclass(frozen=True, slots=True)
class StoreChecked:
    """What checks say of a store as a whole."""

    bad: int = 0
    """Sectors with bad files, counted up to one more than `BAD_COUNTED_MAX`."""
    running: StoreCheck | None = None
    wait: str = ""
    """What the running one waits for."""
    done_at: datetime | None = None
    """When all of it was read last."""

    @property
    def text(self) -> str:
        """`3`, `over 1 000`: sectors with bad files."""
        return (
            gettext("over {count}").format(count=whole(BAD_COUNTED_MAX))
            if self.bad > BAD_COUNTED_MAX
            else whole(self.bad)
        )


def stores_checked(stores: Collection[Store], *, now: datetime) -> dict[int, StoreChecked]:
    """Return by store what checks of the whole store have found, and how far one is."""
    if not stores:
        return {}
    entire = StoreCheck.objects.filter(store=OuterRef("pk"), sector=None)
    running = entire.filter(state=StoreCheckState.RUNNING).order_by("-pk")
    done = entire.filter(state=StoreCheckState.DONE).order_by("-pk")
    rows = Store.objects.filter(pk__in=[one.pk for one in stores]).order_by()
    known = rows.annotate(
        running=Subquery(running.values("pk")[:1]), done_at=Subquery(done.values("updated_at")[:1])
    )
    facts = {pk: (check, done_at) for pk, check, done_at in known.values_list("pk", "running", "done_at")}
    keys = [check for check, _ in facts.values() if check is not None]
    checks = StoreCheck.objects.select_related("worker", "store").in_bulk(keys)
    waits = checks_wait(list(checks.values()), now=now)
    bad = copies_bad_of(stores)
    return {
        pk: StoreChecked(
            bad=bad[pk].count if pk in bad else 0,
            running=checks.get(check),
            wait=waits.get(check, ""),
            done_at=done_at,
        )
        for pk, (check, done_at) in facts.items()
    }


def copies_page(
    store: Store, *, condition: str = "", miners: Collection[int] = (), before: int | None = None, limit: int
) -> list[SectorCopy]:
    """Return a page of what was found in a store, the newest row first, older than `before`.

    Of these miners alone, if any are named.  Raises BadValue.
    """
    if condition and condition not in CopyCondition.values:
        raise BadValue(
            gettext("must be one of {conditions}").format(conditions=", ".join(CopyCondition.values)),
            field="condition",
        )
    rows = _shown(copies_in_use(SectorCopy.objects.filter(store=store))).order_by("-pk")
    if condition:
        rows = rows.filter(condition=condition)
    if miners:
        rows = rows.filter(sector__miner__actor_id__in=miners)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows[:limit])


@dataclass(frozen=True, slots=True)
class BadCopies:
    """The sectors of one store that have bad files there."""

    count: int
    """Up to one more than `BAD_COUNTED_MAX`."""
    first: SectorCopy

    @property
    def text(self) -> str:
        """`3 sectors`."""
        many = self.count > BAD_COUNTED_MAX
        return (
            gettext("over {count} sectors").format(count=whole(BAD_COUNTED_MAX))
            if many
            else plural(self.count, "sector")
        )


def copies_bad_of(stores: Collection[Store], *, miners: Collection[int] = ()) -> dict[int, BadCopies]:
    """Return how many copies a check found damaged, counted for each store by itself, by its row.

    Of these miners alone, if any are named.
    """
    if not stores:
        return {}
    bad = SectorCopy.objects.filter(condition=CopyCondition.BAD)
    if miners:
        bad = bad.filter(sector__miner__actor_id__in=miners)
    counted = copies_in_use(bad).filter(store=OuterRef(OuterRef("pk"))).order_by("-pk")
    counted = bad.filter(pk__in=counted.values("pk")[: BAD_COUNTED_MAX + 1]).order_by()
    each = counted.annotate(count=Func(F("pk"), function="COUNT", output_field=BigIntegerField()))
    first = copies_in_use(bad).filter(store=OuterRef("pk")).order_by("-pk")
    rows = Store.objects.filter(pk__in=[one.pk for one in stores]).order_by()
    rows = rows.annotate(count=Subquery(each.values("count")), first=Subquery(first.values("pk")[:1]))
    found = list(rows.exclude(first=None).values_list("pk", "count", "first"))
    copies = _shown(bad).in_bulk([first for *_, first in found]) if found else {}
    return {pk: BadCopies(count, copies[first]) for pk, count, first in found if first in copies}


def sectors_bad_in(stores: Collection[int], *, miners: Collection[int] = ()) -> dict[int, list[Sector]]:
    """Return the proving sectors that are proved from damaged files in these stores, and not rebuilt now.

    By the store's row, up to one more than `BAD_COUNTED_MAX` in all; of these miners alone, if any are named.
    """
    found: dict[int, list[Sector]] = {pk: [] for pk in stores}
    if found:
        rows = SectorCopy.objects.filter(condition=CopyCondition.BAD, store__in=found)
        in_progress = PipelineRun.objects.filter(sector=OuterRef("sector")).exclude(state__in=RUNS_OVER)
        rows = rows.filter(sector__state=SectorState.PROVING, sector__store=F("store__name"))
        if miners:
            rows = rows.filter(sector__miner__actor_id__in=miners)
        rows = _shown(copies_in_use(rows.exclude(Exists(in_progress)))).order_by("-pk")
        for copy in rows[: BAD_COUNTED_MAX + 1]:
            found[copy.store_id].append(copy.sector)
    return found


def copies_of(sector: Sector) -> list[SectorCopy]:
    """Return what is known of a sector's files, by store."""
    rows = _shown(copies_in_use(SectorCopy.objects.filter(sector=sector))).order_by("store__name")
    return list(rows[:COPIES_SHOWN])


def copies_in_use(rows: QuerySet[SectorCopy]) -> QuerySet[SectorCopy]:
    """Return the copies of sectors that have not ended, in stores of their own tenant."""
    over = Q(sector__state__in=ENDED_SECTORS) | Q(sector__removal_asked_at__isnull=False)
    return rows.filter(sector__tenant_id=F("store__tenant_id")).exclude(over)


def _shown(rows: QuerySet[SectorCopy]) -> QuerySet[SectorCopy]:
    return rows.select_related("store", "sector__miner")


def bad_files_text(copy: SectorCopy) -> str:
    """Return which of a copy's files are bad, and how."""
    bad = [one for one in copy.files if one["state"] in BAD_FILES]
    texts = [
        FILE_STATE(name=one["name"], state=MARKED(text=FILE_TEXTS[FileState(one["state"])]))
        for one in bad[:FILES_NAMED]
    ]
    more = len(bad) - FILES_NAMED
    return clauses(*texts, as_reason(gettext("{count} more").format(count=more)) if more > 0 else "")
