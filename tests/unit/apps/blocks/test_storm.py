"""Two block services beside each other while parts die, stall or are absent: no win lost, no double block.

Twenty epochs are ten minutes of the main network; `make soak` runs a week's worth of wins of a large miner.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final

import pytest

from apps.blocks.models import Block, Round
from apps.blocks.rounds.miner_round import MinerRound
from apps.blocks.rounds.nodes import HEAD_S, BlockNodes
from apps.blocks.states import RoundState
from apps.chain.errors import NO_PERMISSION, NodeRefused, NodeUnavailable
from apps.chain.node.link import NodeLink, link_to
from apps.core.errors import DomainError
from apps.gateway.errors import SignerAway
from tests.acceptance.pool import dice
from tests.unit.apps.blocks.won_round import STEPS, in_thread, won
from tests.unit.apps.blocks.world import World

AWAY_S: Final = 0.7
TEN_MINUTES: Final = 20
WEEK: Final = 2_000
"""Wins of a miner that wins every tenth epoch of 20,160."""
FAULTS: Final = ("none", "killed", "killed twice", "slow signer", "slow prover", "signer away", "prover away")
WEIGHTS: Final = (4, 4, 2, 2, 2, 1, 1)
UNREACHABLE: Final = {"signer away": RoundState.SIGNER_AWAY, "prover away": RoundState.PROOF_TIMEOUT}
"""Faults by which a win may be lost, with the outcome that says so."""


class Killed(BaseException):
    """What no handler of ours takes."""


victim: ContextVar[tuple[str, str] | None] = ContextVar("victim", default=None)
"""Step and moment at which the service that runs in this context ends."""


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a service end where its context says so."""
    step = MinerRound.step

    @asynccontextmanager
    async def watched(self: MinerRound, name: str) -> Any:
        if victim.get() == (name, "before"):
            raise Killed
        async with step(self, name):
            yield
        if victim.get() == (name, "after"):
            raise Killed

    monkeypatch.setattr(MinerRound, "step", watched)


async def service(
    world: World, *, nulls: int, base: Any, budget_s: float, dies_at: list[tuple[str, str]]
) -> None:
    """Run one service's round; killed, it starts again at once, until it gets through."""
    for place in [*dies_at, None]:
        token = victim.set(place)
        try:
            await world.round(nulls=nulls, base=base, budget_s=budget_s)
            return
        except Killed:
            continue
        finally:
            victim.reset(token)


@contextmanager
def fault(world: World, name: str) -> Iterator[None]:
    """Break a part for one epoch."""
    providers = world.providers
    if name == "slow signer":
        providers.sign_s = 0.1
    elif name == "slow prover":
        providers.proof_s = 0.4
    elif name == "signer away":
        providers.fails["drawrandomparam"] = SignerAway("f3x", "no signer")
    elif name == "prover away":
        providers.proof_s = 60.0
    try:
        yield
    finally:
        providers.sign_s = providers.proof_s = 0.0
        providers.fails.clear()


async def storm(world: World, *, epochs: int, source: random.Random) -> dict[str, int]:
    """Let two services make blocks through random faults; return how the rounds ended."""
    world.devnet.wallet._keys.clear()  # as venus: each header is signed by the signer
    nulls, ended = 0, dict.fromkeys(RoundState.values, 0)
    places = [(step, moment) for step in [*STEPS, "submit"] for moment in ("before", "after")]
    for _ in range(epochs):
        [name] = source.choices(FAULTS, WEIGHTS)
        kills = {"killed": 1, "killed twice": 2}.get(name, 0)
        base = await world.base()
        epoch = base.height + nulls + 1
        budget_s = 1.0 if name == "prover away" else 5.0
        with fault(world, name):
            dies_at = source.choices(places, k=kills)
            await asyncio.gather(
                service(world, nulls=nulls, base=base, budget_s=budget_s, dies_at=dies_at),
                service(world, nulls=nulls, base=base, budget_s=budget_s, dies_at=[]),
            )
        row = await in_thread(lambda at=epoch: Round.objects.select_related("block").get(epoch=at))
        ended[row.state] += 1
        if row.state == RoundState.SUBMITTED:
            assert row.block.cid in map(str, world.devnet.head.tipset.cids)
            nulls = 0
            continue
        assert row.state in {RoundState.NO_WIN, UNREACHABLE.get(name, RoundState.NO_WIN)}, (name, row.reason)
        nulls += 1
    headers: dict[int, set[bytes]] = {}
    for row in await in_thread(lambda: list(Block.objects.all())):
        headers.setdefault(row.height, set()).add(bytes(row.unsigned))
    signed = {to_sign for kind, to_sign in world.providers.signed if kind == "block"}
    assert all(len(found) == 1 for found in headers.values())
    assert len(signed) <= len(headers), "a second header of a height was signed"
    return ended


@pytest.mark.usefixtures("deadly")
async def test_ten_minutes_of_faults_lose_no_win_and_make_no_double_block(world: World) -> None:
    ended = await storm(world, epochs=TEN_MINUTES, source=dice())

    assert ended[RoundState.SUBMITTED] >= TEN_MINUTES // 4, ended


@pytest.mark.slow
@pytest.mark.usefixtures("deadly")
async def test_a_weeks_wins_through_faults(world: World) -> None:
    ended = await storm(world, epochs=WEEK, source=dice())

    assert ended[RoundState.SUBMITTED] >= WEEK // 4, ended


