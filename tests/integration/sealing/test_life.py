"""From a pledge to a sector that proves itself, on a real chain."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.proving.models import Recovery, WindowPost
from apps.sectors.models import Sector, SectorProof
from apps.sectors.services.sealing.steps import sector_retry
from poolsite.devnet.forks import reorg
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.pipeline import SECTOR_STATES
from tests.integration.sealing.life import money
from tests.integration.sealing.world import PERIOD, SKIP, WINDOW, World, active_on_chain, fresh, pledged

FAULT_FEE_LEAST = 10**14


def test_the_miner_is_made_once(world: World) -> None:
    miner = world.miner_create()

    assert miner.address.startswith("f0")
    assert world.miner_create().pk == miner.pk
    assert Miner.objects.count() == 1


def test_a_pledged_sector_becomes_active_within_a_period_and_stays_so(world: World) -> None:
    miner = world.miner_create()
    (sector,) = pledged(world, miner)

    sealing = world.until(lambda: fresh(sector).state == "PROVING", epochs=30)
    world.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW, stride=SKIP)

    assert sealing < 30, "the page promises less than a minute of the demo network's epochs"
    for _ in range(3):
        world.epoch(PERIOD, stride=SKIP)
        assert active_on_chain(world, miner) == [sector.number]
        assert fresh(sector).active
    posts = WindowPost.objects.filter(miner=miner)
    assert {post.state for post in posts} == {"LANDED"}
    assert posts.count() == 4, "one proof in each period"
    assert not Sector.objects.exclude(paused_at=None).exists()
    assert precommits_and_commits(world, miner) == (1, 1)


def test_sectors_go_to_the_chain_together(world: World) -> None:
    miner = world.miner_create()
    sectors = pledged(world, miner, count=4)

    world.until(lambda: all(fresh(sector).state == "PROVING" for sector in sectors), epochs=40)

    assert {sector.number for sector in sectors} == {0, 1, 2, 3}
    precommits, commits = precommits_and_commits(world, miner)
    assert precommits < 4
    assert commits == 2, "two proofs of this size fill a message"
    world.until(lambda: active_on_chain(world, miner) == [0, 1, 2, 3], epochs=2 * PERIOD, stride=SKIP)


@pytest.mark.slow
def test_a_second_pledge_does_not_meet_the_first(world: World) -> None:
    miner = world.miner_create()
    first = pledged(world, miner)
    world.epoch(5)
    second = pledged(world, miner)

    world.until(lambda: all(fresh(one).active for one in (*first, *second)), epochs=2 * PERIOD, stride=SKIP)

    assert active_on_chain(world, miner) == [0, 1]


@pytest.mark.xdist_group("lone")  # one worker seals the sector
def test_a_withheld_proof_costs_power_at_once_and_fees_later_and_both_end(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    miner, sector = lone
    assert power(world, miner) == 2048
    before = money(world, miner)

    world.proves = False
    world.until(lambda: power(world, miner) == 0, epochs=PERIOD + WINDOW, stride=SKIP)
    assert not fresh(sector).active
    assert fresh(sector).state == "PROVING", "the state stays, only `active` follows the chain"
    after_first = money(world, miner)
    assert before - after_first < FAULT_FEE_LEAST, "the first missed period costs no fault fee"
    assert WindowPost.objects.filter(miner=miner, state="MISSED").count() == 1

    world.epoch(PERIOD, stride=SKIP)
    after_second = money(world, miner)
    assert after_first - after_second > FAULT_FEE_LEAST, "from the second on it does"

    world.proves = True
    world.until(lambda: power(world, miner) == 2048, epochs=2 * PERIOD, stride=SKIP)
    assert fresh(sector).active
    assert Recovery.objects.filter(miner=miner).latest("pk").state in ("LANDED", "RECOVERED")
    world.epoch(PERIOD, stride=SKIP)
    assert after_second - money(world, miner) < FAULT_FEE_LEAST + 10**17


@pytest.mark.xdist_group("pair")  # one worker seals the two sectors
def test_a_lost_file_costs_only_its_own_sector(world: World, pair: tuple[Miner, list[Sector]]) -> None:
    miner, (bad, good) = pair
    files = world.store.files(
        seal_parameters(bad.seal_proof), miner_id=miner.actor_id or 0, number=bad.number
    )
    hidden = files.sealed.with_name("hidden")
    files.sealed.rename(hidden)

    world.until(lambda: active_on_chain(world, miner) == [good.number], epochs=PERIOD + WINDOW, stride=SKIP)
    world.epoch(2)

    assert not fresh(bad).active
    assert fresh(good).active
    hidden.rename(files.sealed)
    world.until(lambda: len(active_on_chain(world, miner)) == 2, epochs=2 * PERIOD, stride=SKIP)


def test_a_sealing_host_that_starts_again_goes_on_where_it_was(world: World) -> None:
    miner = world.miner_create()
    (sector,) = pledged(world, miner)
    seen: list[str] = []

    def restarted() -> bool:
        world.agent = world.sealer()
        seen.append(fresh(sector).state)
        return fresh(sector).state == "PROVING"

    world.until(restarted, epochs=60)

    assert precommits_and_commits(world, miner) == (1, 1)


def power(world: World, miner: Miner) -> int:
    """The miner's raw power on the chain."""
    return int(world.ask("StateMinerPower", miner.address, [])["MinerPower"]["RawBytePower"])


