"""Stores as hosts tell of them: one row wherever a disk is mounted, named conditions, orders and refusals."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils.translation import override

from apps.core.errors import BadValue
from apps.sectors.errors.stores import StoreRefused, StoreUnknown
from apps.sectors.models import Sector, Store, StoreEvent, WorkerCommand
from apps.sectors.selectors.stores import (
    store_days_left,
    store_fill_rate,
    store_get,
    store_rate_wait,
    store_status,
    stores_room,
    stores_visible,
)
from apps.sectors.services.stores.orders import StoreChanges, store_attach, store_change, store_detach
from apps.users.models import AuditEntry
from poolsite.wire.commands import Operation
from poolsite.wire.job_reports import StageOutputs
from poolsite.wire.jobs import JobKind
from poolsite.wire.stores import UNBOUNDED_BYTES, StoreCondition
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.sealing import NOON, claim, host, report
from tests.unit.apps.sectors.stores import TIB, beat, told

pytestmark = pytest.mark.django_db

PROVER = (JobKind.WINDOW_POST, JobKind.SECTOR_CHECK)


def condition(store: Store, *, at: datetime = NOON) -> str:
    return store_status(store_get(principal(), str(store.uuid), now=NOON), now=at).condition


def test_a_shared_store_is_one_and_a_moved_disk_stays_the_same() -> None:
    one, two = host("u1"), host("u2")
    beat(one, told(path="/mnt/a"))
    beat(two, told(path="/nfs/a"))
    assert Store.objects.get().attachments.count() == 2

    beat(one)
    beat(two, told(path="/srv/a"))

    store = Store.objects.get()
    assert [(row.worker, row.path) for row in store.attachments.all()] == [(two, "/srv/a")]
    assert (one.stores, two.stores) == ([], ["disk"])
    assert [event.event for event in store.events.order_by("pk")] == [
        *("ATTACHED", "ATTACHED", "DETACHED", "ATTACHED", "DETACHED")
    ]


def test_a_store_that_goes_and_comes_back_has_named_conditions_and_events() -> None:
    worker = beat(host(), told())

    beat(worker, told(condition=StoreCondition.AWAY, reason="gone", total_bytes=0, free_bytes=0))
    store = Store.objects.get()
    assert (condition(store), worker.stores) == (StoreCondition.AWAY, [])
    assert store.total_bytes == TIB, "what was known of it stays"
    beat(worker, told(condition=StoreCondition.FULL, reason="no room"))
    assert (condition(store), worker.stores) == (StoreCondition.FULL, ["disk"])
    beat(worker, told())

    assert condition(store) == StoreCondition.READY
    assert condition(store, at=NOON + timedelta(hours=1)) == "SILENT"
    assert [event.event for event in store.events.order_by("pk")] == ["ATTACHED", "AWAY", "FULL", "READY"]
    beat(worker)
    assert condition(store) == "DETACHED"


def test_the_best_host_counts_and_quiet_heartbeats_write_nothing(
    django_assert_max_num_queries: Any,
) -> None:
    one, two = beat(host("u1"), told()), host("u2")
    beat(two, told(condition=StoreCondition.AWAY, reason="x"))
    assert condition(Store.objects.get()) == StoreCondition.READY
    events = StoreEvent.objects.count()

    with django_assert_max_num_queries(14) as quiet:
        beat(one, told())

    assert StoreEvent.objects.count() == events
    assert not [query for query in quiet.captured_queries if 'UPDATE "sectors_store' in query["sql"]]


def test_a_heartbeat_writes_no_labels_and_goes_by_identity(django_assert_max_num_queries: Any) -> None:
    worker = beat(host(), told("b"), told("a"))

    with django_assert_max_num_queries(30) as seen:
        beat(worker, told("b", free_bytes=1), told("a", free_bytes=2))

    writes = [query["sql"] for query in seen.captured_queries if 'UPDATE "sectors_store"' in query["sql"]]
    assert len(writes) == 2
    assert not [sql for sql in writes if '"labels"' in sql], "a person may change them meanwhile"
    assert ['"free_bytes" = 2' in sql for sql in writes] == [True, False]


def test_renamed_store_takes_its_sectors_along_and_a_taken_name_does_not() -> None:
    worker = beat(host(), told(), told("other"))
    factories.sector(factories.miner(), state="PROVING", store="disk")

    beat(worker, told("archive", uid="uid-disk", path="/mnt/disk"), told("other"))
    assert Sector.objects.get().store == "archive"

    beat(host("u9"), told("archive", uid="another-disk"))
    assert set(Store.objects.values_list("name", flat=True)) == {"archive", "other", "archive another-"}


def test_a_report_names_the_store_by_its_identity() -> None:
    first = beat(host("u1"), told())
    second = beat(host("u2"), told(uid="another-disk"))
    sector = factories.sector(factories.miner(), state="PC2_DONE")
    sector.job.sticky_worker = second
    sector.job.save()
    [job] = claim(second)

    report(job, "PERSIST", state="PC2_DONE", outputs=StageOutputs(store="disk", store_uid="another-disk"))

    sector.refresh_from_db()
    assert (sector.store, first.stores) == ("disk another-", ["disk"])


def test_days_to_full_come_from_what_was_measured() -> None:
    worker = beat(host(), told())
    uuid, later = str(Store.objects.get().uuid), NOON + timedelta(days=1)
    assert store_fill_rate(store_get(principal(), uuid, now=NOON)) is None

    soon = NOON + timedelta(hours=23)
    beat(worker, told(free_bytes=TIB // 4), at=soon)
    measured = store_get(principal(), uuid, now=soon)
    assert store_fill_rate(measured) is None, "hours say nothing of a day"
    assert store_rate_wait(measured) == timedelta(hours=1)
    beat(worker, told(free_bytes=TIB // 4 - 1), at=later)

    store = store_get(principal(), uuid, now=later)
    rate = store_fill_rate(store)
    assert store_rate_wait(store) is None
    assert rate == pytest.approx(TIB / 4)
    assert store_days_left(store, rate) == pytest.approx(1.0)
    assert store_days_left(store, -1.0) is None
    assert store_days_left(store, TIB / 100) is None, "a day says nothing of the next month"
    store.attachments.all().delete()
    assert store_fill_rate(store_get(principal(), uuid, now=later)) is None, "nobody has it"


def test_the_room_of_a_disk_counts_once_whoever_has_it() -> None:
    one, two = host("u1"), host("u2")
    disk = {"disk_bytes": TIB, "disk_free_bytes": TIB // 2}
    beat(one, told("a", disk="7", **disk), told("b", disk="7", **disk), told("c"))
    assert stores_room(stores_visible(principal(), now=NOON)) == (TIB, 2 * TIB)

    small = {"disk_bytes": TIB, "total_bytes": TIB // 4, "free_bytes": TIB // 8, "disk_free_bytes": TIB // 2}
    shared = told("a", path="/nfs/a", disk="9", **disk), told("d", disk="9", **small)
    beat(two, *shared, told("e", disk="7", **disk))

    assert stores_room(stores_visible(principal(), now=NOON)) == (3 * TIB // 2, 3 * TIB)


def test_an_older_host_that_knows_no_disks_hides_none() -> None:
    disk = {"disk_bytes": TIB, "disk_free_bytes": TIB // 2}
    beat(host("u1"), told("a", disk="7", **disk), told("b", disk="7", **disk))

    beat(host("older"), told("a"), told("b"))

    assert stores_room(stores_visible(principal(), now=NOON)) == (TIB // 2, TIB)


def test_a_host_that_has_not_listed_a_bucket_yet_empties_it_for_nobody() -> None:
    bucket = {"total_bytes": UNBOUNDED_BYTES, "sectors": 3}
    beat(host("u1"), told("a", free_bytes=UNBOUNDED_BYTES - TIB, **bucket))

    beat(host("u2"), told("a", free_bytes=UNBOUNDED_BYTES, **bucket), at=NOON + timedelta(days=1))

    store = Store.objects.get()
    assert store.free_bytes == UNBOUNDED_BYTES - TIB
    assert [sample.used_bytes for sample in store.samples.all()] == [TIB]


def test_what_a_bucket_has_is_written_once_it_is_another_part_of_that() -> None:
    worker, bucket = host("u1"), {"total_bytes": UNBOUNDED_BYTES, "sectors": 3}
    for used in (TIB, TIB + 1, TIB // 2):
        beat(worker, told("a", free_bytes=UNBOUNDED_BYTES - used, **bucket))
        noted = UNBOUNDED_BYTES - Store.objects.get().free_bytes
        assert noted == (used if used != TIB + 1 else TIB)


def test_what_is_promised_in_one_store_is_no_room_of_another_on_its_disk() -> None:
    disk = {"disk": "7", "disk_bytes": TIB, "disk_free_bytes": TIB // 2}
    busy = {"free_bytes": TIB // 4, "reserved_bytes": TIB // 4}
    beat(host(), told("a", **disk | busy), told("b", **disk))
    assert stores_room(stores_visible(principal(), now=NOON)) == (TIB // 4, TIB)


def test_attaching_a_store_in_chinese_is_audited_in_english() -> None:
    worker = beat(host(), told())
    with override("zh-hans"):
        store_attach(worker, path="/mnt/new", is_new=True, by=principal())

    assert AuditEntry.objects.get(action="store.attach").target == f"/mnt/new of {worker.name}"


def test_an_order_is_given_once_and_its_failure_is_kept() -> None:
    worker = beat(host(), told())
    ann = principal()

    command = store_attach(worker, path="/mnt/new/", is_new=True, by=ann)
    again = store_attach(worker, path="/mnt/new", is_new=True, by=ann)

    assert (command, command.args) == (again, {"path": "/mnt/new", "init": "yes"})
    beat(worker, told(), done=(str(command.uuid),), errors={str(command.uuid): "is no folder"})
    command.refresh_from_db()
    assert (command.error, command.done_at) == ("is no folder", NOON)
    for path in ("relative", "/a\0b", "/" + "a" * 600):
        with pytest.raises(BadValue):
            store_attach(worker, path=path, is_new=False, by=ann)
    assert store_attach(worker, path="s3://sectors/p", is_new=False, by=ann).args == {
        "path": "s3://sectors/p"
    }


def test_detaching_is_refused_while_no_other_prover_could_prove_them() -> None:
    prover = beat(host("p1", kinds=PROVER), told())
    factories.sector(factories.miner(), state="PROVING", store="disk")
    row = prover.attachments.get()

    with pytest.raises(StoreRefused, match="1 sector in disk must be proven"):
        store_detach(row, now=NOON, by=principal())
    beat(host("s1"), told())
    with pytest.raises(StoreRefused, match="no other online prover"):
        store_detach(row, now=NOON, by=principal())

    beat(host("p2", kinds=PROVER), told())
    command = store_detach(row, now=NOON, by=principal())
    assert (command.op, command.args) == (Operation.DETACH, {"uid": "uid-disk"})


def test_of_two_provers_one_must_stay() -> None:
    one, two = beat(host("p1", kinds=PROVER), told()), beat(host("p2", kinds=PROVER), told())
    factories.sector(factories.miner(), state="PROVING", store="disk")
    command = store_detach(one.attachments.get(), now=NOON, by=principal())

    with pytest.raises(StoreRefused, match="no other online prover"):
        store_detach(two.attachments.get(), now=NOON, by=principal())

    beat(one, told(), done=(str(command.uuid),), errors={str(command.uuid): "busy"})
    store_detach(two.attachments.get(), now=NOON, by=principal())


def test_a_sealing_host_keeps_the_store_of_sectors_under_way() -> None:
    worker = beat(host(), told())
    sector = factories.sector(factories.miner(), state="SEED_ASSIGNED", store="disk")
    sector.job.sticky_worker = worker
    sector.job.save()

    with pytest.raises(StoreRefused, match="holds 1 sector in progress on u1"):
        store_detach(worker.attachments.get(), now=NOON, by=principal())


def test_a_change_goes_to_a_host_that_is_there_and_labels_stay_here() -> None:
    worker = beat(host(), told())
    store = Store.objects.get()

    command = store_change(
        store,
        changes=StoreChanges(weight=5, read_only=True, labels=["cold", " cold ", ""]),
        now=NOON,
        by=principal(),
    )

    assert command is not None
    assert command.args == {"uid": "uid-disk", "weight": "5", "read_only": "yes"}
    assert Store.objects.get().labels == ["cold"]
    with pytest.raises(BadValue):
        store_change(store, changes=StoreChanges(weight=-1), now=NOON, by=principal())
    with pytest.raises(StoreRefused, match="no online host"):
        store_change(store, changes=StoreChanges(weight=1), now=NOON + timedelta(hours=1), by=principal())
    assert WorkerCommand.objects.filter(worker=worker).count() == 1


def test_strangers_see_no_store() -> None:
    beat(host(), told())
    store = Store.objects.get()

    assert not stores_visible(principal("bob"), now=NOON).exists()
    with pytest.raises(StoreUnknown):
        store_get(principal("bob"), str(store.uuid), now=NOON)
    assert stores_visible(principal(), now=NOON).count() == 1
