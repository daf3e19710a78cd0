"""A file that is gone is found ahead of its window and declared before the cut-off: real programs."""

from __future__ import annotations

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.proving.models import CheckRun, FaultDeclaration, SectorCheck, WindowPost
from apps.sectors.models import Sector
from poolsite.wire.jobs import JobKind
from tests.integration.sealing.windows import brought_back, hidden
from tests.integration.sealing.world import PERIOD, World, active_on_chain

pytestmark = pytest.mark.xdist_group("pair")  # one worker seals the two sectors


def test_missing_file_is_declared_and_recovers(world: World, pair: tuple[Miner, list[Sector]]) -> None:
    miner, sectors = pair
    ill, well = sectors
    world.besides = (JobKind.SECTOR_CHECK,)
    world.prover = world.prover_make()
    moved = hidden(world, miner, [ill])

    rows = FaultDeclaration.objects.filter(state="LANDED")
    world.until(rows.exists, epochs=2 * PERIOD)
    declared = rows.get()
    seen = SectorCheck.objects.get(miner=miner, number=ill.number)
    message = Message.objects.get(kind="declare_faults")

    assert (declared.sectors, message.exit_code) == ([ill.number], 0)
    assert message.height is not None
    assert message.height < declared.cutoff_epoch
    assert (seen.is_good, seen.bad_times, seen.store) == (False, 2, world.store.name())
    assert seen.path == str(moved[0][1])
    assert set(CheckRun.objects.values_list("kind", "state")) == {("AHEAD", "DONE"), ("AGAIN", "DONE")}
    assert active_on_chain(world, miner) == [well.number]

    world.epoch(declared.open_epoch + 10 - world.height)
    post = WindowPost.objects.get(miner=miner, open_epoch=declared.open_epoch)
    assert (post.state, post.skipped) == ("LANDED", {}), "the proof leaves nothing out by itself"

    brought_back(moved)
    world.until(lambda: active_on_chain(world, miner) == [ill.number, well.number], epochs=3 * PERIOD)
    assert Message.objects.filter(kind="declare_faults").count() == 1
