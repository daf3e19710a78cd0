"""Sectors are looked at ahead of their window; what is known bad is declared, once and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.proving.models import CheckRun, Deadline, FaultDeclaration, Partition, SectorCheck, WindowPost
from apps.proving.services import checks, fault_declarations
from apps.proving.services.check_results import checks_collect, proof_results_store
from apps.proving.services.checks import checks_begin
from apps.proving.services.fault_declarations import declarations_advance, declarations_begin
from apps.proving.states import CheckKind, DeclarationState
from apps.sectors.models import Job, Sector, Store
from apps.sectors.services.jobs.reports import job_complete
from apps.sectors.states import JobState
from poolsite.filecoin.actors.miner_proving import DeclareFaultsParams
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.filecoin.codec import from_cbor
from poolsite.wire.job_reports import BadSector, Complete
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.killed_writes import killed_writes
from tests.people import tenant
from tests.unit.apps.proving.backup_prover_kills import killed_everywhere
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner
from tests.unit.apps.sectors.sealing import claim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_django import DjangoAssertNumQueries

    from apps.miners.models import Miner
    from apps.sectors.models import Worker
    from poolsite.wire.jobs import Assignment

pytestmark = pytest.mark.django_db

CUTOFF = 960
AHEAD, AGAIN = CUTOFF - 20, CUTOFF - 6
OPENS = CUTOFF + 15
KINDS = (JobKind.WINDOW_POST, JobKind.SECTOR_CHECK)


def waiting(numbers: Sequence[int] = (1, 2), *, faulty: Sequence[int] = (), **data: Any) -> Miner:
    """A miner with one deadline of one partition, of which the cut-off comes at 960."""
    of = miner(**data)
    Deadline.objects.all().delete()
    row = factories.deadline(of, live=len(numbers), open_epoch=OPENS, faulty=len(faulty))
    factories.partition(row, all_sectors=list(numbers), live=list(numbers), faulty=list(faulty))
    return of


def checker(name: str = "p", *, stores: Sequence[str] = ("store-1",)) -> Worker:
    """A prover that looks at sectors too."""
    return factories.worker(name, kinds=list(KINDS), stores=list(stores))


def looked(
    host: Worker,
    bad: Sequence[int] = (),
    *,
    height: int,
    chain: OneDeadline | None = None,
    elsewhere: str = "",
) -> set[int]:
    """A head: looks begin, the host does what it is given, and it is taken; gives what was asked of it."""
    context = look(chain or OneDeadline(), height)
    checks_begin(context)
    asked: set[int] = set()
    for job in _claimed(host):
        assert job.sector_check is not None
        here = {sector.number for sector in job.sector_check.sectors}
        asked |= here
        found = tuple(
            BadSector(number=n, path=f"/s/{n}", reason="is missing", elsewhere=elsewhere)
            for n in bad
            if n in here
        )
        told = Complete(
            token=job.token, proof=b"", faults=tuple(one.number for one in found), bad=found, ms=7
        )
        job_complete(job.id, complete=told, tenant_id=tenant("alice").pk, now=clock.now())
    checks_collect(context)
    return asked


def _claimed(host: Worker) -> Sequence[Assignment]:
    return claim(host, at=clock.now(), kinds=KINDS, stages={}, max=9)


def passed(height: int, chain: OneDeadline | None = None) -> list[str]:
    """A pass over the declarations; gives their states."""
    context = look(chain or OneDeadline(), height)
    declarations_begin(context)
    declarations_advance(context)
    return list(FaultDeclaration.objects.order_by("pk").values_list("state", flat=True))


def known_bad(host: Worker, bad: Sequence[int] = (2,)) -> None:
    """Sectors that two looks have found bad."""
    assert looked(host, bad, height=AHEAD)
    assert looked(host, bad, height=AGAIN) == set(bad)


# Looking ahead


def test_every_sector_is_looked_at_once_two_windows_before_the_cutoff() -> None:
    of, host = waiting(), checker()

    assert looked(host, height=AHEAD - 1) == set()
    assert looked(host, height=AHEAD) == {1, 2}
    assert looked(host, height=AHEAD + 1) == set()

    rows = SectorCheck.objects.filter(miner=of).order_by("number")
    assert [(row.number, row.store, row.host, row.is_good) for row in rows] == [
        (1, "store-1", "p", True),
        (2, "store-1", "p", True),
    ]
    run = CheckRun.objects.get()
    assert (run.kind, run.state, run.count, run.ms, run.sectors) == (CheckKind.AHEAD, "DONE", 2, 7, [])
    assert Job.objects.get().inputs == {}


def test_pace_and_place_in_the_queue_come_from_the_setting(settings: Any) -> None:
    settings.PROVING = {"check_per_s": 3}
    waiting()
    checker()
    checks_begin(look(OneDeadline(), AHEAD))

    job = Job.objects.get()

    assert (job.inputs["per_second"], job.priority, job.time_sensitive) == (3, -1, False)


def test_faulty_sectors_and_other_hosts_are_left_alone() -> None:
    of = waiting((1, 2), faulty=(2,))
    near, far = checker("near"), checker("far", stores=["store-2"])
    factories.sector(of, number=1, state="PROVING", store="store-2")

    assert looked(near, height=AHEAD) == set()
    assert looked(far, height=AHEAD) == {1}


def test_sector_of_unknown_store_is_looked_for_in_all() -> None:
    waiting((1,))
    near, far = checker("near"), checker("far", stores=["store-2"])

    assert looked(near, (1,), height=AHEAD) == {1}
    assert looked(far, height=AHEAD) == {1}

    assert set(SectorCheck.objects.values_list("store", "is_good")) == {("store-1", False), ("store-2", True)}
    assert passed(AGAIN) == [], "one store has it"


def test_a_lost_file_is_bad_though_another_store_has_a_copy() -> None:
    of, host = waiting((1, 2)), checker(stores=["a", "b"])
    for name in "ab":
        Store.objects.create(tenant=of.tenant, uid=f"uid-{name}", name=name)
    for number in (1, 2):
        factories.sector(of, number=number, state="PROVING", store="a")

    assert looked(host, (2,), height=AHEAD, elsewhere="uid-b") == {1, 2}

    [row] = SectorCheck.objects.filter(is_good=False)
    assert (row.number, row.store, row.good_in) == (2, "a", "b")
    assert row.reason == "is missing; b has a good copy"
    job = factories.proof_job(of, worker=host, result={"stores": ["a", "b"], "worker": "p"})
    post = WindowPost(miner=of, deadline_index=row.deadline_index)
    proof_results_store(post, job=job, numbers=[1, 2], context=look(OneDeadline(), AHEAD))
    row.refresh_from_db()
    assert not row.is_good, "a proof that reads the copy makes nothing good"
    assert looked(host, height=AGAIN) == {2}
    row.refresh_from_db()
    assert (row.is_good, row.good_in) == (True, "")


def test_a_sector_that_moved_while_it_was_looked_at_is_not_bad() -> None:
    of, host = waiting((1,)), checker(stores=["a", "b"])
    for name in "ab":
        Store.objects.create(tenant=of.tenant, uid=f"uid-{name}", name=name)
    row = factories.sector(of, number=1, state="PROVING", store="a")
    context = look(OneDeadline(), AHEAD)
    checks_begin(context)
    Sector.objects.filter(pk=row.pk).update(store="b")

    looked(host, (1,), height=AHEAD, elsewhere="uid-b")

    assert not SectorCheck.objects.filter(is_good=False).exists()


def test_without_a_host_in_charge_the_next_head_tries_again() -> None:
    of = waiting()
    factories.sector(of, number=1, state="PROVING", store="elsewhere")
    factories.sector(of, number=2, state="PROVING", store="elsewhere")
    checks_begin(look(OneDeadline(), AHEAD))
    here = checker()
    assert looked(here, height=AHEAD + 1) == set()

    assert looked(checker("late", stores=["elsewhere"]), height=AHEAD + 2) == {1, 2}


def test_a_store_that_is_away_says_nothing_about_the_files() -> None:
    waiting()
    checker()
    checks_begin(look(OneDeadline(), AHEAD))
    Job.objects.update(state=JobState.FAILED, error="/store bears no store's mark: is its disk mounted?")

    checks_collect(look(OneDeadline(), AHEAD + 1))

    run = CheckRun.objects.get()
    assert (run.state, "mark" in run.error) == ("FAILED", True)
    assert not SectorCheck.objects.exists()
    checks_begin(look(OneDeadline(), AHEAD + 2))
    assert CheckRun.objects.filter(state="RUNNING").exists(), "nothing is known: it begins anew"


def test_a_check_that_failed_is_begun_anew_beside_one_that_was_done() -> None:
    of, host = waiting(), checker(stores=["a", "b"])
    for number, store in ((1, "a"), (2, "b")):
        factories.sector(of, number=number, state="PROVING", store=store)
    checks_begin(look(OneDeadline(), AHEAD))
    failed = CheckRun.objects.get(store="b")
    Job.objects.filter(check_run=failed).update(state=JobState.FAILED, error="the store went away")

    assert looked(host, height=AHEAD + 1) == {1}
    assert looked(host, height=AHEAD + 2) == {2}
    assert looked(host, height=AHEAD + 4) == set()

    assert dict(SectorCheck.objects.values_list("number", "is_good")) == {1: True, 2: True}
    assert Deadline.objects.get().checked_open == OPENS


def test_a_store_that_no_host_had_is_checked_once_one_has_it() -> None:
    of, host = waiting(), checker(stores=["a"])
    for number, store in ((1, "a"), (2, "b")):
        factories.sector(of, number=number, state="PROVING", store=store)
    assert looked(host, height=AHEAD) == {1}
    assert looked(host, height=AHEAD + 2) == set()
    assert Deadline.objects.get().stores == ["a", "b"]

    assert looked(checker("late", stores=["b"]), height=AHEAD + 4) == {2}

    assert Deadline.objects.get().checked_open == OPENS


def test_a_check_is_retried_at_intervals_not_at_each_head(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    of, host = waiting(), checker(stores=["a"])
    for number, store in ((1, "a"), (2, "b")):
        factories.sector(of, number=number, state="PROVING", store=store)
    checks_begin(look(OneDeadline(), AHEAD))
    Job.objects.update(state=JobState.FAILED, error="the store went away")
    checks_collect(look(OneDeadline(), AHEAD))
    between = look(OneDeadline(), AHEAD + 1)

    with django_assert_max_num_queries(3):  # no partitions, no sectors, no deletions
        checks_begin(between)

    assert list(CheckRun.objects.values_list("state", flat=True)) == ["FAILED"]
    assert looked(host, height=AHEAD + 2) == {1}


def test_a_check_that_fails_as_soon_as_it_has_begun_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting()
    host = checker()

    def fail_at_once(_change: object) -> None:
        Job.objects.update(state=JobState.FAILED, error="the store went away")
        monkeypatch.undo()
        checks_collect(look(OneDeadline(), AHEAD))

    monkeypatch.setattr(checks, "publish", fail_at_once)
    checks_begin(look(OneDeadline(), AHEAD))

    assert Deadline.objects.get().checked_open is None
    assert looked(host, height=AHEAD + 2) == {1, 2}


# What is known bad


def test_sector_bad_twice_is_declared_before_the_cutoff() -> None:
    of, host = waiting(), checker()
    assert looked(host, (2,), height=AHEAD) == {1, 2}
    assert looked(host, (2,), height=AGAIN - 1) == set()
    assert passed(AGAIN - 1) == [], "one look is none"
    assert looked(host, (2,), height=AGAIN) == {2}

    assert passed(AGAIN) == [DeclarationState.SENT]

    row = FaultDeclaration.objects.get()
    message = Message.objects.get(pk=row.message_id)
    [entry] = from_cbor(DeclareFaultsParams, bytes(message.params)).faults
    assert (entry.deadline, entry.partition, list(entry.sectors)) == (0, 0, [2])
    assert (message.to, message.method, message.expire_epoch) == (of.address, 10, CUTOFF - 1)
    assert passed(AGAIN + 1) == [DeclarationState.SENT], "and not twice"


def test_file_that_comes_back_is_not_declared() -> None:
    waiting()
    host = checker()
    looked(host, (2,), height=AHEAD)
    looked(host, height=AGAIN)

    assert passed(AGAIN) == []
    assert SectorCheck.objects.get(number=2).bad_times == 0


def test_a_sector_of_which_another_store_has_a_copy_is_not_declared() -> None:
    of, host = waiting(), checker(stores=["a", "b"])
    for name in "ab":
        Store.objects.create(tenant=of.tenant, uid=f"uid-{name}", name=name)
    for number in (1, 2):
        factories.sector(of, number=number, state="PROVING", store="a")
    for height in (AHEAD, AGAIN):
        assert 2 in looked(host, (2,), height=height, elsewhere="uid-b")
    assert SectorCheck.objects.get(number=2).bad_times == 2

    assert passed(AGAIN) == [], "it is proven from the copy"

    SectorCheck.objects.filter(number=2).update(good_in="")
    assert passed(AGAIN) == [DeclarationState.SENT], "the copy is gone as well"


def single_look(of: Miner, *, height: int) -> None:
    """Sector 2 found bad once, in a store that no host has any more."""
    known = SectorCheck.objects.get(number=2)
    SectorCheck.objects.create(
        miner=of,
        number=2,
        deadline_index=known.deadline_index,
        store="gone",
        is_good=False,
        checked_at=clock.now(),
        height=height,
        bad_since=height,
        bad_times=1,
    )


def test_an_old_single_look_in_a_lost_store_holds_nothing_up() -> None:
    of = waiting()
    known_bad(checker())
    single_look(of, height=AHEAD - 100)

    assert passed(AGAIN) == [DeclarationState.SENT]


def test_a_single_look_waits_for_the_second_while_there_is_time() -> None:
    of = waiting()
    known_bad(checker())
    single_look(of, height=AHEAD)

    assert passed(AGAIN) == []
    assert passed(CUTOFF - 3) == []
    assert passed(CUTOFF - 2) == [DeclarationState.SENT]


def test_two_looks_close_together_count_as_one() -> None:
    waiting()
    host = checker()
    looked(host, (2,), height=CUTOFF - 3)
    assert looked(host, (2,), height=CUTOFF - 2) == set()

    assert passed(CUTOFF - 2) == []
    assert SectorCheck.objects.get(number=2).bad_times == 1


def test_faulty_recovering_or_terminated_sectors_are_not_declared() -> None:
    class Faulty(OneDeadline):
        def _partition(self, numbers: list[int]) -> dict[str, Any]:
            return super()._partition(numbers) | {"FaultySectors": bitfield_to_json(bitfield_of((2,)))}

    waiting()
    known_bad(checker())

    assert passed(AGAIN, Faulty()) == []
    assert passed(AGAIN, OneDeadline(partitions=[[1]])) == []
    assert passed(AGAIN) == [DeclarationState.SENT]


def test_no_more_than_the_setting_are_declared(settings: Any) -> None:
    settings.PROVING = {"declare_max": 1}
    waiting()
    known_bad(checker(), (1, 2))

    assert passed(AGAIN) == [DeclarationState.SENT]
    assert passed(AGAIN + 1) == [DeclarationState.SENT]
    assert FaultDeclaration.objects.get().sectors == [1]


def test_what_is_declared_is_split_into_messages_of_the_setting(settings: Any) -> None:
    settings.PROVING = {"declaration_max": 1}
    waiting()
    known_bad(checker(), (1, 2))

    assert passed(AGAIN) == [DeclarationState.SENT] * 2
    assert [row.sectors for row in FaultDeclaration.objects.order_by("pk")] == [[1], [2]]


def test_each_partition_has_its_message() -> None:
    waiting()
    Deadline.objects.update(live=4, partitions_count=2)
    Partition.objects.create(deadline=Deadline.objects.get(), index=1, all_sectors=[3, 4], live=[3, 4])
    chain, host = OneDeadline(partitions=[[1, 2], [3, 4]]), checker()
    looked(host, (2, 3), height=AHEAD, chain=chain)
    looked(host, (2, 3), height=AGAIN, chain=chain)

    assert passed(AGAIN, chain) == [DeclarationState.SENT] * 2
    rows = FaultDeclaration.objects.order_by("partition_index")
    assert [(row.partition_index, row.sectors) for row in rows] == [(0, [2]), (1, [3])]


# What becomes of a declaration


def test_a_declaration_that_its_sender_does_not_get_out_is_sent_by_another() -> None:
    first, second = (factories.wallet(balance=5 * factories.FIL).address for _ in range(2))
    waiting(control=[first], worker=second)
    known_bad(checker())
    passed(AGAIN)
    Message.objects.update(wait=Wait.POLICY)

    assert passed(AGAIN + 1) == [DeclarationState.SENT]
    assert dict(Message.objects.values_list("from_addr", "state")) == {first: "FAILED", second: "UNFILLED"}


@pytest.mark.parametrize(
    ("state", "data"),
    [(MessageState.LANDED, {"exit_code": 7}), (MessageState.FAILED, {"error": "marked bad"})],
)
def test_failed_declaration_is_sent_again_until_the_cutoff(state: str, data: dict[str, Any]) -> None:
    waiting()
    known_bad(checker())
    passed(AGAIN)
    Message.objects.update(state=state, **data)

    assert passed(AGAIN + 1) == [DeclarationState.SENT]
    assert Message.objects.count() == 2
    Message.objects.update(state=state, **data)
    assert passed(CUTOFF) == [DeclarationState.FAILED]
    assert Message.objects.count() == 2


def test_landed_declaration_is_done_after_its_window_and_follows_a_reorg() -> None:
    waiting()
    known_bad(checker())
    passed(AGAIN)
    Message.objects.update(state=MessageState.LANDED, exit_code=0)
    assert passed(AGAIN + 1) == [DeclarationState.LANDED]
    Message.objects.update(state=MessageState.FILLED, nonce=1)
    assert passed(AGAIN + 2) == [DeclarationState.SENT]
    Message.objects.update(state=MessageState.LANDED)
    assert passed(CUTOFF + 1) == passed(OPENS + 9) == [DeclarationState.LANDED]

    assert passed(OPENS + 10) == [DeclarationState.DONE]


def test_nothing_is_declared_from_the_cutoff_on() -> None:
    waiting()
    known_bad(checker())

    assert passed(CUTOFF - 1) == []


def test_kill_anywhere_sends_one_message() -> None:
    waiting()
    known_bad(checker())

    def play(kills: int) -> bool:
        def run() -> None:
            context = look(OneDeadline(), AGAIN)
            fault_declarations.declarations_begin(context)
            fault_declarations.declarations_advance(context)

        was_killed = killed_writes(run, after=kills)
        assert passed(AGAIN) == [DeclarationState.SENT]
        [row] = FaultDeclaration.objects.all()
        [message] = Message.objects.filter(kind="declare_faults")
        assert row.message_id == message.pk
        return was_killed

    assert killed_everywhere(play) >= 2


def test_kill_anywhere_in_a_look_leaves_one_result() -> None:
    waiting()
    host = checker()

    def play(kills: int) -> bool:
        was_killed = killed_writes(lambda: checks_begin(look(OneDeadline(), AHEAD)), after=kills)
        assert looked(host, (2,), height=AHEAD) == {1, 2}
        assert CheckRun.objects.count() == 1
        return was_killed

    assert killed_everywhere(play) >= 2
