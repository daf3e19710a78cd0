"""What a block is built on if the head moved while it was made: what lotus' miners build on, too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from apps.blocks.rounds.mining_base import Base, base_followed, base_from_json
from apps.blocks.rounds.nodes import BlockNodes
from apps.blocks.states import RoundState
from poolsite.devnet.node import Devnet
from poolsite.filecoin.address import id_address
from poolsite.filecoin.block import BlockHeader, BlockMsg, Ticket
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.tipset import tipset_new, tipset_to_json
from tests.unit.apps.blocks.won_round import in_thread, won
from tests.unit.apps.blocks.world import World

OWN, A, B, C = 1000, 2001, 2002, 2003


@pytest.fixture(scope="module")
def header() -> Iterator[BlockHeader]:
    chain = Devnet(":memory:", network="test")
    chain.mine(2)
    yield chain.head.tipset.blocks[0]
    chain.close()


def base_of(header: BlockHeader, *miners: int, height: int = 0) -> Base:
    """Return a tipset of these miners' blocks."""
    blocks = [
        replace(
            header,
            miner=id_address(miner),
            ticket=Ticket(bytes([miner % 251]) * 96),
            height=height or header.height,
        )
        for miner in miners
    ]
    return base_from_json(tipset_to_json(tipset_new(blocks)))


@pytest.mark.parametrize(
    ("before", "now", "built_on"),
    [
        ((A, B), (A, B, C), (A, B)),
        ((A, B, C), (A, C), (A, C)),
        ((A, B), (B, C), (B,)),
        ((A,), (B,), (B,)),
        ((A,), (A, OWN), (A, OWN)),
        ((A, OWN), (A,), (A,)),
    ],
    ids=["came late", "was dropped", "both", "another chain", "own came late", "own was dropped"],
)
def test_blocks_that_came_late_are_not_built_on(
    header: BlockHeader, before: tuple[int, ...], now: tuple[int, ...], built_on: tuple[int, ...]
) -> None:
    base = base_of(header, *before)

    followed = base_followed(base, base_of(header, *now), actor_id=OWN)

    assert followed == base_of(header, *built_on)
    assert (followed is base) == (before == built_on)


@pytest.mark.parametrize(("height", "is_taken"), [(-1, False), (1, True)])
def test_a_tipset_of_a_later_epoch_is_built_on(header: BlockHeader, height: int, is_taken: bool) -> None:
    base, head = base_of(header, A, B), base_of(header, C, height=header.height + height)

    assert (base_followed(base, head, actor_id=OWN) is head) == is_taken


async def test_a_win_is_built_without_a_block_that_came_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = await world.base()
    [block] = base.blocks
    late = replace(block, miner=id_address(A), ticket=Ticket(bytes(96)))
    head = base_from_json(tipset_to_json(tipset_new([block, late])))

    async def later(*_: object, **__: object) -> Base:
        return head

    monkeypatch.setattr(BlockNodes, "head", later)
    row = await won(world, base=base)

    assert row.state == RoundState.SUBMITTED, row.reason
    made = await in_thread(lambda: from_cbor(BlockMsg, bytes(row.block.signed)))
    assert made.header.parents == base.key.cids


async def test_the_base_is_read_again_once_doublers_are_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = world.times
    monkeypatch.setattr(world, "times", lambda budget_s: replace(times(budget_s), base_again=time.time() + 1))

    row = await won(world)

    [waited_ms] = [length for name, _, length in row.steps if name == "base"]
    assert (row.state, waited_ms > 200) == (RoundState.SUBMITTED, True)
