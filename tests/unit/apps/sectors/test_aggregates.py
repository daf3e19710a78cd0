"""Commits with one proof for all: asked of a host, waited for, taken where it is cheaper; else one each."""

from __future__ import annotations

import base64
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest

from apps.miners.models import Miner
from apps.miners.states import RoleKind
from apps.sectors.errors.jobs import LeaseLost
from apps.sectors.models import Batch, CommitAggregate, Job, JobEvent, Sector, SectorProof, Worker
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.closing import batches_close
from apps.sectors.services.jobs.reports import job_complete, job_fail
from apps.sectors.states import JobState
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectors3Params
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.deadlines import current_deadline, deadline_to_json
from poolsite.filecoin.gas import MESSAGE_BYTE_GAS
from poolsite.filecoin.policy import network_by_name
from poolsite.filecoin.proof_container import PREFIX
from poolsite.wire.job_reports import Complete, Fail, Level
from poolsite.wire.jobs import Assignment, JobKind
from tests import factories
from tests.killed_writes import killed_writes
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.sealing import DIGEST, NOON, claim, host
from tests.unit.filecoin.groth16.aggregate import AGGREGATES, CASE

pytestmark = pytest.mark.django_db

NETWORK = network_by_name("localnet-poolsite-test")
PROOFS = [bytes.fromhex(proof) for proof in CASE["proofs"]]
SINGLE_GAS, AGGREGATE_GAS = 90_000_000, 40_000_000
SEALED: dict[str, Any] = {
    "state": "C2_DONE",
    "comm_r": bytes([9]) * 31 + b"\0",
    "comm_d": DIGEST[:31] + b"\0",
    "ticket": b"t" * 32,
    "seed": bytes([59]) * 32,
    "ticket_epoch": 90,
    "seed_epoch": 170,
    "precommit_epoch": 150,
    "ready_height": 190,
}
"""A sector whose proof waits to be sent."""


class Chain(SomeSectors):
    """A chain whose trials take gas: so much for each proof, and so much for an aggregate."""

    aggregate_gas = AGGREGATE_GAS
    aggregate_exit = 0

    def state_miner_proving_deadline(self, _miner: str, _key: str) -> Any:
        """Return the first deadline of a period that has just begun."""
        return deadline_to_json(current_deadline(200, 200, NETWORK.proving))

    def do_StateCall(self, message: Any, _key: Any) -> Any:
        params = from_cbor(ProveCommitSectors3Params, base64.b64decode(message["Params"]))
        if params.aggregate_proof:
            code, gas = self.aggregate_exit, self.aggregate_gas
        else:
            code, gas = 0, SINGLE_GAS * len(params.sector_proofs)
        return {"MsgRct": {"ExitCode": code, "GasUsed": gas}, "Error": ""}


def work(chain: Chain, height: int = 200, *, seconds: int = 0, **policy: Any) -> SealingContext:
    """One pass at a height, so many seconds after noon."""
    return SealingContext(
        client=cast("Any", chain),
        network=NETWORK,
        head=factories.head(height),
        now=NOON + timedelta(seconds=seconds),
        policy=SealingPolicy(send_funds=False, worker_away_s=10_000, **policy),
    )


def proven(chain: Chain, count: int = 4, *, proofs: Any = PROOFS) -> list[Sector]:
    """Sectors of one miner whose proofs wait to be sent; the later made have the lower numbers."""
    miner = factories.miner(worker=factories.wallet().address)
    rows = []
    for place in range(count):
        seal = {"comm_r": bytes([place + 1]) * 31 + b"\0", "seed": bytes([place + 50]) * 32}
        row = factories.sector(miner, number=100 - place, **SEALED | seal)
        SectorProof.objects.create(sector=row, proof=proofs[place], seed_epoch=170)
        chain.precommit(row, epoch=150)
        rows.append(row)
    return rows


def aggregator(of: Sector) -> Worker:
    """A prover of the miner's tenant that has the set-up of aggregates."""
    return host("p", kinds=(JobKind.WINDOW_POST, JobKind.AGGREGATE), of=of.miner.tenant.name)


def claimed(worker: Worker) -> Assignment:
    [job] = claim(worker, kinds=(JobKind.AGGREGATE,), stages={})
    return job


