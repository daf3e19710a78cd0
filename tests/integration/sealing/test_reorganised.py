"""A branch that has a sector's messages elsewhere: what had landed lands otherwise, or not at all."""

from __future__ import annotations

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import Batch, Sector
from poolsite.devnet.forks import reorg
from tests.integration.sealing.world import PERIOD, World, active_on_chain, fresh, pledged


def proving(world: World) -> tuple[Miner, Sector]:
    """A sector whose commit has landed."""
    miner = world.miner_create()
    (sector,) = pledged(world, miner)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=60)
    return miner, fresh(sector)


def branch_take(world: World, *, depth: int, nulls: int) -> None:
    """Follow a heavier branch that begins with null rounds and has the messages of the old one."""
    reorg(world.node.devnet, depth, nulls=nulls, with_messages=True)
    world.head_take()
    world.epoch(4)


def test_commit_that_another_branch_refused_is_sent_again(world: World) -> None:
    """Pre-commit and commit are in one tipset there: the seed of the commit was not drawn yet."""
    miner, sector = proving(world)

    branch_take(world, depth=9, nulls=0)
    assert Message.objects.get(kind="commit").exit_code != 0
    assert fresh(sector).state == "C2_DONE"
    Sector.objects.filter(pk=sector.pk).update(not_before=None)  # the pause after a failure is over
    world.until(lambda: fresh(sector).active, epochs=3 * PERIOD, stride=2)

    assert active_on_chain(world, miner) == [sector.number]
    assert dict(Batch.objects.filter(kind="commit").values_list("exit_code", "state")) == {
        0: "LANDED",
        Message.objects.exclude(exit_code=0).get().exit_code: "FAILED",
    }


def test_sector_has_the_epochs_of_the_branch_that_its_commit_is_on(world: World) -> None:
    miner, sector = proving(world)
    before = sector.activation

    branch_take(world, depth=6, nulls=5)

    onchain = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert fresh(sector).activation == onchain["Activation"] != before
    assert (sector.state, sector.expiration) == ("PROVING", onchain["Expiration"])
    batch = Batch.objects.get(kind="commit")
    assert batch.landed_height == Message.objects.get(pk=batch.message_id).height == sector.activation


def test_sector_without_its_sealing_files_is_sealed_again_for_another_seed(world: World) -> None:
    """Its pre-commit is at another epoch on the branch: the proof that it has answers another seed."""
    miner, sector = proving(world)
    replica = bytes(sector.comm_r or b"")

    branch_take(world, depth=9, nulls=6)
    world.until(lambda: fresh(sector).active, epochs=3 * PERIOD, stride=2)

    assert active_on_chain(world, miner) == [sector.number]
    assert (bytes(fresh(sector).comm_r or b""), sector.error) == (replica, "")
    assert Batch.objects.filter(kind="precommit").count() == 1
