"""Sectors sealed over damocles-manager's JSON-RPC, on a real chain, to their proofs."""

from __future__ import annotations

from django.db.models import F

from apps.messages.models import Message
from apps.sectors.models import DamoclesSector, Job, JobEvent, Sector, Worker
from poolsite.wire.pipeline import SectorState
from tests.integration.sealing.damocles import outside, sealed
from tests.integration.sealing.damocles_worker import NAME, DamoclesWorker
from tests.integration.sealing.world import PERIOD, SKIP, WINDOW, World, active_on_chain, fresh, pledged

__all__ = ["outside"]


def kinds_pushed() -> list[str]:
    """Kinds of the sectors' messages, in order."""
    wanted = ["precommit", "commit"]
    return list(Message.objects.filter(kind__in=wanted).order_by("created_at").values_list("kind", flat=True))


def test_a_sector_is_sealed_by_a_damocles_worker_and_proves_itself(
    world: World, outside: DamoclesWorker
) -> None:
    miner = world.miner_create()
    assert outside.call("AllocateSector", {"AllowedMiners": None, "AllowedProofTypes": None}) is None
    (sector,) = pledged(world, miner)
    outside.ping()

    sealed(world, outside, "Finished")

    done = fresh(sector)
    assert (done.state, done.paused_at, done.store) == ("PROVING", None, world.store.name())
    assert outside.sector == {"ID": {"Miner": miner.actor_id, "Number": sector.number}, "ProofType": 5}
    assert kinds_pushed() == ["precommit", "commit"]
    host = Worker.objects.get(name=NAME)
    job = Job.objects.get(sector=sector)
    assert (job.sticky_worker, host.kinds, host.version) == (host, ["damocles"], "v0.13.1")
    steps = list(JobEvent.objects.filter(job=job, seq__isnull=False).values_list("event", "worker__name"))
    events = [*("ADD_PIECE", "BUILD_TREE_D", "PC1", "PC2", "PERSIST", "C1", "C2")]
    assert steps == [(event, NAME) for event in events]
    assert job.events.get(event="FINALIZE").actor == "console", "it proves whether its worker comes back"
    assert DamoclesSector.objects.get().finished_at is not None, "and that came"
    del world.hosts_work  # the pool's own hosts again
    world.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW, stride=SKIP)
    assert active_on_chain(world, miner) == [sector.number]


THREAD = ("state", "sector", "inputs", "ticket", "proof")
"""What a thread keeps on its disk, and has again when it was killed."""


def test_a_worker_that_says_everything_twice_gets_nothing_done_twice(
    world: World, outside: DamoclesWorker
) -> None:
    miner = world.miner_create()
    (sector,) = pledged(world, miner)
    outside.ping()

    seen = []
    for _ in range(60):
        if outside.state == "Finished":
            break
        before = {name: getattr(outside, name) for name in THREAD}
        moved = outside.step()
        for name, value in before.items():
            setattr(outside, name, value)
        if outside.state == "Empty":  # nobody heard the answer: it is given again when the lease is over
            assert outside.call("AllocateSector", {"AllowedMiners": [], "AllowedProofTypes": []}) is None
            Job.objects.filter(sector=sector).update(lease_until=sector.created_at)
            DamoclesSector.objects.update(begun_at=None)
        outside.step()
        if moved:
            seen.append(outside.state)
            outside.report("Empty", "PC1Done" if len(seen) > 8 else "Allocated", "Late")
        else:
            world.epoch(1)

    assert seen[-1] == "Finished"
    assert fresh(sector).state == "PROVING"
    assert kinds_pushed() == ["precommit", "commit"]
    assert Sector.objects.count() == 1
    job = Job.objects.get(sector=sector)
    events = list(job.events.exclude(from_state=F("to_state")).values_list("event", flat=True))
    assert len(events) == len(set(events)), "each step was taken once"
    assert outside.call("PollProofState", outside.sector["ID"]) == {"State": 3, "Desc": None}
    assert outside.report("ProofSubmitted", "Finished", "Finish")["Finalized"] is True
    assert fresh(sector).state == SectorState.PROVING