def precommits_and_commits(world: World, miner: Miner) -> tuple[int, int]:
    """How many messages of either kind landed for the miner."""
    landed = Message.objects.filter(to=miner.address, state="LANDED", exit_code=0)
    return landed.filter(method=28).count(), landed.filter(method=34).count()


@pytest.mark.parametrize(
    "state",
    [
        "PRECOMMIT_LANDED",
        pytest.param("PRECOMMIT_SENT", marks=pytest.mark.slow),
        pytest.param("C2_DONE", marks=pytest.mark.slow),
        pytest.param("COMMIT_LANDED", marks=pytest.mark.slow),
    ],
)
def test_a_reorganisation_on_the_way_costs_time_and_nothing_else(world: World, state: str) -> None:
    miner = world.miner_create()
    (sector,) = pledged(world, miner)
    order = SECTOR_STATES.index
    world.until(lambda: order(fresh(sector).state) >= order(state), epochs=40)

    reorg(world.node.devnet, 4)
    world.head_take()

    world.until(lambda: fresh(sector).active, epochs=3 * PERIOD, stride=2)
    assert fresh(sector).paused_at is None
    assert active_on_chain(world, miner) == [sector.number]
    assert precommits_and_commits(world, miner) == (1, 1)


def test_a_wrong_proof_is_seen_before_it_is_sent_and_holds_up_no_other(world: World, settings: Any) -> None:
    miner = world.miner_create()
    settings.SEALING = {"commit_wait_epochs": 99}
    bad, good = pledged(world, miner, count=2)
    world.until(lambda: {fresh(bad).state, fresh(good).state} == {"C2_DONE"}, epochs=40)
    proof = SectorProof.objects.get(sector=bad)
    whole = bytearray(proof.proof)
    whole[len(whole) // 2] ^= 1
    proof.proof = bytes(whole)
    proof.save()

    settings.SEALING = {"attempts_max": 1}
    world.until(lambda: fresh(good).state == "PROVING", epochs=20)

    assert (fresh(bad).state, bad.paused_at is not None) == ("C2_DONE", True)
    assert "the chain would refuse the commit" in bad.error
    assert precommits_and_commits(world, miner)[1] == 1
    sector_retry(bad, actor="ann", now=clock.now(), state="SEED_ASSIGNED")
    world.until(lambda: fresh(bad).state == "PROVING", epochs=20)
