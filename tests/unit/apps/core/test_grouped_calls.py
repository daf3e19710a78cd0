"""Calls that are carried out together: none waits for others to come, and each gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from apps.core.grouped_calls import GroupedCalls


class Refused(Exception):
    pass


class Slow:
    """Answers a group once it is let go; a negative number is refused."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.go = asyncio.Event()

    async def __call__(self, asked: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(asked))
        await self.go.wait()
        if 0 in asked:
            raise Refused("all of them")
        return [2 * one if one > 0 else Refused(str(one)) for one in asked]


async def test_who_comes_while_one_runs_goes_with_the_next() -> None:
    slow = Slow()
    calls: GroupedCalls[int, int] = GroupedCalls(slow)
    first = asyncio.create_task(calls(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [asyncio.create_task(calls(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    slow.go.set()

    assert [await one for one in (first, *later)] == [2, 4, 6]
    assert slow.groups == [[1], [2, 3]]
    assert await calls(4) == 8


async def test_a_refusal_is_one_calls_alone_and_a_failure_everybodys() -> None:
    slow = Slow()
    slow.go.set()
    calls: GroupedCalls[int, int] = GroupedCalls(slow)

    good, bad = await asyncio.gather(calls(1), calls(-1), return_exceptions=True)
    assert (good, str(bad)) == (2, "-1")
    both = await asyncio.gather(calls(5), calls(0), return_exceptions=True)
    assert [str(one) for one in both] == ["all of them", "all of them"]
    assert await calls(6) == 12


async def test_who_gives_up_waiting_takes_nothing_from_the_others() -> None:
    slow = Slow()
    calls: GroupedCalls[int, int] = GroupedCalls(slow)
    gone, stays = asyncio.create_task(calls(1)), asyncio.create_task(calls(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    slow.go.set()

    assert await stays == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
