"""Claims: each job once, the right one first, only where it may go."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from apps.chain.models import Network
from apps.core import clock
from apps.core.live import Change, changes_deferred
from apps.messages.models import Recovery
from apps.messages.services.recovery.detect import restore_check
from apps.sectors.errors.hosts import WorkerReplaced, WorkerRetired
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.jobs import job_assignment
from apps.sectors.services.hosts.retirement import worker_retire
from apps.sectors.services.jobs.claim_statements import NEXT, PLAIN
from apps.sectors.services.jobs.claims import jobs_claim
from apps.sectors.services.jobs.free_jobs import kinds_free
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.services.sealing.pledge import pledge_create, sectors_begin
from apps.sectors.states import JobState
from poolsite.wire.jobs import Claim, JobKind
from poolsite.wire.sealing_rules import NewSectors
from tests import factories
from tests.bulk_rows import row_copies_insert
from tests.query_plans import blocks_read, plan_run, rows_read
from tests.unit.apps.sectors.roles import proof_job
from tests.unit.apps.sectors.sealing import NOON, claim, host

pytestmark = pytest.mark.django_db


def test_a_claim_gives_inputs_and_a_new_token() -> None:
    sector = factories.sector(factories.miner(actor_id=1234))
    worker = host()

    (job,) = claim(worker)

    row = Job.objects.get()
    assert (job.id, job.token, job.lease_s) == (str(row.uuid), 1, 90)
    assert job.seal is not None
    assert (job.seal.miner_id, job.seal.number, job.seal.stage) == (1234, sector.number, "ADD_PIECE")
    assert (row.state, row.worker, row.sticky_worker) == (JobState.LEASED, worker, worker)


def test_clients_data_goes_before_zeros_that_were_pledged_earlier() -> None:
    miner, worker = factories.miner(), host()
    pledge_create(miner, count=3, actor="ann", now=NOON)
    pieces = [{"size": 2048, "comm_p": "00" * 32, "payload": 7}]
    [sector] = sectors_begin(miner, count=1, now=NOON, allocated=[], pieces=pieces)

    (first,) = claim(worker, max=1)

    assert first.seal is not None
    assert first.seal.number == sector.number
    Job.objects.update(state="READY", stage="PC1", worker=None, sticky_worker=worker)
    Sector.objects.update(state="TICKET_ASSIGNED", ticket=bytes(32), ticket_epoch=9)
    (first,) = claim(worker, max=1)
    assert first.seal is not None
    assert first.seal.number == sector.number, "in the queue of its host, too"


@pytest.mark.parametrize("is_there", [False, True])
def test_a_claim_that_finds_nothing_is_one_question(is_there: bool) -> None:
    if is_there:
        factories.sector(factories.miner(), held_by=host("u2"))
        Job.objects.update(lease_until=NOON + timedelta(seconds=90))
    worker = host()
    restore_check(now=NOON)
    claim(worker)

    assert [text for text in asked(lambda: claim(worker)) if "SAVEPOINT" not in text] == ["job_next_plain"]


def test_a_claim_that_finds_work_is_two_questions() -> None:
    sectors = [factories.sector(factories.miner()) for _ in range(3)]
    worker = host()
    restore_check(now=NOON)
    claim(worker, max=1)

    found = asked(lambda: claim(worker, max=1))

    assert [text for text in found if "SAVEPOINT" not in text] == ["job_next_plain", "job_take"]
    assert Job.objects.filter(sector__in=sectors, state=JobState.LEASED).count() == 2


def asked(do: Callable[[], object]) -> list[str]:
    """What something asks the database, prepared statements by their names."""
    with CaptureQueriesContext(connection) as seen:
        do()
    return [re.sub(r".*EXECUTE (\w+).*", r"\1", query["sql"], flags=re.DOTALL) for query in seen]


def test_a_claim_says_what_the_sectors_row_says() -> None:
    known: dict[str, Any] = {"ticket": b"t" * 32, "ticket_epoch": 5, "comm_d": b"d" * 32, "error": "was bad"}
    pieces = [{"size": 2048, "comm_p": "00" * 32, "payload": 7}]
    worker = host()
    sector = factories.sector(factories.miner(), state="PC1_DONE", pieces=pieces, progress_done=7, **known)
    Job.objects.update(sticky_worker=worker)

    (job,) = claim(worker)

    sector.refresh_from_db()
    assert job == job_assignment(Job.objects.get())
    assert job.seal is not None
    assert (job.seal.ticket, job.seal.comm_r) == (b"t" * 32, None)
    assert (sector.error, sector.progress_done) == ("", 0)


def test_a_restored_database_gives_a_claim_nothing() -> None:
    later = NOON + timedelta(seconds=1)
    factories.sector(factories.miner())
    worker = host()
    restore_check(now=NOON)
    assert Recovery.objects.get().restored_at is None
    before = Recovery.objects.values("fingerprint").get()["fingerprint"]
    Recovery.objects.update(fingerprint=before | {"cluster": "another"})

    assert claim(worker, at=later) == ()

    assert Recovery.objects.get().restored_at == later
    with pytest.raises(WorkerReplaced):
        claim(worker, at=later)
    Recovery.objects.update(sectors_since=None)
    again = host(at=NOON + timedelta(minutes=1))
    (job,) = claim(again)
    assert job.token == int(later.timestamp()), "above all that were given before"


def test_a_host_whose_proofs_the_network_refuses_gets_nothing() -> None:
    factories.sector(factories.miner())
    worker = host()
    restore_check(now=NOON)
    factories.network()
    assert claim(worker, max=1) != ()
    factories.sector(factories.miner())
    Network.objects.update(name="mainnet", updated_at=NOON)

    assert claim(worker) == ()


ROWS_MAX = 60


def test_what_waits_and_what_lapsed_is_found_without_reading_all_jobs() -> None:
    of, holder = factories.miner(), host("u1")
    factories.sector(of)
    lapsed = factories.sector(of, held_by=holder)
    Job.objects.filter(sector=lapsed).update(kind=JobKind.SNAP_UP)
    later = "now() + interval '1 hour'"
    with connection.cursor() as cursor:
        for kind, number, waits in (("seal", 3000, "null"), ("unseal", 9, "null"), ("rebuild", 9, later)):
            columns = {"uuid": "gen_random_uuid()", "sector_id": "null"}
            columns |= {"kind": f"'{kind}'", "not_before": waits}
            first, rows = f"sector_id = {lapsed.pk - 1}", f"generate_series(1, {number}) n"
            row_copies_insert(cursor, "sectors_job", of=first, changed=columns, rows=rows)
        cursor.execute("ANALYZE sectors_job")
        cursor.execute("SET LOCAL enable_seqscan = off")
    now = clock.now() + timedelta(minutes=5)
    tenant = of.tenant_id
    free = {(tenant, "seal"), (tenant, "unseal"), (tenant, "snap_up")}

    with CaptureQueriesContext(connection) as seen:
        assert kinds_free(now) == free
        assert leases_sweep(now=now) == 1
    assert kinds_free(now) == free
    assert kinds_free(now + timedelta(hours=2)) == {*free, (tenant, "rebuild")}

    looks = [query["sql"].partition("EXECUTE ")[2] for query in seen]
    assert [text.partition(" ")[0] for text in looks if text] == ["job_kinds_free", "leases_sweep"]
    for text in filter(None, looks):
        with connection.cursor() as cursor:
            assert rows_read(plan_run(cursor, f"EXECUTE {text}"), "sectors_job") < ROWS_MAX, text


OFFERED, OFFERED_BLOCKS = 100_000, 150


def test_a_claim_reads_of_offered_jobs_those_that_name_its_host() -> None:
    of, ours, theirs = factories.miner(), host("u1"), host("u2")
    row = Job.objects.filter(sector=factories.sector(of))
    row.update(kind=JobKind.SNAP_UP, stage="SNAP_ENCODE", offered_to=[theirs.pk])
    both, other = f"'[{theirs.pk}, {ours.pk}]'", f"'[{theirs.pk}]'"
    named = f"case when n % {OFFERED // 2} = 0 then {both} else {other} end::jsonb"
    kind = "case when n % 2 = 0 then 'snap_up' else 'unseal' end"
    with connection.cursor() as cursor:
        columns = {"uuid": "gen_random_uuid()", "sector_id": "null", "offered_to": named, "kind": kind}
        series = f"generate_series(1, {OFFERED}) n"
        row_copies_insert(cursor, "sectors_job", of=f"id = {row.get().pk}", changed=columns, rows=series)
        cursor.execute("ANALYZE sectors_job")
    restore_check(now=NOON)
    asked_by = [NOON, of.tenant_id, ours.pk, ["unseal", "snap_up", "rebuild"], ["SNAP_ENCODE"], True]
    barred: list[Any] = [[], None, [], [], [], [], True, None, None]
    free = set(Job.objects.filter(offered_to__contains=ours.pk).values_list("pk", flat=True))
    assert len(free) == 2

    with CaptureQueriesContext(connection) as seen:
        assert PLAIN.rows([*asked_by, True])[0][-4] in free
        assert NEXT.rows([*asked_by, *barred])[0][0] in free

    for query in seen:
        how, _, text = query["sql"].rpartition("; ")
        with connection.cursor() as cursor:
            cursor.execute(how)
            plan = plan_run(cursor, text)
        assert rows_read(plan, "sectors_job") < ROWS_MAX, text
        assert blocks_read(plan) < OFFERED_BLOCKS, text


def test_a_sweep_frees_all_that_lapsed_in_one_statement(django_capture_on_commit_callbacks: Any) -> None:
    of, holder = factories.miner(), host("u1")
    held = [factories.sector(of, held_by=holder) for _ in range(3)]
    goes_on, *over = [one.job for one in held]
    Job.objects.filter(pk=goes_on.pk).update(lease_until=NOON + timedelta(seconds=90))
    Job.objects.exclude(pk=goes_on.pk).update(lease_until=NOON)
    tokens = dict(Job.objects.values_list("pk", "lease_token"))

    with changes_deferred() as told, django_capture_on_commit_callbacks(execute=True):
        texts = asked(lambda: leases_sweep(now=NOON + timedelta(seconds=1)))

    assert [text for text in texts if "SAVEPOINT" not in text] == ["leases_sweep"]
    rows = Job.objects.values_list(
        "pk", "state", "worker_id", "sticky_worker_id", "lease_until", "lease_token"
    )
    for pk, state, worker, sticky, until, token in rows:
        is_over = pk != goes_on.pk
        assert (state, worker, sticky) == (
            ("READY", None, holder.pk) if is_over else ("LEASED", holder.pk, holder.pk)
        )
        assert (until is None, token) == (is_over, tokens[pk])
    assert sorted(told, key=lambda one: int(one.pk)) == [Change("job", job.pk, of.tenant_id) for job in over]


def test_a_leased_job_is_not_given_again() -> None:
    factories.sector(factories.miner())
    claim(host("u1"))

    assert claim(host("u2")) == ()


def test_a_job_whose_lease_ran_out_is_given_under_a_higher_token() -> None:
    factories.sector(factories.miner())
    worker = host()
    claim(worker)

    (again,) = claim(worker, at=NOON + timedelta(seconds=91))

    assert again.token == 2


def test_a_sector_stays_with_the_host_that_has_its_files() -> None:
    factories.sector(factories.miner())
    claim(host("u1"))

    assert claim(host("u2"), at=NOON + timedelta(seconds=91)) == ()


def test_another_start_of_the_worker_gets_its_jobs_at_once() -> None:
    factories.sector(factories.miner())
    claim(host("u1", "b1"))

    (again,) = claim(host("u1", "b2"))

    assert again.token == 3, "ending the lease raises the token, so does the claim"


def test_what_an_earlier_start_asks_is_refused() -> None:
    old = host("u1", "b1")
    host("u1", "b2")
    fresh = Worker.objects.get(pk=old.pk)

    with pytest.raises(WorkerReplaced):
        claim_as(fresh, "b1")


def claim_as(worker: Worker, boot_id: str) -> object:
    """Claim under another boot id than the registered one."""
    asked = Claim(worker_id=str(worker.uuid), boot_id=boot_id, kinds=(JobKind.SEAL,), stages={"PC1": 1})
    return jobs_claim(worker, claim=asked, now=NOON)


def test_a_retired_worker_gets_nothing() -> None:
    worker = host()
    worker_retire(worker, now=NOON)
    worker.refresh_from_db()

    with pytest.raises(WorkerRetired):
        claim(worker)


def test_a_stage_without_a_free_slot_is_not_offered() -> None:
    factories.sector(factories.miner())

    assert claim(host(), stages={"ADD_PIECE": 0, "PC1": 3}) == ()


def test_no_more_of_a_stage_than_there_are_slots() -> None:
    miner = factories.miner()
    for _ in range(3):
        factories.sector(miner)

    assert len(claim(host(), stages={"ADD_PIECE": 2})) == 2


def test_a_full_disk_takes_no_new_sectors_but_goes_on_with_its_own() -> None:
    miner, worker = factories.miner(), host()
    factories.sector(miner)
    own = factories.sector(miner, state="PC1_DONE")
    Job.objects.filter(sector=own).update(sticky_worker=worker)

    (job,) = claim(worker, new_sectors=0)

    assert job.id == str(own.job.uuid)


def test_what_is_further_on_goes_first() -> None:
    miner = factories.miner()
    factories.sector(miner, state="TICKET_ASSIGNED")
    late = factories.sector(miner, state="C1_DONE")
    factories.sector(miner)

    (job,) = claim(host(), max=1)

    assert job.id == str(late.job.uuid)


@pytest.mark.parametrize("among", [None, Q()])
def test_proof_whose_window_closes_first_goes_first(among: Q | None) -> None:
    """A job of the open window that was made anew is younger than those of the next one."""
    miner, worker, later = factories.miner(), host(kinds=(JobKind.WINDOW_POST,)), timedelta(minutes=30)
    proof_job(miner, time_sensitive=True, expires_at=NOON + later)
    urgent = proof_job(miner, time_sensitive=True, expires_at=NOON + later / 6)

    kinds = (JobKind.WINDOW_POST,)
    asked = Claim(worker_id=str(worker.uuid), boot_id=worker.boot_id, kinds=kinds, stages={}, max=1)
    (job,) = jobs_claim(worker, claim=asked, now=NOON, among=among).jobs

    assert job.id == str(urgent.uuid)


def test_priority_goes_before_progress() -> None:
    miner = factories.miner()
    factories.sector(miner, state="C1_DONE")
    first = factories.sector(miner)
    Job.objects.filter(sector=first).update(priority=5)

    (job,) = claim(host(), max=1)

    assert job.id == str(first.job.uuid)


@pytest.mark.parametrize("state", ["TREE_D_BUILT", "PERSISTED", "PRECOMMIT_SENT", "COMMIT_SENT", "PROVING"])
def test_what_is_not_the_hosts_to_do_is_not_offered(state: str) -> None:
    factories.sector(factories.miner(), state=state)

    assert claim(host()) == ()


def test_a_paused_sector_is_not_offered() -> None:
    factories.sector(factories.miner(), paused_at=NOON)

    assert claim(host()) == ()


def test_a_strangers_sector_is_not_offered() -> None:
    factories.sector(factories.miner(of="bob"))

    assert claim(host(of="alice")) == ()


def test_a_job_that_pauses_after_a_failure_is_not_offered_before() -> None:
    sector = factories.sector(factories.miner())
    Job.objects.filter(sector=sector).update(not_before=NOON + timedelta(seconds=10))

    assert claim(host()) == ()
    assert len(claim(host(), at=NOON + timedelta(seconds=10))) == 1


def test_the_sweep_frees_what_nobody_renewed() -> None:
    factories.sector(factories.miner())
    claim(host())

    assert leases_sweep(now=NOON + timedelta(seconds=89)) == 0
    assert leases_sweep(now=NOON + timedelta(seconds=91)) == 1
    assert Job.objects.get().state == JobState.READY


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_never_get_the_same_job() -> None:
    miner = factories.miner()
    for _ in range(12):
        factories.sector(miner)
    workers = [host(f"u{number}") for number in range(3)]
    got: list[str] = []
    gate = threading.Barrier(3)

    def ask(worker: Worker) -> None:
        gate.wait()
        while jobs := claim(worker, max=2):
            got.extend(job.id for job in jobs)
        connection.close()

    threads = [threading.Thread(target=ask, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(got) == len(set(got)) == 12


def test_no_new_sector_begins_on_a_full_disk_but_those_in_progress_go_on(settings: Any) -> None:
    factories.sector(factories.miner())
    worker = host()
    settings.DISK_RESERVE_BYTES = 1 << 62
    assert claim(worker) == ()

    settings.DISK_RESERVE_BYTES = 0
    claim(worker)
    settings.DISK_RESERVE_BYTES = 1 << 62

    (again,) = claim(worker, at=NOON + timedelta(seconds=91))
    assert again.token == 2


def test_a_host_begins_what_its_rules_take_and_goes_on_with_all_of_its_own() -> None:
    worker, ours, others = host(), factories.miner(actor_id=1000), factories.miner(actor_id=1001)
    begun = factories.sector(others, state="PIECE_ADDED", held_by=worker)
    Job.objects.update(state=JobState.READY, worker=None, lease_until=None)
    factories.sector(others)
    data = factories.sector(ours, pieces=[{"size": 2048, "comm_p": "00" * 32}])
    zeros = factories.sector(ours)

    jobs = claim(worker, takes=NewSectors(miners=(1000,), takes_data=False))

    assert {job.id for job in jobs} == {str(begun.job.uuid), str(zeros.job.uuid)}
    assert [job.id for job in claim(worker, takes=NewSectors(takes_empty=False))] == [str(data.job.uuid)]
    assert not claim(worker, takes=NewSectors(sizes=(32 << 30,)))
    assert len(claim(worker)) == 1, "the other miner's is still free"


@pytest.mark.parametrize(
    ("takes", "begun"),
    [
        (NewSectors(deals_max=1), {"zeros", "one"}),
        (NewSectors(deals_max=2), {"zeros", "one", "two"}),
        (NewSectors(deal_bytes_min=1024), {"zeros", "two"}),
        (NewSectors(deal_bytes_min=1025), {"zeros"}),
        (NewSectors(deal_bytes_min=512, takes_empty=False, deals_max=1), {"one"}),
        (NewSectors(deal_bytes_min=1, takes_data=False), {"zeros"}),
    ],
)
def test_a_host_begins_sectors_with_as_many_and_as_large_deals_as_it_takes(
    takes: NewSectors, begun: set[str]
) -> None:
    worker, miner = host(), factories.miner(actor_id=1000)

    def piece(size: int, payload: int) -> dict[str, Any]:
        return {"size": size, "comm_p": "00" * 32, "payload": payload}

    filled = {
        "zeros": [],
        "one": [piece(512, 300), piece(512, 0), piece(1024, 0)],
        "two": [piece(512, 300), piece(512, 1), piece(1024, 0)],
    }
    names = {str(factories.sector(miner, pieces=pieces).job.uuid): name for name, pieces in filled.items()}

    jobs = claim(worker, takes=takes, new_sectors=5)

    assert {names[job.id] for job in jobs} == begun
    for one in jobs:
        assert one.seal is not None
        deals = [piece.size for piece in one.seal.pieces if piece.payload_size] if one.seal.pieces else None
        assert takes.takes(miner_id=1000, sector_size=2048, deals=deals), "the host itself agrees"
