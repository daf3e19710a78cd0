"""Sectors that were given up come back only where the chain allows it, and files are never supposed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apps.miners.models import Miner
from apps.sectors.errors.sectors import RestoreRefused
from apps.sectors.models import DAMOCLES, Batch, Job, JobEvent, Sector, Worker, WorkerCommand
from apps.sectors.services.sealing.restore import Restoration, restoration_plan, sector_restore
from apps.sectors.services.sealing.steps import sector_abort
from apps.users.models import AuditEntry
from poolsite.wire.commands import Operation
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.adoptions import comm_r_of
from tests.unit.apps.sectors.reconcile import work
from tests.unit.apps.sectors.removals import beat
from tests.unit.apps.sectors.restore import DATA, Known
from tests.unit.apps.sectors.sealing import DIGEST, NOON, host

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner() -> Miner:
    return factories.miner(1000, sector_size=2048, seal_proof=5)


def aborted(miner: Miner, state: str = "PC2_DONE", *, on: Worker | None = None, **data: Any) -> Sector:
    """A sector that was sealed until somebody aborted it."""
    sector = factories.sector(miner, number=7, state=state, **data)
    Job.objects.filter(sector=sector).update(sticky_worker=on)
    return sector_abort(sector, actor="ann", reason="disk lost", now=NOON)


def restore(sector: Sector, chain: Known, *, force: bool = False) -> Restoration:
    at = work(cast("Any", chain))
    fresh = Sector.objects.select_related("miner", "job").get(pk=sector.pk)
    return sector_restore(fresh, force=force, reason="a mistake", by=principal(), work=at)


def refusal(sector: Sector, chain: Known, *, force: bool = False) -> str:
    at = work(cast("Any", chain))
    fresh = Sector.objects.select_related("miner", "job").get(pk=sector.pk)
    before = list(JobEvent.objects.values_list("pk", flat=True))
    plan = restoration_plan(fresh, force=force, work=at)
    assert list(JobEvent.objects.values_list("pk", flat=True)) == before, "a dry run"
    if plan.refusal:
        with pytest.raises(RestoreRefused):
            restore(sector, chain, force=force)
        assert Sector.objects.get(pk=sector.pk).state == sector.state
    return plan.refusal


def on_chain(**facts: Any) -> Known:
    return Known(live={(1, 0): {7}}, used={7}, **facts)


def test_an_unused_number_is_sealed_anew_by_any_host(miner: Miner) -> None:
    sector = aborted(miner, on=factories.worker(retired_at=NOON), comm_r=DIGEST, ticket=DIGEST, store="s")
    before = Job.objects.get().uuid

    plan = restore(sector, Known())

    row, job = Sector.objects.get(), Job.objects.get()
    assert (plan.state, row.state, job.state, job.stage) == ("ALLOCATED", "ALLOCATED", "READY", "ADD_PIECE")
    assert (row.comm_r, row.ticket, row.store, row.pieces) == (None, None, "", [])
    assert (job.sticky_worker_id, job.worker_id, job.offered_to) == (None, None, None)
    assert job.uuid != before, "a host that removed its files keeps the old job marked as over"
    event = JobEvent.objects.get(event="RESTORE")
    assert (event.from_state, event.to_state, event.note) == ("ABORTED", "ALLOCATED", "a mistake")
    entry = AuditEntry.objects.get(action="sector.restore")
    after = {"state": "ALLOCATED", "paused": False, "reason": "a mistake"}
    assert (entry.target, entry.after) == ("f01000 / 7", after)


def test_a_host_that_has_yet_to_remove_files_is_waited_for(miner: Miner) -> None:
    box = host()
    sector = aborted(miner, on=box)
    assert refusal(sector, Known()) == f"{box.name} has yet to remove its files"

    [told] = beat(box)
    beat(box, told["id"])

    assert refusal(sector, Known()) == ""
    assert restore(sector, Known()).state == "ALLOCATED"


@pytest.mark.parametrize("chain", [Known(), on_chain()], ids=["anew", "proven"])
def test_a_leftover_that_is_to_go_is_waited_for(miner: Miner, chain: Known) -> None:
    sector = aborted(miner, comm_r=comm_r_of(7))
    box = host()
    args = {"uid": "u", "miner_id": "1000", "number": "7", "whole": "yes"}
    order = box.commands.create(op=Operation.REMOVE_LEFTOVER, args=args)
    assert refusal(sector, chain) == f"{box.name} has yet to remove a leftover of it"

    order.delete()

    assert refusal(sector, chain) == ""


def test_clients_data_are_left_out_with_force_alone(miner: Miner) -> None:
    sector = aborted(miner, pieces=DATA)
    assert "use force to seal it without the data" in refusal(sector, Known())

    restore(sector, Known(), force=True)

    assert Sector.objects.get().pieces == []


def test_what_the_chain_has_is_proving_without_its_files(miner: Miner) -> None:
    box = host()
    sector = aborted(miner, "PERSISTED", on=box, comm_r=comm_r_of(7), store="s1")
    assert WorkerCommand.objects.filter(op=Operation.REMOVE).exists()

    plan = restore(sector, on_chain())

    row = Sector.objects.get()
    assert (plan.has_files, row.state, row.store, row.is_without_files) == (False, "PROVING", "", True)
    facts = (row.deadline, row.partition, row.activation, row.expiration, row.initial_pledge)
    assert facts == (1, 0, 107, 900_007, 7)
    assert Job.objects.get().state == "DONE"
    assert beat(box) == [], "its host removes nothing more"


def test_what_nobody_was_told_to_remove_keeps_its_store(miner: Miner) -> None:
    sector = aborted(miner, "PERSISTED", comm_r=comm_r_of(7), store="s1")

    plan = restore(sector, on_chain())

    row = Sector.objects.get()
    assert (plan.has_files, row.store, row.files_lost_at) == (True, "s1", None)


def test_a_terminated_sector_that_lives_is_proving_again(miner: Miner) -> None:
    sector = factories.sector(miner, number=7, state="TERMINATED", comm_r=comm_r_of(7), store="s1")
    Job.objects.filter(sector=sector).update(state="DONE", stage="TERMINATED")
    assert refusal(sector, Known(used={7})) == "it has ended on chain: this cannot be undone"

    restore(sector, on_chain())

    assert Sector.objects.get().state == "PROVING"


def test_what_the_chain_forbids_stays_with_the_reason(miner: Miner) -> None:
    sector = aborted(miner, comm_r=DIGEST)
    assert "its number was used up" in refusal(sector, Known(used={7}))
    assert "its pre-commit is on chain" in refusal(sector, Known(used={7}, precommits={7: (100, DIGEST)}))
    assert "a different replica under its number" in refusal(sector, on_chain())


def test_a_pre_commit_on_its_way_is_waited_for(miner: Miner) -> None:
    facts = {"kind": "precommit", "message_id": "m", "closed_height": 1, "sender": "f01", "method": 28}
    batch = Batch.objects.create(miner=miner, state="SENT", params=b"", **facts)
    sector = aborted(miner, "PRECOMMIT_SENT", comm_r=DIGEST, precommit_batch=batch)
    assert "may still land" in refusal(sector, Known())
    Batch.objects.update(state="FAILED")
    factories.message("m", from_addr="f01", state="FAILED", nonce=4)
    factories.sender("f01", chain_nonce=4)
    assert "may still land" in refusal(sector, Known()), "its nonce is open"
    factories.sender("f01", chain_nonce=5)
    assert refusal(sector, Known()) == ""


def test_who_is_not_given_up_or_was_a_damocles_worker_s_stays(miner: Miner) -> None:
    damocles = factories.worker(kinds=[DAMOCLES])
    sector = aborted(miner, on=damocles)
    assert "a damocles-worker had it" in refusal(sector, Known())
    other = factories.sector(miner, number=8, state="PC1_DONE")
    assert "there is nothing to restore" in refusal(other, Known())
