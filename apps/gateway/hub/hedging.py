"""Sending a request to a second connection when the first is slow: only for what may be done twice.

What it mends: ipfs-force-community/sophon-gateway types/base_event.go SendRequest waits for the first one,
and tries the others only after that has failed.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.gateway.errors import NoAnswer, ProviderRefused, ProviderUnable

Json = Any

AT_ONCE: Final = 2
"""Connections that are asked the same thing at a time; one more if one process holds them all."""
PAUSE_MIN_S: Final = 0.25
PAUSE_MAX_S: Final = 5.0
PAUSE_FIRST_S: Final = 1.0
"""Patience before anything is known of a method."""
TIMES_KEPT: Final = 256
PROOF: Final = "ComputeProof"
REPEATABLE_KEYS: Final = frozenset("13")
"""Protocols of keys whose signature of the same bytes says the same: secp256k1 and BLS."""


def is_repeatable(method: str, address: str = "") -> bool:
    """Return whether asking two connections does no more than asking one."""
    return method == PROOF or (method == "WalletSign" and address[1:2] in REPEATABLE_KEYS)


def is_refusal_final(method: str) -> bool:
    """Return whether one provider's refusal speaks for the others: not where files are lost."""
    return method != PROOF


def is_final(error: BaseException, *, is_refusal_final: bool) -> bool:
    """Return whether no other connection is asked after this failure.

    After one that went away or cannot do it now, others are.
    """
    if isinstance(error, ProviderRefused):
        return is_refusal_final and not isinstance(error, ProviderUnable)
    return not isinstance(error, NoAnswer)


class LatencyTracker:
    """How long answers took lately, by method."""

    def __init__(self) -> None:
        self.times: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=TIMES_KEPT))

    def note(self, method: str, seconds: float) -> None:
        """Note how long an answer took."""
        self.times[method].append(seconds)

    def pause_s(self, method: str) -> float:
        """Return the time after which a second connection is asked: longer than 19 of 20 answers took."""
        times = sorted(self.times[method])
        if len(times) < AT_ONCE:
            return PAUSE_FIRST_S
        return min(max(times[len(times) * 95 // 100], PAUSE_MIN_S), PAUSE_MAX_S)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection that may be asked, and the process that holds it."""

    ask: Callable[[], Awaitable[Json]]
    process: str


class ProcessGone(NoAnswer):
    """The process that held the connection is dead, and so are all others that it held."""


async def first_answer(
    attempts: Sequence[Attempt],
    *,
    pause_s: float | None = None,
    more: Callable[[], Awaitable[Sequence[Attempt]]] | None = None,
    is_refusal_final: bool = True,
) -> Json:
    """Try one connection after the other until one answers; what it answers is final, mostly a refusal too.

    With `pause_s`, the next is asked beside one that is slower than that; `more` gives further ones when
    there is none left, and is asked again after each pause.  Connections of one process may all be silent
    because it was killed: beside them one of another process is asked, first of all.  Whoever is not waited
    for any more is cancelled, so that its answer finds nobody.  Where a refusal is not final, the others are
    waited for, or asked, at last those that `more` gives.
    Raises such a refusal, or else the last NoAnswer, when nobody answered.
    """
    try:
        if pause_s is None:
            return await _in_turn(attempts, is_refusal_final=is_refusal_final)
        return await _race(attempts, pause_s=pause_s, more=more, is_refusal_final=is_refusal_final)
    except ProviderRefused as refusal:
        if more is None or is_final(refusal, is_refusal_final=is_refusal_final):
            raise
        further = await more()
        if not further:
            raise
        try:
            return await first_answer(further, pause_s=pause_s, more=more, is_refusal_final=is_refusal_final)
        except NoAnswer:
            raise refusal from None


async def _race(
    attempts: Sequence[Attempt],
    *,
    pause_s: float,
    more: Callable[[], Awaitable[Sequence[Attempt]]] | None,
    is_refusal_final: bool,
) -> Json:
    race = _Race(attempts, is_refusal_final=is_refusal_final)
    try:
        while race.left or race.running:
            if not race.running:
                race.start()
            is_open = race.may_start() or (more is not None and race.has_room())
            done, _ = await asyncio.wait(
                race.running, timeout=pause_s if is_open else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                if race.is_answer(one):
                    return one.result()
            if not done and more is not None and not race.may_start():
                race.left, pause_s = [*race.left, *await more()], max(pause_s, PAUSE_MIN_S)
            if not done and race.may_start():
                race.start()
    finally:
        for one in race.running:
            one.cancel()
        await asyncio.gather(*race.running, return_exceptions=True)
    raise race.failure


class _Race:
    """Connections that are asked the same thing, and those that may be asked yet."""

    def __init__(self, attempts: Sequence[Attempt], *, is_refusal_final: bool) -> None:
        self.left = list(attempts)
        self.running: dict[asyncio.Future[Json], str] = {}
        """By answer that is due: the process."""
        self.is_refusal_final = is_refusal_final
        self.failure: BaseException = NoAnswer("channel closed")

    def has_room(self) -> bool:
        """Return whether one more may be asked, if it is of another process."""
        return len(self.running) < AT_ONCE or len(set(self.running.values())) == 1

    def may_start(self) -> bool:
        """Return whether one that is left may be asked beside those that are."""
        if len(self.running) < AT_ONCE:
            return bool(self.left)
        return self.has_room() and any(one.process not in self.running.values() for one in self.left)

    def start(self) -> None:
        """Send it to the next one, of a process that got none if there is one."""
        new = (one for one in self.left if one.process not in self.running.values())
        chosen = next(new, self.left[0])
        self.left.remove(chosen)
        self.running[asyncio.ensure_future(chosen.ask())] = chosen.process

    def is_answer(self, one: asyncio.Future[Json]) -> bool:
        """Note how an attempt ended; return whether by an answer.  Raises what is final."""
        process, error = self.running.pop(one), one.exception()
        if error is None:
            return True
        if is_final(error, is_refusal_final=self.is_refusal_final):
            raise error
        self.failure = failure_to_raise(self.failure, error)
        if isinstance(error, ProcessGone):
            self.left = [attempt for attempt in self.left if attempt.process != process]
        return False


def failure_to_raise(before: BaseException, now: BaseException) -> BaseException:
    """Return the later of two failures, but a refusal before a connection that went away."""
    return before if isinstance(before, ProviderRefused) and isinstance(now, NoAnswer) else now


async def _in_turn(attempts: Sequence[Attempt], *, is_refusal_final: bool) -> Json:
    failure: BaseException = NoAnswer("channel closed")
    ended = set()
    for attempt in attempts:
        if attempt.process in ended:
            continue
        try:
            return await attempt.ask()
        except (NoAnswer, ProviderRefused) as error:
            if is_final(error, is_refusal_final=is_refusal_final):
                raise
            if isinstance(error, ProcessGone):
                ended.add(attempt.process)
            failure = failure_to_raise(failure, error)
    raise failure
