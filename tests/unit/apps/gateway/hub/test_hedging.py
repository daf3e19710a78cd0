"""A second connection for a slow request: who is asked, whose answer counts, what is never asked twice."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from apps.gateway.errors import NoAnswer, ProviderRefused, ProviderUnable
from apps.gateway.hub.hedging import (
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    PAUSE_MIN_S,
    Attempt,
    LatencyTracker,
    ProcessGone,
    first_answer,
    is_refusal_final,
    is_repeatable,
)
from tests.waiting import until_async


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


def each(*connections: Connection, process: str = "") -> list[Attempt]:
    """Attempts at connections of a process each, or of this one."""
    return [Attempt(one, process or f"web-{place}") for place, one in enumerate(connections)]


async def test_a_quick_answer_asks_nobody_else():
    first, second = Connection("one", at_once=True), Connection("two", at_once=True)

    assert await first_answer(each(first, second), pause_s=30) == "one"
    assert not second.asked


async def test_a_slow_connection_is_overtaken_and_given_up():
    first, second = Connection("one"), Connection("two", at_once=True)

    assert await first_answer(each(first, second), pause_s=0.01) == "two"
    assert first.is_cancelled


async def test_without_a_pause_the_second_is_asked_only_when_the_first_is_gone():
    first, second = Connection(NoAnswer("gone"), at_once=True), Connection("two", at_once=True)
    assert await first_answer(each(first, second)) == "two"

    slow, idle = Connection("one"), Connection("two", at_once=True)
    waiting = asyncio.create_task(first_answer(each(slow, idle)))
    await asyncio.sleep(0.05)
    assert not idle.asked
    slow.told.set()
    assert await waiting == "one"


async def test_no_more_than_two_are_asked_at_a_time():
    connections = [Connection("one"), Connection("two"), Connection("three", at_once=True)]
    waiting = asyncio.create_task(first_answer(each(*connections), pause_s=0.01))
    await asyncio.sleep(0.1)

    assert [one.asked for one in connections] == [True, True, False]
    connections[0].told.set()
    assert await waiting == "one"
    assert connections[1].is_cancelled


async def test_a_refusal_is_final_and_a_lost_connection_is_not():
    refuses, slow = Connection(ProviderRefused("no"), at_once=True), Connection("two")
    with pytest.raises(ProviderRefused):
        await first_answer(each(refuses, slow), pause_s=30)

    gone, good = Connection(NoAnswer("gone"), at_once=True), Connection("two", at_once=True)
    assert await first_answer(each(gone, good), pause_s=30) == "two"
    with pytest.raises(NoAnswer, match="last"):
        await first_answer(
            each(*(Connection(NoAnswer(why), at_once=True) for why in ("a", "last"))), pause_s=30
        )


async def test_a_newcomers_refusal_ends_no_proof_under_way():
    proves, refuses = Connection("proof"), Connection(ProviderRefused("in no store"), at_once=True)
    waiting = asyncio.create_task(
        first_answer(each(proves, refuses), pause_s=0.01, is_refusal_final=is_refusal_final("ComputeProof"))
    )
    await asyncio.sleep(0.1)
    assert (refuses.asked, waiting.done()) == (True, False)
    proves.told.set()
    assert await waiting == "proof"

    lost = Connection(NoAnswer("gone"))
    waiting = asyncio.create_task(
        first_answer(each(lost, refuses), pause_s=0.01, is_refusal_final=is_refusal_final("ComputeProof"))
    )
    await asyncio.sleep(0.1)
    lost.told.set()
    with pytest.raises(ProviderRefused, match="in no store"):
        await waiting
    good = Connection("proof", at_once=True)
    assert await first_answer(each(refuses, good), pause_s=30, is_refusal_final=False) == "proof"
    assert is_refusal_final("WalletSign"), "another signer is not asked for what one's policy refused"


@pytest.mark.parametrize("pause_s", [None, 30])
async def test_one_that_cannot_now_leads_on_and_is_named_if_nobody_can(pause_s):
    locked, gone = (
        Connection(error, at_once=True) for error in (ProviderUnable("wallet locked"), NoAnswer("gone"))
    )
    refuses, good = Connection(ProviderRefused("no rule"), at_once=True), Connection("two", at_once=True)

    assert await first_answer(each(locked, good), pause_s=pause_s) == "two"
    with pytest.raises(ProviderUnable, match="wallet locked"):
        await first_answer(each(locked, gone), pause_s=pause_s)
    good.asked = False
    with pytest.raises(ProviderRefused, match="no rule"):
        await first_answer(each(locked, refuses, good), pause_s=pause_s)
    assert not good.asked, "a policy's refusal is final, whoever was asked before"


@pytest.mark.parametrize("pause_s", [None, 30])
async def test_further_connections_are_asked_when_the_first_cannot_now(pause_s):
    locked, good = Connection(ProviderUnable("wallet locked"), at_once=True), Connection("far", at_once=True)
    found = [each(good)]

    async def more() -> list[Attempt]:
        return found.pop() if found else []

    assert await first_answer(each(locked), pause_s=pause_s, more=more) == "far"
    found = [each(Connection(NoAnswer("gone"), at_once=True))]
    with pytest.raises(ProviderUnable, match="wallet locked"):
        await first_answer(each(locked), pause_s=pause_s, more=more)


async def test_beside_a_silent_process_another_one_is_asked_at_once():
    stale, live = [Connection("a"), Connection("b")], Connection("live", at_once=True)
    looked = []

    async def more() -> list[Attempt]:
        looked.append(True)
        return each(live, process="live") if len(looked) == 2 else []

    async with asyncio.timeout(60):
        assert await first_answer(each(*stale, process="killed"), pause_s=0.01, more=more) == "live"
        first = [*each(*stale, process="killed"), *each(live, process="live")]
        stale[1].asked = False
        assert await first_answer(first, pause_s=0.01) == "live"
    assert not stale[1].asked, "the live process comes before the second connection of the silent one"


@pytest.mark.parametrize("pause_s", [None, 30])
async def test_a_dead_process_is_waited_for_once(pause_s):
    dead = [Connection(ProcessGone("channel closed"), at_once=True) for _ in range(3)]
    live = Connection("live", at_once=True)
    attempts = [*each(*dead, process="killed"), *each(live, process="live")]

    assert await first_answer(attempts, pause_s=pause_s) == "live"
    assert [one.asked for one in dead] == [True, False, False]


async def test_further_connections_are_looked_for_once_the_first_is_slow():
    slow, far = Connection("one"), Connection("far", at_once=True)
    looked = []

    async def more() -> list[Any]:
        looked.append(True)
        return each(far)

    assert await first_answer(each(slow), pause_s=0.01, more=more) == "far"
    assert await first_answer(each(Connection("one", at_once=True)), pause_s=30, more=more) == "one"
    assert looked == [True]


async def test_further_connections_are_looked_for_again_and_not_without_a_pause(monkeypatch):
    monkeypatch.setattr("apps.gateway.hub.hedging.PAUSE_MIN_S", 0.05)
    slow, late = Connection("one"), Connection("late", at_once=True)
    looked = []

    async def more() -> list[Any]:
        looked.append(asyncio.get_running_loop().time())
        return each(late) if len(looked) == 3 else []

    assert await first_answer(each(slow), pause_s=0.0, more=more) == "late"
    assert min(after - before for before, after in itertools.pairwise(looked)) >= 0.04


async def test_a_caller_that_leaves_takes_its_questions_along():
    first, second = Connection("one"), Connection("two")
    waiting = asyncio.create_task(first_answer(each(first, second), pause_s=0.01))
    async with asyncio.timeout(60):
        await until_async(lambda: second.asked)

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