async def test_an_absent_node_costs_no_win(world: World) -> None:
    absent = link_to("http://127.0.0.1:9/rpc/v1", "")
    world.nodes = BlockNodes([absent, world.link], submit=[absent, world.link])

    row = await won(world)

    assert row.state == RoundState.SUBMITTED, row.reason


async def test_a_node_that_hangs_costs_no_win(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and says nothing
        hanging = link_to(f"http://127.0.0.1:{server.getsockname()[1]}/rpc/v1", "")
        world.nodes = BlockNodes([hanging, world.link], submit=[hanging, world.link])
        base = await BlockNodes([world.link], submit=[]).head()

        row = await won(world, base=base, budget_s=6.0)
        hanging.close()

    assert row.state == RoundState.SUBMITTED, row.reason


class Passing:
    """A node that answers as another, but for one thing."""

    def __init__(self, link: NodeLink, thing: str) -> None:
        self.link, self.thing, self.since = link, thing, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.link, name)


class Restarting(Passing):
    """It is away for a moment from the first time that a method is asked for."""

    error: DomainError = NodeUnavailable("connection refused")

    def call(self, method: str, params: Any, **options: Any) -> Any:
        if method == self.thing:
            self.since = self.since or time.monotonic()
        if self.since and time.monotonic() - self.since < AWAY_S:
            raise self.error
        return self.link.call(method, params, **options)


@pytest.mark.parametrize("method", ["MinerGetBaseInfo", "MpoolSelects", "ChainHead", "MinerCreateBlock"])
async def test_the_only_node_restarts_within_the_round_and_costs_no_win(world: World, method: str) -> None:
    base = await world.base()
    links: Any = [Restarting(world.link, method)]
    world.nodes = BlockNodes(links, submit=links)

    row = await won(world, base=base)

    assert row.state == RoundState.SUBMITTED, row.reason
    assert links[0].since


class Syncing(Restarting):
    """It has a tipset a moment later than the node that told it as its head."""

    error = NodeRefused(1, "load tipset: get block bafy2: ipld: could not find bafy2")


@pytest.mark.parametrize("method", ["MinerGetBaseInfo", "MinerCreateBlock", "SyncSubmitBlock"])
async def test_a_node_that_has_the_base_a_moment_later_costs_no_win(world: World, method: str) -> None:
    base = await world.base()
    links: Any = [Syncing(world.link, method)]
    world.nodes = BlockNodes(links, submit=links)

    row = await won(world, base=base)

    assert row.state == RoundState.SUBMITTED, row.reason


class Unable(Passing):
    """It makes no blocks, and says why."""

    def call(self, method: str, params: Any, **options: Any) -> Any:
        if method == "MinerCreateBlock":
            raise NodeRefused(1, self.thing)
        return self.link.call(method, params, **options)


@pytest.mark.parametrize(
    "says", ["key not found", "Key info not found", f"{NO_PERMISSION} 'MinerCreateBlock' (need 'write')"]
)
async def test_a_node_that_may_make_no_blocks_leaves_it_to_the_next(world: World, says: str) -> None:
    links: Any = [Unable(world.link, says), world.link]
    world.nodes = BlockNodes(links, submit=links)

    row = await won(world)

    assert row.state == RoundState.SUBMITTED, row.reason
    world.nodes = BlockNodes(links[:1], submit=links)
    lost = await won(world)
    assert (lost.state, says in lost.reason) == (RoundState.NODE_REFUSED, True)


class Behind(Passing):
    """It has the head's parent only, whatever it is asked for."""

    def call(self, method: str, params: Any, **options: Any) -> Any:
        if method == "ChainHead":
            parents = self.link.call(method, params, **options)["Blocks"][0]["Parents"]
            return self.link.call("ChainGetTipSet", [parents], **options)
        raise NodeRefused(1, f"loading tipset: {self.thing}")


@pytest.mark.parametrize("is_behind_first", [True, False])
async def test_a_healthy_node_that_is_a_tipset_behind_costs_no_win(
    world: World, is_behind_first: bool
) -> None:
    links: Any = [Behind(world.link, "ipld: could not find bafy2"), world.link]
    if not is_behind_first:
        links.reverse()
    world.nodes = BlockNodes(links, submit=links)

    base = await world.nodes.head_heaviest()

    assert (base.key, world.nodes.best) == (world.devnet.head.key, world.link)
    assert await world.nodes.head_heaviest(known=base) is base
    row = await won(world, base=base)
    assert row.state == RoundState.SUBMITTED, row.reason


async def test_the_head_is_not_waited_for_where_a_node_hangs(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hanging = link_to(f"http://127.0.0.1:{server.getsockname()[1]}/rpc/v1", "")
        nodes = BlockNodes([hanging, world.link], submit=[])
        began = time.monotonic()

        base = await nodes.head_heaviest()

        assert (base.key, nodes.best) == (world.devnet.head.key, world.link)
        assert time.monotonic() - began < HEAD_S
        hanging.close()


async def test_where_no_node_tells_its_head_the_first_one_is_quoted() -> None:
    absent = [link_to(f"http://127.0.0.1:{port}/rpc/v1", "") for port in (9, 11)]
    with pytest.raises(NodeUnavailable, match="refused"):
        await BlockNodes(absent, submit=[]).head_heaviest()
    with pytest.raises(NodeUnavailable, match="no readable node"):
        await BlockNodes([], submit=[]).head_heaviest()
