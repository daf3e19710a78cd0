"""The service: a round per epoch while it leads, no double block, nothing without power."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError

from apps.blocks.models import Block, MiningDay, Round
from apps.blocks.rounds import producer as producer_module
from apps.blocks.rounds.chores import chores_do
from apps.blocks.rounds.context import RoundContext
from apps.blocks.rounds.nodes import BlockNodes
from apps.blocks.rounds.producer import BlockProducer, clock_of
from apps.blocks.rounds.timing import EpochClock
from apps.blocks.selectors.mining_miners import miners_mining
from apps.blocks.services.retention import rounds_sum_up
from apps.blocks.states import RoundState
from apps.chain.errors import NodeUnavailable
from apps.core.clock import now
from apps.gateway.errors import SignerAway
from apps.miners.models import Miner
from apps.users.services.grants import miner_grant
from poolsite.devnet.clock import WallClock
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.codec import from_cbor
from tests.unit.apps.blocks.won_round import in_thread
from tests.unit.apps.blocks.world import World


@pytest.fixture
def live(transactional_db, pool_redis):
    """A world whose time passes: epochs of a second."""
    made = World(node_clock=WallClock())
    yield made
    made.close()


async def serve(world, seconds, services=1):
    """Run services for a while."""
    stop = asyncio.Event()
    running = [
        asyncio.create_task(
            BlockProducer(nodes=world.nodes, providers=world.providers).run(asked_to_stop=stop.is_set)
        )
        for _ in range(services)
    ]
    await asyncio.sleep(seconds)
    stop.set()
    await asyncio.gather(*running)


async def test_the_chain_moves_by_the_services_blocks(live):
    begin = live.devnet.head.height

    await serve(live, 6, services=2)

    rows = await in_thread(lambda: list(Round.objects.select_related("block").order_by("epoch")))
    submitted = [row for row in rows if row.state == RoundState.SUBMITTED]
    assert len(submitted) >= 2, [(row.epoch, row.state, row.reason) for row in rows]
    assert live.devnet.head.height >= begin + 2
    heights = [to_sign for name, to_sign in live.providers.signed if name == "block"]
    assert len(heights) == len(set(heights))
    await in_thread(lambda: live.follow())
    await in_thread(lambda: chores_do(sums_up=True))
    states = await in_thread(lambda: list(Round.objects.values_list("state", flat=True)))
    assert RoundState.INCLUDED in states


async def test_two_leaders_beside_each_other_make_no_double_block(live, monkeypatch):
    live.devnet.wallet._keys.clear()
    monkeypatch.setattr("apps.blocks.rounds.producer.Leadership.try_lead", lambda _: True)
    monkeypatch.setattr("apps.blocks.rounds.producer.Leadership.still_leads", lambda _: True)

    await serve(live, 6, services=2)

    blocks = await in_thread(lambda: list(Block.objects.values_list("height", "cid")))
    assert len(blocks) >= 2
    headers = {to_sign for name, to_sign in live.providers.signed if name == "block"}
    heights = [from_cbor(BlockHeader, one).height for one in headers]
    assert len(heights) == len(set(heights))
    assert {height for height, cid in blocks if cid} <= set(heights) <= {height for height, _ in blocks}


@pytest.mark.parametrize("is_led", [True, False], ids=["another leads", "the database restarts"])
async def test_who_leads_again_begins_as_after_a_start(world, pool_redis, monkeypatch, is_led):
    """Its clock may have been fast, and its head have stood while nobody looked."""
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)
    await producer._turn()
    await producer.finish()
    before = producer.base, producer.begun_epoch

    def leads(leadership, *, stands_back):
        leadership.is_led_elsewhere = is_led
        return False

    monkeypatch.setattr("apps.blocks.rounds.producer.Leadership.leads", leads)
    asked = iter([False, True])
    await producer.run(asked_to_stop=lambda: next(asked))

    assert (producer.base, producer.begun_epoch) == ((None, -1) if is_led else before)


async def test_without_power_no_node_is_asked(world, pool_redis):
    await in_thread(lambda: Miner.objects.update(qa_power=0))
    asked = BlockNodes([], submit=[])

    producer = BlockProducer(nodes=asked, providers=world.providers)

    assert await producer._turn() > 1
    assert producer.base is None
    await producer.finish()


async def test_epochs_that_a_devnet_slept_through_do_not_pass(world, pool_redis):
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)
    await producer._turn()
    producer.origin -= 100

    await producer._turn()
    await producer.finish()

    assert producer.begun_epoch == world.devnet.head.height
    assert time.time() - producer.origin < 90
    assert not producer.rounds


@pytest.mark.parametrize(
    ("stood_epochs", "stage", "is_made"), [(5, 4, False), (11, 1, False), (11, 4, True), (11, None, True)]
)
async def test_an_old_head_is_built_on_once_the_chain_is_halted(
    world, pool_redis, monkeypatch, stood_epochs, stage, is_made
):
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)
    await producer._turn()
    await producer.finish()
    assert producer.network is not None
    epoch_s = producer.network.epoch_s
    producer.network = replace(producer.network, name="localnet-of-others")
    producer.origin, producer.begun_epoch = time.time() - 50 * epoch_s, -1
    producer.base_since = time.monotonic() - stood_epochs * epoch_s
    runs = None if stage is None else [{"Stage": 4}, {"Stage": stage}]
    ask = BlockNodes.ask

    async def answered(nodes, read, method, *params, until, **options):
        if method == "SyncState":
            return read({"ActiveSyncs": runs})
        return await ask(nodes, read, method, *params, until=until, **options)

    monkeypatch.setattr(BlockNodes, "ask", answered)

    await producer._turn()

    assert bool(producer.rounds) is is_made
    await producer.finish()


@pytest.mark.parametrize(
    ("after_base", "until", "is_drawn"),
    [(1, None, True), (2, None, False), (None, 1, False), (None, 2, True)],
    ids=["from here", "not yet", "no more", "the last"],
)
async def test_no_round_is_drawn_where_another_program_has_the_miner(
    world, pool_redis, after_base, until, is_drawn
):
    base = world.devnet.head.height
    heights = [None if one is None else base + one for one in (after_base, until)]
    await in_thread(lambda: Miner.objects.update(works_from=heights[0], works_until=heights[1]))
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)

    await producer._turn()
    assert producer.network is not None
    await producer._round(world.nodes, producer.network, clock_of(producer.network), 0)
    await producer.finish()

    assert await in_thread(Round.objects.exists) == is_drawn


@pytest.mark.parametrize(("began", "version"), [(0, 27), (-1, 28)], ids=["at the base", "before it"])
async def test_proofs_are_asked_for_in_the_network_version_of_the_base(
    world, pool_redis, monkeypatch, began, version
):
    producer, asked = BlockProducer(nodes=world.nodes, providers=world.providers), []
    await producer._turn()
    assert producer.base is not None
    assert producer.network is not None
    upgraded = replace(producer.network, upgrades=(("FireHorse", producer.base.height + began),))

    def context(**facts):
        asked.append(facts["network_version"])
        return RoundContext(**facts)

    monkeypatch.setattr(producer_module, "RoundContext", context)
    await producer._round(world.nodes, upgraded, clock_of(upgraded), 0)
    await producer.finish()

    assert asked == [version]


@pytest.mark.parametrize("name", ["rounds_read", "rounds_record"])
async def test_a_database_that_restarts_costs_no_round(world, pool_redis, monkeypatch, name):
    work, tries = getattr(producer_module, name), []

    def tried(*args, **kwargs):
        tries.append(args)
        if len(tries) == 1:
            raise OperationalError("the database system is starting up")
        return work(*args, **kwargs)

    monkeypatch.setattr(producer_module, name, tried)
    monkeypatch.setattr("apps.blocks.rounds.context.AWAY_S", 0.05)
    world.providers.fails["drawrandomparam"] = SignerAway("no signer")  # a round that is recorded at its end
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)
    await producer._turn()
    assert producer.network is not None

    await producer._round(world.nodes, producer.network, clock_of(producer.network), 0)
    await producer.finish()

    assert len(tries) >= 2
    assert await in_thread(Round.objects.exists)


async def test_a_hung_selection_of_messages_costs_no_win(world, pool_redis, monkeypatch):
    ask = BlockNodes.ask

    async def hung(nodes, read, method, *params, until, **options):
        if method != "MpoolSelects":
            return await ask(nodes, read, method, *params, until=until, **options)
        await asyncio.sleep(until - time.time())
        raise NodeUnavailable("no response in time")

    monkeypatch.setattr(BlockNodes, "ask", hung)
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)
    await producer._turn()
    assert producer.base is not None
    assert producer.network is not None
    monkeypatch.setattr(EpochClock, "times", lambda *_: world.times(5.0))
    for nulls in range(10):
        world.clock.not_before(producer.base.timestamp + nulls + 1)
        await producer._round(world.nodes, producer.network, clock_of(producer.network), nulls)
        row = await in_thread(Round.objects.order_by("-epoch").first)
        if row.win_count:
            break
    await producer.finish()

    assert (row.state, row.reason) == (RoundState.SUBMITTED, "")


async def test_a_node_that_was_away_is_given_time_to_find_the_newest_head(world, pool_redis, monkeypatch):
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)
    producer.base_since = time.monotonic() - 1_000

    async def away(*_, **__):
        raise NodeUnavailable("no node answers")

    monkeypatch.setattr(BlockNodes, "head_heaviest", away)
    monkeypatch.setattr("apps.blocks.rounds.producer.AWAY_S", 0)

    await producer.turn()
    await producer.finish()

    assert time.monotonic() - producer.base_since < 100


async def test_the_head_is_asked_for_when_a_round_may_begin(world, pool_redis):
    producer = BlockProducer(nodes=world.nodes, providers=world.providers)
    await producer._turn()
    await producer.finish()
    now, base, network = time.time(), producer.base, producer.network
    assert base is not None
    assert network is not None
    producer.begun_epoch = base.height

    producer.base, producer.origin = replace(base, timestamp=int(now) + 1), int(now) + 1.0
    assert producer._rest_s() > 0, "the round on this head begins later"
    producer.origin = now - network.epoch_s
    assert producer._rest_s() == 0, "it begins now"

    producer.begun_epoch, producer.origin = base.height + 1, now
    epoch_s = network.epoch_s
    assert 0 < producer._rest_s() <= min(epoch_s, 1), "a chain with a clock of its own: until its next head"
    producer.origin -= epoch_s
    assert producer._rest_s() == 0


def test_only_miners_whose_tenant_wants_blocks_are_mining(world):
    assert [one.account for one in miners_mining()] == ["alice"]
    assert miners_mining()[0].may_sign

    miner_grant(tenant=world.tenant, actor_id=1000, open_mining=False)

    assert miners_mining() == []


def test_old_rounds_become_sums_and_wins_are_kept(world):
    old = now() - timedelta(days=3)
    common = {"miner": world.miner, "base_height": 1, "at": old, "expected": 0.5}
    Round.objects.bulk_create(
        [
            Round(epoch=1, state=RoundState.NO_WIN, **common),
            Round(epoch=2, state=RoundState.NO_WIN, **common),
            Round(epoch=3, state=RoundState.SIGNER_AWAY, **common),
            Round(epoch=4, state=RoundState.NOT_ELIGIBLE, why_not="barred", **common),
            Round(epoch=5, state=RoundState.INCLUDED, win_count=1, **common),
            Round(epoch=6, state=RoundState.NO_WIN, **(common | {"at": now()})),
        ]
    )

    assert rounds_sum_up(before=now() - timedelta(days=1)) == 4
    assert rounds_sum_up(before=now() - timedelta(days=1)) == 0

    assert sorted(Round.objects.values_list("epoch", flat=True)) == [5, 6]
    day = MiningDay.objects.get()
    assert (day.day, day.rounds, day.eligible, day.missed, day.expected) == (old.date(), 4, 3, 1, 1.0)


def test_times_count_from_when_the_tipset_was_there():
    clock = EpochClock(30, 12, has_own_time=False)
    assert clock.wait_s == 12
    assert EpochClock(2, 1, has_own_time=True).wait_s == pytest.approx(0.8)

    assert clock.origin(1000, seen=1003) == 1000
    assert clock.origin(1000, seen=990) == 990, "our clock is behind"
    assert clock.origin(1000, seen=1100) == 1000
    assert EpochClock(30, 12, has_own_time=True).origin(1000, seen=1100) == 1100

    assert [clock.null_rounds(1000, now=1000 + s) for s in (0, 12, 41, 42, 72)] == [0, 0, 0, 1, 2]
    assert clock.begins(1000, 1) == 1042
    times = clock.times(1000, 1)
    assert (times.origin, times.block_time, times.sign_until, times.submit_until) == (1030, 1060, 1072, 1090)
    assert (times.base_again, times.budget_ms) == (1044, 42_000)
