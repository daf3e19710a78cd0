"""Windows that a damocles-worker proves over damocles-manager's JSON-RPC, on a real chain."""

from __future__ import annotations

import pytest

from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.sectors.models import Job, Sector
from poolsite.wire.jobs import JobKind
from tests.integration.sealing.damocles_worker import NAME, DamoclesWorker
from tests.integration.sealing.windows import landed, next_post
from tests.integration.sealing.world import PERIOD, World, active_on_chain
from tests.people import token

pytestmark = pytest.mark.xdist_group("lone")  # one worker seals the sector


def test_a_damocles_worker_proves_a_window_and_one_that_dies_is_replaced(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    miner, sector = lone
    world.proves = False
    line = token("write", of="alice", scopes=["sealer"])
    dying, thread = DamoclesWorker(world, line, name="damocles-0"), DamoclesWorker(world, line)
    dying.ping()
    thread.ping()
    assert thread.prove_windows() == 0, "no window is challenged"
    post = next_post(world, miner)
    given = dying.call(
        "WdPoStAllocateJobs", {"AllowedMiners": None, "AllowedProofTypes": None}, 1, dying.name
    )
    assert len(given) == 1
    assert thread.prove_windows() == 0, "the other one has it"
    held = Job.objects.filter(kind=JobKind.WINDOW_POST, state="LEASED")
    held.update(lease_until=post.created_at)  # no heartbeat came

    assert thread.prove_windows() == 1
    world.until(lambda: WindowPost.objects.get(pk=post.pk).state == "LANDED", epochs=PERIOD)

    post = landed(post)
    assert post.attempts.get(state="USED").host == NAME
    assert dying.call("WdPoStFinishJob", given[0]["Id"], None, "too late") is None
    world.until(lambda: world.height > post.close_epoch + 2, epochs=PERIOD)
    assert active_on_chain(world, miner) == [sector.number]
