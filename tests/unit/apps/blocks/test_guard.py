"""The guard of heights for many winners at once: each gets its row, or its own fault, whoever else asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from apps.blocks.errors import SlashGuard
from apps.blocks.models import Block, Round
from apps.blocks.services.guard import Reservation, blocks_reserve, signed_blocks_store
from apps.blocks.services.mining import mining_set
from apps.blocks.services.rounds import wins_record
from apps.core import clock
from apps.miners.models import Miner
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import miner_grant
from poolsite.devnet.node import Devnet
from poolsite.filecoin.address import id_address
from poolsite.filecoin.block import BlockHeader, BlockMsg
from poolsite.filecoin.cids import Cid
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

MINERS = 5


@pytest.fixture
def header() -> Iterator[BlockHeader]:
    chain = Devnet(":memory:", network="test")
    chain.mine(2)
    yield chain.head.tipset.blocks[0]
    chain.close()


def others(header: BlockHeader) -> tuple[Cid, ...]:
    """Parents that a header does not have."""
    data = bytes(header.parents[0].data)
    return (Cid(data[:-1] + bytes([data[-1] ^ 1])),)


def won(epoch: int, *, count: int = MINERS) -> list[Round]:
    at = clock.now()
    miners = [factories.miner(3000 + number) for number in range(count)]
    for miner in miners:
        miner_grant(tenant=miner.tenant, actor_id=miner.actor_id or 0)
    facts: dict[str, Any] = {
        "epoch": epoch,
        "base_height": epoch - 1,
        "state": "WON",
        "win_count": 1,
        "at": at,
    }
    return wins_record([Round(miner=miner, **facts) for miner in miners])


def asked(
    header: BlockHeader,
    round: Round,
    *,
    height: int = 0,
    parents: tuple[Cid, ...] = (),
    left_s: float = 60,
) -> Reservation:
    made = replace(
        header,
        miner=id_address(round.miner.actor_id or 0),
        height=height or round.epoch,
        parents=parents or header.parents,
        block_sig=None,
    )
    until = clock.now() + timedelta(seconds=left_s)
    return Reservation(BlockMsg(made, (), ()), round, (height or round.epoch) - 1, until)


def test_no_height_is_reserved_once_its_round_has_ended(header: BlockHeader) -> None:
    rounds = won(50, count=2)

    with pytest.raises(TimeoutError):
        blocks_reserve([asked(header, one, left_s=0) for one in rounds])

    assert not Block.objects.exists()


def test_each_winner_of_many_gets_its_own_height(header: BlockHeader) -> None:
    rounds = won(50)

    rows = blocks_reserve([asked(header, one) for one in reversed(rounds)])

    assert [row.round_id for row in rows if isinstance(row, Block)] == [one.pk for one in reversed(rounds)]
    again = blocks_reserve([asked(header, one) for one in rounds])
    assert {row.pk for row in again if isinstance(row, Block)} == {row.pk for row in Block.objects.all()}
    assert Block.objects.count() == MINERS


def test_no_block_of_an_epoch_that_another_program_has_by_now(header: BlockHeader) -> None:
    rounds = won(50, count=2)
    Miner.objects.filter(pk=rounds[0].miner_id).update(works_until=50)
    Miner.objects.filter(pk=rounds[1].miner_id).update(works_until=51)

    moved, stays = blocks_reserve([asked(header, one) for one in rounds])

    assert isinstance(moved, SlashGuard)
    assert "another program makes the miner's block of epoch 50" in moved.reason
    assert isinstance(stays, Block)


def test_no_block_is_signed_for_a_miner_that_was_stopped_meanwhile(header: BlockHeader) -> None:
    rounds = won(50, count=2)
    assert mining_set(rounds[0].miner, is_on=False, principal=SYSTEM)

    stopped, stays = blocks_reserve([asked(header, one) for one in rounds])

    assert isinstance(stopped, SlashGuard)
    assert "block production was stopped" in stopped.reason
    assert isinstance(stays, Block)


def test_a_fault_of_one_winner_is_its_own_alone(header: BlockHeader) -> None:
    rounds = won(50, count=3)
    other = others(header)
    offset, ground, _ = rounds
    [earlier] = blocks_reserve([asked(header, offset, height=49)])
    [below] = blocks_reserve([asked(header, ground, height=49, parents=other)])
    assert isinstance(earlier, Block)
    assert isinstance(below, Block)

    results = blocks_reserve(
        [replace(asked(header, offset), base_height=10), asked(header, ground), asked(header, rounds[2])]
    )

    assert isinstance(results[0], SlashGuard)
    assert "time-offset fault" in results[0].reason
    assert isinstance(results[1], SlashGuard)
    assert "parent-grinding fault" in results[1].reason
    assert isinstance(results[2], Block)
    assert Block.objects.filter(height=50).count() == 1


def test_only_an_unsigned_row_yields_to_a_block_of_the_miner_below(header: BlockHeader) -> None:
    unsigned, signed, absent = rounds = won(50, count=3)
    other = others(header)
    facts: dict[str, Any] = {"epoch": 49, "base_height": 48, "state": "WON", "at": clock.now()}
    earlier = wins_record([Round(miner=one.miner, **facts) for one in rounds])
    below = [asked(header, one, parents=other) for one in earlier]
    rows = blocks_reserve(below)
    assert isinstance(rows[1], Block)
    signed_blocks_store([(rows[1], below[1].block)])

    results = blocks_reserve(
        [
            replace(asked(header, unsigned), has_own=True),
            replace(asked(header, signed), has_own=True),
            asked(header, absent),
        ]
    )

    assert [isinstance(one, SlashGuard) for one in results] == [False, True, True]


def test_two_services_reserve_and_write_the_same_rows(header: BlockHeader) -> None:
    rounds, rows = won(50), {}
    gate = threading.Barrier(2)

    def serve(name: str, order: list[Round]) -> None:
        gate.wait()
        for _ in range(10):
            wins_record([Round(**{f: getattr(one, f) for f in FACTS}) for one in order])
            rows[name] = blocks_reserve([asked(header, one) for one in order])
        connection.close()

    threads = [
        threading.Thread(target=serve, args=(name, order))
        for name, order in (("a", rounds), ("b", rounds[::-1]))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    keys = {name: [row.pk for row in made if isinstance(row, Block)] for name, made in rows.items()}
    assert len(keys["a"]) == MINERS
    assert keys["a"] == keys["b"][::-1]
    assert (Block.objects.count(), Round.objects.count()) == (MINERS, MINERS)


FACTS = ("miner", "epoch", "base_height", "state", "win_count", "at")


def test_signed_headers_are_kept_with_their_own_rows(header: BlockHeader) -> None:
    wanted = [asked(header, one) for one in won(50)]
    rows = blocks_reserve(wanted)

    signed_blocks_store(
        [(row, one.block) for row, one in zip(rows, wanted, strict=True) if isinstance(row, Block)]
    )

    kept = {row.actor_id: row.cid for row in Block.objects.all()}
    assert kept == {one.block.header.miner.actor_id: str(one.block.cid) for one in wanted}