def complete(row: Sector, job: Assignment, proof: bytes = AGGREGATES[4]) -> None:
    told = Complete(token=job.token, proof=proof, ms=5)
    job_complete(job.id, complete=told, tenant_id=row.miner.tenant_id, now=NOON)


def params_of(batch: Batch) -> ProveCommitSectors3Params:
    return from_cbor(ProveCommitSectors3Params, bytes(batch.params))


def test_four_proofs_go_as_one_that_a_host_has_made() -> None:
    chain = Chain()
    rows = proven(chain)
    worker = aggregator(rows[0])

    batches_close(work(chain))
    batches_close(work(chain, 201))
    assert not Batch.objects.exists(), "it waits for the host"
    assert Job.objects.filter(kind=JobKind.AGGREGATE).count() == 1

    job = claimed(worker)
    assert job.aggregate is not None
    assert job.aggregate.proofs == tuple(PROOFS[3::-1]), "by the sectors' numbers, as the message has them"
    assert job.aggregate.seeds[0] == bytes(rows[3].seed or b"")
    complete(rows[0], job)
    batches_close(work(chain, 202))

    batch = Batch.objects.get()
    params = params_of(batch)
    assert batch.is_aggregate
    run_saved, proof_gas = 4 * SINGLE_GAS - AGGREGATE_GAS, MESSAGE_BYTE_GAS * len(AGGREGATES[4])
    assert run_saved - proof_gas < batch.gas_saved < run_saved, "the long proof's bytes cost gas too"
    assert (params.aggregate_proof, params.sector_proofs) == (AGGREGATES[4], ())
    assert [one.sector_number for one in params.sector_activations] == [97, 98, 99, 100]
    assert batch.commits.count() == 4
    notes = {event.note for event in JobEvent.objects.filter(event="SEND_COMMIT")}
    assert notes == {f"one proof for 4 sectors, saving {batch.gas_saved:,} gas over single proofs"}
    assert CommitAggregate.objects.get().is_over
    assert Job.objects.get(kind=JobKind.AGGREGATE).inputs == {}, "the proofs are not kept twice"
    batches_close(work(chain, 203))
    assert Batch.objects.count() == 1


def test_nobody_who_aggregates_is_waited_for() -> None:
    chain = Chain()
    rows = proven(chain)
    host("p", kinds=(JobKind.WINDOW_POST,), of=rows[0].miner.tenant.name)

    batches_close(work(chain))

    assert (Batch.objects.get().is_aggregate, CommitAggregate.objects.exists()) == (False, False)
    assert len(params_of(Batch.objects.get()).sector_proofs) == 4


@pytest.mark.parametrize(
    ("count", "policy", "proofs"),
    [
        (3, {}, PROOFS),
        (4, {"aggregate_commits": False}, PROOFS),
        (4, {}, [PREFIX + bytes(50)] * 4),
    ],
)
def test_what_cannot_or_shall_not_be_one_goes_with_a_proof_each(count: int, policy: Any, proofs: Any) -> None:
    chain = Chain()
    rows = proven(chain, count, proofs=proofs)
    aggregator(rows[0])

    batches_close(work(chain, **policy))

    assert not Batch.objects.get().is_aggregate


def test_single_proofs_go_where_they_cost_less_or_the_aggregate_is_refused() -> None:
    for change in ({"aggregate_gas": 4 * SINGLE_GAS + 1}, {"aggregate_exit": 16}):
        chain = Chain()
        for name, value in change.items():
            setattr(chain, name, value)
        rows = proven(chain)
        worker = aggregator(rows[0])
        batches_close(work(chain))
        complete(rows[0], claimed(worker))

        batches_close(work(chain, 201))

        batch = Batch.objects.get(miner=rows[0].miner)
        assert (batch.is_aggregate, len(params_of(batch).sector_proofs)) == (False, 4)


