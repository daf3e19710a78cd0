"""An evaluation of the checks asks as much of hundreds of hosts as of a few: nothing is asked per object."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.checks.report.evaluate import evaluate
from apps.checks.report.report import Report
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.sectors.models import (
    HostReport,
    Job,
    Sector,
    SectorCopy,
    Store,
    StoreAttachment,
    StoreSample,
    Worker,
)
from apps.users.rules.principals import SYSTEM
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.bulk_rows import row_copies_insert

pytestmark = pytest.mark.django_db
COPIES_FROM = 100_000
"""Numbers of sectors' copies begin there."""
RENAMED = """
(select coalesce(jsonb_agg(x || '-' || n), '[]') from jsonb_array_elements_text(one.stores) x)
"""
"""The SQL of a host's stores as those of a copy are called."""
ILL = {
    "hosts_away",
    "hosts_disk",
    "host_folders_away",
    "hosts_paused",
    "sealing_stores_away",
    "sectors_unclaimed",
    "slots_missing",
    "stores_away",
    "stores_unwritable",
    "stores_unproven",
    "stores_filling",
    "copies_bad",
    "files_of_ended",
    "sectors_paused",
}
"""Checks of hosts, stores and sectors that fail in that pool."""
FULL = {"disk_free_bytes": 1 << 30, "disk_total_bytes": 1 << 40}
LOST = {"disk_free_bytes": 0, "disk_total_bytes": 0, "disks": [{"folder": "/srv"}]}
AWAY = {"folder": "/mnt/b", "sealing": {"sectors": 3, "total_bytes": 0, "reason": "not there"}}


def ill_pool() -> None:
    """One host, store and sector of each kind that needs somebody; no prover is left."""
    factories.network()
    factories.head(100_000)
    miner = factories.miner(1000, live_sectors=4, active_sectors=4, raw_power=1 << 40, qa_power=1 << 40)
    factories.deadline(miner, 1, live=2)
    long_ago = now() - timedelta(hours=1)
    gone = factories.worker("gone", seen_at=long_ago, stores=["archive"], slots={"C2": 1}, last_error="oh")
    factories.worker("paused", is_paused=True)
    factories.worker("full", hardware=FULL)
    factories.worker("lost", hardware=LOST)
    factories.worker("torn", hardware={**FULL, "disk_free_bytes": 1 << 39, "disks": [AWAY]})
    sealer = factories.worker("sealer", slots={"PC1": 4})
    bar = [{"key": "sealing.disable_cc", "value": "true"}]
    HostReport.objects.create(worker=sealer, settings=bar)
    unread = factories.store(gone, "archive")
    locked = factories.store(sealer, "locked", condition=StoreCondition.FULL)
    filling = factories.store(sealer, "filling", total_bytes=1 << 40, free_bytes=1 << 39)
    filling.samples.create(at=now() - timedelta(days=2), used_bytes=1 << 30)
    for number, store in enumerate((unread, locked, filling), start=5):
        proven: dict[str, Any] = {"state": SectorState.PROVING, "active": True, "store": store.name}
        row = factories.sector(miner, number=number, **proven)
        SectorCopy.objects.create(sector=row, store=store, condition="BAD", files=[], found_at=long_ago)
    over: dict[str, Any] = {"active": False, "expiration": 1, "store": "filling"}
    factories.sector(miner, state=SectorState.PROVING, number=1, **over)
    factories.sector(miner, number=2, paused_at=long_ago, error="broken", precommit_epoch=90_000)
    factories.sector(miner, number=3)
    stuck = factories.sector(miner, number=4, state=SectorState.C1_DONE, precommit_epoch=99_990)
    Job.objects.filter(pk=stuck.job.pk).update(sticky_worker=sealer)
    StoreAttachment.objects.update(since=long_ago)
    Job.objects.update(updated_at=long_ago)


