"""Miners of a tenant begin new sectors in turn: no miner's queue, however long, keeps another's waiting."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.sectors.models import Job, Sector
from apps.sectors.selectors.sector_waits import QueuePlace, queue_place
from apps.sectors.services.jobs.claim_statements import NEXT, PLAIN, TAKE
from apps.sectors.services.jobs.reports import job_release
from poolsite.wire.job_reports import Release
from poolsite.wire.jobs import Assignment
from poolsite.wire.sealing_rules import NewSectors
from tests import factories
from tests.bulk_rows import row_copies_insert
from tests.query_plans import blocks_read, plan_run, rows_read
from tests.unit.apps.sectors.sealing import NOON, claim, host

pytestmark = pytest.mark.django_db


@pytest.fixture
def miners() -> list[Miner]:
    """Two of one tenant: the first has a long queue, all of it older than the other's."""
    first, second = factories.miner(2001, of="alice"), factories.miner(2002, of="alice")
    for _ in range(12):
        factories.sector(first)
    for _ in range(3):
        factories.sector(second)
    return [first, second]


def begun(jobs: tuple[Assignment, ...]) -> list[int]:
    """The miners of the sectors that were given, in that order."""
    return [job.seal.miner_id for job in jobs if job.seal is not None]


def test_a_short_queue_is_begun_in_turn_with_a_long_one(miners: list[Miner]) -> None:
    worker = host()

    given = [actor_id for _ in range(8) for actor_id in begun(claim(worker, max=1))]

    assert given == [2001, 2002, 2001, 2002, 2001, 2002, 2001, 2001]


def test_turns_go_on_within_a_claim_and_between_hosts(miners: list[Miner]) -> None:
    first, second = host("u1"), host("u2")

    assert begun(claim(first, max=3)) == [2001, 2002, 2001]
    assert begun(claim(second, max=3)) == [2002, 2001, 2002]


def test_urgent_sectors_and_clients_data_go_before_turns(miners: list[Miner]) -> None:
    data = Job.objects.filter(miner=miners[0]).order_by("-pk")[:2]
    Job.objects.filter(pk__in=[job.pk for job in data]).update(priority=5)

    assert begun(claim(host(), max=4)) == [2001, 2001, 2002, 2001]


def test_a_sector_that_was_given_back_costs_its_miner_no_turn(miners: list[Miner]) -> None:
    worker = host()
    [job] = claim(worker, max=1)
    job_release(job.id, release=Release(token=job.token), tenant_id=miners[0].tenant_id, now=NOON)

    [again] = claim(worker, max=1)

    assert again.id == job.id


def test_a_miner_from_another_tenant_waits_for_one_turn_at_most(miners: list[Miner]) -> None:
    worker = host()
    claim(worker, max=9)
    moved = factories.miner(2003, of="alice")
    factories.sector(moved, held_by=host("u9"))
    Job.objects.filter(miner=moved).update(turn=50_000)
    for _ in range(2):
        factories.sector(moved)

    given = [actor_id for _ in range(5) for actor_id in begun(claim(worker, max=1))]

    assert given == [2001, 2003, 2001, 2003, 2001]


def test_other_work_of_the_same_urgency_is_not_passed_by_turns(miners: list[Miner]) -> None:
    worker = host(kinds=("seal", "unseal"))
    free: dict[str, Any] = {"state": "READY", "worker": None, "lease_until": None}
    lying = factories.sector(miners[0], state="PROVING")
    inputs = {"sector": str(lying.uuid), "offset": 0, "num_bytes": 1}
    facts: dict[str, Any] = {"kind": "unseal", "stage": "UNSEAL", "offered_to": [worker.pk], "inputs": inputs}
    other = factories.proof_job(miners[0], **facts, **free)
    for at, expected in ((NOON - timedelta(days=99), True), (NOON + timedelta(days=99), False)):
        Job.objects.filter(pk=other.pk).update(created_at=at)
        kinds, stages = ("seal", "unseal"), {"ADD_PIECE": 9, "UNSEAL": 9}
        [job] = claim(worker, max=1, kinds=kinds, stages=stages)
        assert (job.id == str(other.uuid)) is expected
        Job.objects.filter(pk=other.pk).update(**free)


def test_a_host_with_rules_begins_in_turn_too(miners: list[Miner], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.sectors.selectors.claim_rules.CHOSEN_MAX", 4)

    given = begun(claim(host(), max=4, takes=NewSectors(takes_data=False)))

    assert Counter(given) == {2001: 2, 2002: 2}


MANY, BLOCKS, ROWS = 100_000, 200, 80


def test_a_claim_reads_as_little_of_100_000_waiting_sectors(miners: list[Miner]) -> None:
    worker, stranger = host(), factories.miner(2009, of="bob")
    of_first, of_stranger = (factories.sector(one).job.pk for one in (miners[0], stranger))
    Job.objects.filter(miner=miners[1]).delete()
    late = factories.sector(miners[1])
    with connection.cursor() as cursor:
        for pk, number in ((of_first, MANY), (of_stranger, MANY // 10)):
            columns = {
                "uuid": "gen_random_uuid()",
                "sector_id": "null",
                "created_at": "created_at - n * interval '1 s'",
            }
            series = f"generate_series(1, {number}) n"
            row_copies_insert(cursor, "sectors_job", of=f"id = {pk}", changed=columns, rows=series)
        cursor.execute("UPDATE sectors_job SET turn = id WHERE id % 2 = 0 AND sector_id IS NULL")
        cursor.execute("ANALYZE sectors_job")
    restore_check(now=NOON)
    asked_by: list[Any] = [NOON, miners[0].tenant_id, worker.pk, [], ["ADD_PIECE"], True]
    barred: list[Any] = [[], None, [], [], [], [], True, None, None]

    with CaptureQueriesContext(connection) as seen:
        assert PLAIN.rows([*asked_by, True])[0][-4] == late.job.pk
        assert NEXT.rows([*asked_by, *barred])[0][0] == late.job.pk
        TAKE.execute([NOON, worker.pk, late.job.pk, miners[0].tenant_id, 1])

    for query in seen:
        how, _, text = query["sql"].rpartition("; ")
        with connection.cursor() as cursor:
            if how:
                cursor.execute(how)
            plan = plan_run(cursor, text)
        assert rows_read(plan, "sectors_job") < ROWS, text
        assert blocks_read(plan) < BLOCKS, text


def test_a_waiting_sector_says_what_is_begun_before_it(miners: list[Miner]) -> None:
    first, second = miners
    queue = list(Sector.objects.filter(miner=first).select_related("job", "miner").order_by("number"))
    Job.objects.filter(sector=queue[5]).update(priority=5)
    third = factories.miner(2003, of="alice")
    stranger = factories.miner(2009, of="bob")
    for one in (third, stranger):
        factories.sector(one, state="PROVING")
    factories.sector(stranger)

    assert [queue_place(queue[place]) for place in (0, 4)] == [QueuePlace(1, 1), QueuePlace(5, 1)]
    queue[5].refresh_from_db()
    assert queue_place(queue[5]) == QueuePlace(0, 1)
    claim(host(), max=1)
    queue[5].refresh_from_db()
    assert queue_place(queue[5]) is None
    Sector.objects.filter(miner=second).delete()
    assert queue_place(queue[4]) == QueuePlace(4, 0)