def test_an_aggregate_that_fails_or_is_not_one_is_not_asked_for_again() -> None:
    chain = Chain()
    rows = proven(chain)
    worker = aggregator(rows[0])
    batches_close(work(chain))
    job = claimed(worker)
    fail = Fail(token=job.token, level=Level.PERMANENT, stage="AGGREGATE", error="no powers")
    job_fail(job.id, fail=fail, tenant_id=rows[0].miner.tenant_id, now=NOON)

    batches_close(work(chain, 201))

    assert not Batch.objects.get().is_aggregate
    assert Job.objects.filter(kind=JobKind.AGGREGATE).count() == 1

    others = proven(chain)
    worker = aggregator(others[0])
    batches_close(work(chain, 202))
    complete(others[0], claimed(worker), AGGREGATES[2])
    batches_close(work(chain, 203))
    assert not Batch.objects.get(miner=others[0].miner).is_aggregate


def test_it_is_waited_for_only_so_long() -> None:
    chain = Chain()
    rows = proven(chain)
    worker = aggregator(rows[0])
    batches_close(work(chain))
    job = claimed(worker)
    CommitAggregate.objects.update(created_at=NOON)

    batches_close(work(chain, 201, seconds=899))
    assert not Batch.objects.exists()
    batches_close(work(chain, 202, seconds=901))

    assert not Batch.objects.get().is_aggregate
    with pytest.raises(LeaseLost):
        complete(rows[0], job)


def test_sectors_that_come_meanwhile_go_with_the_next() -> None:
    chain = Chain()
    rows = proven(chain)
    worker = aggregator(rows[0])
    batches_close(work(chain))
    late = factories.sector(
        rows[0].miner, state="C2_DONE", ticket_epoch=90, seed_epoch=170, precommit_epoch=150, ready_height=1
    )
    SectorProof.objects.create(sector=late, proof=PROOFS[5], seed_epoch=170)
    batches_close(work(chain, 201))
    complete(rows[0], claimed(worker))

    batches_close(work(chain, 202))

    assert set(Batch.objects.get(is_aggregate=True).commits.all()) == set(rows)


@pytest.mark.parametrize("is_in_it", [True, False])
def test_a_deposit_that_is_soon_lost_waits_for_no_aggregate(is_in_it: bool) -> None:
    chain = Chain()
    rows = proven(chain)
    aggregator(rows[0])
    batches_close(work(chain, aggregate_wait_s=7200))
    urgent = rows[0]
    if not is_in_it:
        urgent = factories.sector(rows[0].miner, number=7, **SEALED)
        SectorProof.objects.create(sector=urgent, proof=PROOFS[0], seed_epoch=170)
    since = 201 + 60 - NETWORK.max_prove_commit_duration
    Sector.objects.filter(pk=urgent.pk).update(precommit_epoch=since)
    chain.precommits[urgent.number] = (since, bytes(urgent.comm_r or b""))

    for height in (201, 202):
        batches_close(work(chain, height, aggregate_wait_s=7200))

    batch = Batch.objects.get()
    assert (batch.reason, batch.is_aggregate) == ("deadline", False)
    assert Sector.objects.get(pk=urgent.pk).state == "COMMIT_SENT"


def test_a_message_too_small_for_all_has_the_sectors_that_are_due_first() -> None:
    chain = Chain()
    rows = proven(chain)
    since = 200 + 60 - NETWORK.max_prove_commit_duration
    Sector.objects.filter(pk=rows[0].pk).update(precommit_epoch=since)  # of the highest number
    chain.precommits[rows[0].number] = (since, bytes(rows[0].comm_r or b""))

    batches_close(work(chain, aggregate_commits=False, commit_batch_bytes=1))

    batch = Batch.objects.get()
    assert (batch.reason, list(batch.commits.all())) == ("deadline", [rows[0]])


def test_a_sector_that_is_paused_ends_the_aggregate_and_the_others_go() -> None:
    chain = Chain()
    rows = proven(chain)
    aggregator(rows[0])
    batches_close(work(chain))
    type(rows[0]).objects.filter(pk=rows[1].pk).update(paused_at=NOON)

    batches_close(work(chain, 202))

    assert set(Batch.objects.get().commits.all()) == {rows[0], rows[2], rows[3]}
    assert Job.objects.get(kind=JobKind.AGGREGATE).state == JobState.FAILED