def multiply(first: int, last: int) -> None:
    """Copy the hosts, stores and sectors of `ill_pool`, each with what belongs to it."""
    rows, uuid = f"generate_series({first}, {last}) n", {"uuid": "gen_random_uuid()"}
    named: dict[str, str] = {**uuid, "name": "one.name || '-' || n", "uid": "one.uid || '-' || n"}
    hosts, stores = Worker.objects.exclude(name__contains="-"), Store.objects.exclude(name__contains="-")
    with connection.cursor() as cursor:
        for row in [*hosts, *stores]:
            own = {"host": "one.host || '-' || n", "stores": RENAMED} if isinstance(row, Worker) else {}
            row_copies_insert(cursor, row._meta.db_table, of=f"id = {row.pk}", changed=named | own, rows=rows)
        for place in StoreAttachment.objects.filter(worker__in=hosts).select_related("store", "worker"):
            keys = {"store_id": copy_of(place.store), "worker_id": copy_of(place.worker)}
            row_copies_insert(cursor, place._meta.db_table, of=f"id = {place.pk}", changed=keys, rows=rows)
        for sample in StoreSample.objects.filter(store__in=stores).select_related("store"):
            keys = {"store_id": copy_of(sample.store)}
            row_copies_insert(cursor, sample._meta.db_table, of=f"id = {sample.pk}", changed=keys, rows=rows)
        for report in HostReport.objects.filter(worker__in=hosts).select_related("worker"):
            keys = {"worker_id": copy_of(report.worker)}
            row_copies_insert(cursor, report._meta.db_table, of=f"id = {report.pk}", changed=keys, rows=rows)
        for sector in Sector.objects.filter(number__lt=COPIES_FROM):
            number = COPIES_FROM * sector.number
            changed = {**uuid, "number": f"{number} + n", "store": "one.store || '-' || n"}
            row_copies_insert(cursor, "sectors_sector", of=f"id = {sector.pk}", changed=changed, rows=rows)
            low, high = number + first, number + last
            copies = f"(select id as n from sectors_sector where number between {low} and {high}) s"
            for table in ("sectors_job", "sectors_sectorcopy"):
                changed = {**uuid, "sector_id": "n"}
                row_copies_insert(cursor, table, of=f"sector_id = {sector.pk}", changed=changed, rows=copies)


def copy_of(row: Store | Worker) -> str:
    """Return the SQL of the key of a row's copy."""
    return f"(select id from {row._meta.db_table} where name = '{row.name}-' || n)"


def asked() -> tuple[Report, list[str]]:
    """Evaluate all checks; return what they found and the statements."""
    evaluate(CheckData(SYSTEM))  # prepares what is prepared
    with CaptureQueriesContext(connection) as made:
        report = evaluate(CheckData(SYSTEM))
    return report, [one["sql"] for one in made]


def test_statements_do_not_grow_with_hosts_stores_and_sectors() -> None:
    ill_pool()
    multiply(1, 6)
    few, statements = asked()
    assert {name for name in ILL if not few.fails(name)} == set()
    assert not any(result.is_broken for result in few.results)

    multiply(7, 30)
    many, more = asked()

    assert len(more) == len(statements) <= 80, sorted(set(more) - set(statements))
    assert {name for name in ILL if not many.fails(name)} == set()
    away = many.result("hosts_away")
    assert away is not None
    assert away.count == Worker.objects.filter(name__startswith="gone").count() == 31
    unproven = many.result("stores_unproven")
    assert unproven is not None
    assert len(unproven.findings) <= 5 < unproven.count


@pytest.mark.parametrize("kind", [JobKind.SEAL, JobKind.WINDOW_POST])
def test_an_evaluation_reads_no_host_as_a_row(kind: str) -> None:
    """Hosts that are well are counted where they are, whatever their number."""
    factories.network()
    factories.head(1000)
    host = factories.worker("well", kinds=[kind])
    factories.store(host, "store")

    _, statements = asked()

    whole = [sql for sql in statements if '"sectors_worker"."hardware"' in sql and "jsonb_path" not in sql]
    assert whole == []
