"""A host that never comes back: another one seals its sectors under way, and no deposit is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.sectors.models import Job, JobEvent
from apps.sectors.services.retirement import worker_retire
from tests.integration.sealing.world import PERIOD, SKIP, active_on_chain, fresh, pledged
from workers.console.client import ConsoleRefused

if TYPE_CHECKING:
    from apps.sectors.models import Sector
    from tests.integration.sealing.world import World


def begun(world: World, *, state: str, without: str) -> Sector:
    """A sector that is in a state because its host has no slot for what comes next."""
    world.agent = world.sealer(slots={without: 0})
    (sector,) = pledged(world, world.miner_create())
    world.until(lambda: fresh(sector).state == state, epochs=40)
    return sector


def host_is_gone(world: World, sector: Sector) -> None:
    """Take the host of a sector out of service; another one comes that has none of its files."""
    host = Job.objects.get(sector=sector).sticky_worker
    assert host is not None
    worker_retire(host, now=clock.now())
    old, world.agent = world.agent, world.sealer("another", name="another")
    with pytest.raises(ConsoleRefused):
        old.leases.heartbeat()


def proves(world: World, sector: Sector) -> bool:
    """Return whether the chain has a sector as active, after its first window."""
    world.until(lambda: fresh(sector).active, epochs=2 * PERIOD, stride=SKIP)
    return active_on_chain(world, fresh(sector).miner) == [sector.number]


def done_by(sector: Sector, event: str) -> list[str]:
    """The hosts that reported a stage, in order."""
    events = JobEvent.objects.filter(job__sector=sector, event=event).exclude(worker=None).order_by("pk")
    return list(events.values_list("worker__name", flat=True))


@pytest.mark.parametrize(
    ("state", "without"), [("PIECE_ADDED", "TREE_D"), ("TICKET_ASSIGNED", "PC1"), ("PC2_DONE", "PERSIST")]
)
def test_what_the_chain_does_not_know_begins_again(world: World, state: str, without: str) -> None:
    sector = begun(world, state=state, without=without)
    job = Job.objects.get(sector=sector).uuid

    host_is_gone(world, sector)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=80)

    assert done_by(sector, "ADD_PIECE") == ["sealer-1", "another"]
    assert done_by(sector, "FINALIZE") == ["another"]
    assert Job.objects.get(sector=sector).uuid != job, "what the first one still says is of a job nobody has"
    assert Message.objects.filter(kind="precommit").count() == 1
    assert proves(world, sector)


@pytest.mark.parametrize("state", ["PRECOMMIT_LANDED", "SEED_ASSIGNED"])
def test_a_sector_with_a_pre_commit_gets_the_same_replica(world: World, state: str) -> None:
    sector = begun(world, state=state, without="C1")
    before = fresh(sector)

    host_is_gone(world, sector)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=80)

    after = fresh(sector)
    assert done_by(sector, "PC2") == ["sealer-1", "another"]
    assert (bytes(after.comm_r or b""), after.ticket_epoch) == (
        bytes(before.comm_r or b""),
        before.ticket_epoch,
    )
    assert after.precommit_epoch == before.precommit_epoch
    assert Message.objects.filter(kind="precommit").count() == 1, "no second deposit"
    assert Message.objects.filter(kind="commit").count() == 1
    assert proves(world, sector)


def test_a_committed_sector_needs_its_host_no_more(world: World) -> None:
    sector = begun(world, state="COMMIT_LANDED", without="FINALIZE")

    host_is_gone(world, sector)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=10)

    assert done_by(sector, "ADD_PIECE") == ["sealer-1"]
    assert proves(world, sector)