@pytest.mark.parametrize("stage", ["asked", "made"])
def test_a_console_that_is_killed_at_any_write_sends_one_batch(stage: str) -> None:
    for writes in range(30):
        chain = Chain()
        rows = proven(chain)
        worker = aggregator(rows[0])
        if stage == "made":
            batches_close(work(chain))
            complete(rows[0], claimed(worker))

        was_killed = killed_writes(partial(batches_close, work(chain, 201)), after=writes)

        batches_close(work(chain, 202))
        for job in claim(worker, kinds=(JobKind.AGGREGATE,), stages={}):
            complete(rows[0], job)
        batches_close(work(chain, 203))
        batch = Batch.objects.get(miner=rows[0].miner)
        assert (batch.is_aggregate, batch.commits.count()) == (True, 4)
        assert not CommitAggregate.objects.filter(is_over=False).exists()
        if not was_killed:
            break
    else:
        pytest.fail("it never ended by itself")


def noninteractive(of: Miner) -> Sector:
    """A sector without pre-commit whose proof waits; its commit needs an aggregate."""
    data: dict[str, Any] = {
        "comm_r": bytes(32),
        "ticket": b"t" * 32,
        "ticket_epoch": 90,
        "seed": bytes([1]) * 32,
    }
    row = factories.sector(of, state="C2_DONE", seal_proof=15, ready_height=190, seed_epoch=170, **data)
    SectorProof.objects.create(sector=row, proof=PROOFS[0], seed_epoch=170)
    return row


def test_an_aggregate_that_nobody_makes_holds_up_no_other_proof_type() -> None:
    chain = Chain()
    rows = proven(chain, 2)
    type(rows[0]).objects.update(paused_at=NOON)
    without = noninteractive(rows[0].miner)
    aggregator(rows[0])
    batches_close(work(chain))
    assert CommitAggregate.objects.get().sectors == [without.pk]
    type(rows[0]).objects.update(paused_at=None)

    batches_close(work(chain, 201))
    batches_close(work(chain, 202))

    assert set(Batch.objects.get().commits.all()) == set(rows)
    assert not CommitAggregate.objects.get().is_over, "it is made all the same"


def test_aggregates_of_two_proof_types_are_made_side_by_side() -> None:
    chain = Chain()
    rows = proven(chain)
    noninteractive(rows[0].miner)
    worker = aggregator(rows[0])

    batches_close(work(chain))
    batches_close(work(chain, 201))

    assert set(CommitAggregate.objects.values_list("seal_proof", "is_over")) == {
        (rows[0].seal_proof, False),
        (15, False),
    }
    for job in claim(worker, kinds=(JobKind.AGGREGATE,), stages={}):
        assert job.aggregate is not None
        if len(job.aggregate.proofs) == 4:
            complete(rows[0], job)
    batches_close(work(chain, 202))
    assert set(Batch.objects.get(is_aggregate=True).commits.all()) == set(rows)


def test_a_needed_aggregate_that_is_late_is_asked_of_another_host() -> None:
    chain = Chain()
    of = factories.miner(worker=factories.wallet().address)
    row = noninteractive(of)
    slow = aggregator(row)
    batches_close(work(chain))
    first = claimed(slow)
    other = host("q", kinds=(JobKind.AGGREGATE,), of=of.tenant.name)
    CommitAggregate.objects.update(created_at=NOON)

    batches_close(work(chain, 201, seconds=3600))
    assert Job.objects.filter(kind=JobKind.AGGREGATE).count() == 1
    batches_close(work(chain, 202, seconds=3601))

    assert Job.objects.filter(kind=JobKind.AGGREGATE).latest("pk").offered_to == [other.pk]
    assert not claim(slow, kinds=(JobKind.AGGREGATE,), stages={})
    assert claimed(other).id != first.id
    with pytest.raises(LeaseLost):
        complete(row, first)


def test_a_host_that_may_not_prove_for_the_miner_is_not_waited_for() -> None:
    chain = Chain()
    rows = proven(chain)
    aggregator(rows[0])
    factories.role(rows[0].miner, "elsewhere", RoleKind.WINDOW)

    batches_close(work(chain))

    assert not Batch.objects.get().is_aggregate
    assert not CommitAggregate.objects.exists()
