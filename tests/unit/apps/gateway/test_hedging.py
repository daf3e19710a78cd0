"""A second connection for a slow request: who is asked, whose answer counts, what is never asked twice."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from apps.gateway.errors import NoAnswer, ProviderRefused
from apps.gateway.hedging import (
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    PAUSE_MIN_S,
    LatencyTracker,
    first_answer,
    is_repeatable,
)


class Connection:
    """Answers when told, or fails; knows whether it was asked and given up."""

    def __init__(self, answer: Any = None, *, at_once: bool = False) -> None:
        self.answer = answer
        self.told = asyncio.Event()
        self.asked = self.is_cancelled = False
        if at_once:
            self.told.set()

    async def __call__(self) -> Any:
        self.asked = True
        try:
            await self.told.wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_a_quick_answer_asks_nobody_else():
    first, second = Connection("one", at_once=True), Connection("two", at_once=True)

    assert await first_answer([first, second], pause_s=30) == "one"
    assert not second.asked


async def test_a_slow_connection_is_overtaken_and_given_up():
    first, second = Connection("one"), Connection("two", at_once=True)

    assert await first_answer([first, second], pause_s=0.01) == "two"
    assert first.is_cancelled


async def test_without_a_pause_the_second_is_asked_only_when_the_first_is_gone():
    first, second = Connection(NoAnswer("gone"), at_once=True), Connection("two", at_once=True)
    assert await first_answer([first, second]) == "two"

    slow, idle = Connection("one"), Connection("two", at_once=True)
    waiting = asyncio.create_task(first_answer([slow, idle]))
    await asyncio.sleep(0.05)
    assert not idle.asked
    slow.told.set()
    assert await waiting == "one"


async def test_no_more_than_two_are_asked_at_a_time():
    connections = [Connection("one"), Connection("two"), Connection("three", at_once=True)]
    waiting = asyncio.create_task(first_answer(connections, pause_s=0.01))
    await asyncio.sleep(0.1)

    assert [one.asked for one in connections] == [True, True, False]
    connections[0].told.set()
    assert await waiting == "one"
    assert connections[1].is_cancelled


async def test_a_refusal_is_final_and_a_lost_connection_is_not():
    refuses, slow = Connection(ProviderRefused("no"), at_once=True), Connection("two")
    with pytest.raises(ProviderRefused):
        await first_answer([refuses, slow], pause_s=30)

    lost, good = Connection(NoAnswer("gone"), at_once=True), Connection("two", at_once=True)
    assert await first_answer([lost, good], pause_s=30) == "two"
    with pytest.raises(NoAnswer, match="last"):
        await first_answer([Connection(NoAnswer(why), at_once=True) for why in ("a", "last")], pause_s=30)


async def test_further_connections_are_looked_for_once_the_first_is_slow():
    slow, far = Connection("one"), Connection("far", at_once=True)
    looked = []

    async def more() -> list[Any]:
        looked.append(True)
        return [far]

    assert await first_answer([slow], pause_s=0.01, more=more) == "far"
    assert await first_answer([Connection("one", at_once=True)], pause_s=30, more=more) == "one"
    assert looked == [True]


async def test_further_connections_are_looked_for_again_and_not_without_a_pause(monkeypatch):
    monkeypatch.setattr("apps.gateway.hedging.PAUSE_MIN_S", 0.05)
    slow, late = Connection("one"), Connection("late", at_once=True)
    looked = []

    async def more() -> list[Any]:
        looked.append(asyncio.get_running_loop().time())
        return [late] if len(looked) == 3 else []

    assert await first_answer([slow], pause_s=0.0, more=more) == "late"
    assert min(after - before for before, after in itertools.pairwise(looked)) >= 0.04


async def test_a_caller_that_leaves_takes_its_questions_along():
    first, second = Connection("one"), Connection("two")
    waiting = asyncio.create_task(first_answer([first, second], pause_s=0.01))
    async with asyncio.timeout(5):
        while not second.asked:
            await asyncio.sleep(0.01)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert (first.is_cancelled, second.is_cancelled) == (True, True)


@pytest.mark.parametrize(
    ("method", "address", "is_so"),
    [
        ("WalletSign", "f3abc", True),
        ("WalletSign", "f1abc", True),
        ("WalletSign", "f410fabc", False),
        ("WalletSign", "", False),
        ("ComputeProof", "", True),
        ("SectorsUnsealPiece", "", False),
        ("PolicyTake", "f1abc", False),
    ],
)
def test_only_what_may_be_done_twice_is_asked_twice(method, address, is_so):
    assert is_repeatable(method, address) is is_so


def test_patience_follows_what_answers_took():
    pace = LatencyTracker()
    assert pace.pause_s("WalletSign") == PAUSE_FIRST_S
    for number in range(100):
        pace.note("WalletSign", 0.010 if number < 90 else 0.8)

    assert pace.pause_s("WalletSign") == 0.8
    for _ in range(256):
        pace.note("WalletSign", 0.001)
    assert pace.pause_s("WalletSign") == PAUSE_MIN_S
    for _ in range(256):
        pace.note("WalletSign", 100.0)
    assert pace.pause_s("WalletSign") == PAUSE_MAX_S
    assert pace.pause_s("ComputeProof") == PAUSE_FIRST_S
