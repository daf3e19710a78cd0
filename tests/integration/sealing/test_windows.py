"""What happens inside one window on a real chain: files come back, provers fail, kills, other branches."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from apps.messages.models import Message
from apps.messages.services.push import messages_push_batch
from apps.miners.models import Miner
from apps.proving.models import PostNote
from apps.proving.services import submissions
from apps.sectors.models import Job, Sector
from apps.sectors.states import JobState
from poolsite.devnet.forks import reorg
from tests.integration.sealing.windows import (
    brought_back,
    fresh_post,
    hidden,
    landed,
    next_post,
    require_all_active,
)
from tests.integration.sealing.world import PERIOD, World

pytestmark = [
    pytest.mark.xdist_group("pair"),  # one worker seals the two sectors
    pytest.mark.usefixtures("time_stands_still"),
]


@pytest.mark.parametrize("count", [1, 2])
def test_files_that_come_back_within_the_window_cost_nothing(
    world: World, pair: tuple[Miner, list[Sector]], count: int
) -> None:
    miner, sectors = pair
    moved = hidden(world, miner, sectors[:count])
    world.until(PostNote.objects.exists, epochs=PERIOD + 10)
    post = PostNote.objects.latest("pk").post

    brought_back(moved)
    world.until(lambda: fresh_post(post).state in ("LANDED", "MISSED"), epochs=12)

    assert landed(post).skipped == {}
    require_all_active(world, miner, sectors)


def test_a_prover_that_gives_up_again_and_again_costs_no_window(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    miner, sectors = pair
    world.proves = False
    post = next_post(world, miner)
    while world.height < post.open_epoch + 4:
        Job.objects.filter(proof_attempt__post=post, state="READY").update(
            state=JobState.FAILED, error="the kernel child was killed"
        )
        world.epoch()

    world.proves = True
    world.until(lambda: fresh_post(post).state in ("LANDED", "MISSED"), epochs=12)

    landed(post)
    assert post.notes.filter(words__contains="the kernel child was killed").count() >= 3
    require_all_active(world, miner, sectors)


def test_kill_around_the_push_sends_one_message(
    world: World, pair: tuple[Miner, list[Sector]], monkeypatch: Any
) -> None:
    miner, sectors = pair
    deaths = ["before", "after"]

    def killed(requests: Any) -> Any:
        death = deaths.pop(0) if deaths else ""
        if death == "before":
            raise KeyboardInterrupt
        pushed = messages_push_batch(requests)
        if death == "after":
            raise KeyboardInterrupt
        return pushed

    monkeypatch.setattr(submissions, "messages_push_batch", killed)
    post = next_post(world, miner)
    for _ in range(post.close_epoch - world.height):
        with contextlib.suppress(KeyboardInterrupt):
            world.epoch()

    assert deaths == []
    landed(post)
    assert Message.objects.filter(pk__startswith=f"post:{post.uuid}").count() == 1
    require_all_active(world, miner, sectors)


@pytest.mark.parametrize("depth", [2, 6])
def test_a_branch_that_leaves_before_the_challenge_costs_no_window(
    world: World, pair: tuple[Miner, list[Sector]], depth: int
) -> None:
    miner, sectors = pair
    post = next_post(world, miner, states=("SENT", "LANDED"))

    reorg(world.node.devnet, depth)
    world.head_take()
    world.epoch(post.close_epoch - world.height)

    assert fresh_post(post).state == "LANDED"
    codes = Message.objects.filter(pk__startswith=f"post:{post.uuid}", state="LANDED")
    assert list(codes.values_list("exit_code", flat=True)).count(0) == 1
    require_all_active(world, miner, sectors)
