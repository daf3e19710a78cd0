"""Sending a request to a second connection when the first is slow: only for what may be done twice.

Source: the peers' ask for it, sophon-gateway takes the first connection and waits (spec section 3.5).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final

from apps.gateway.errors import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Json = Any

AT_ONCE: Final = 2
"""Connections that are asked the same thing at a time."""
PAUSE_MIN_S: Final = 0.25
PAUSE_MAX_S: Final = 5.0
PAUSE_FIRST_S: Final = 1.0
"""Patience before anything is known of a method."""
TIMES_KEPT: Final = 256
REPEATABLE_KEYS: Final = frozenset("13")
"""Protocols of keys whose signature of the same bytes says the same: secp256k1 and BLS."""


def is_repeatable(method: str, address: str = "") -> bool:
    """Return whether asking two connections does no more than asking one."""
    return method == "ComputeProof" or (method == "WalletSign" and address[1:2] in REPEATABLE_KEYS)


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


async def first_answer(
    attempts: Sequence[Callable[[], Awaitable[Json]]],
    *,
    pause_s: float | None = None,
    more: Callable[[], Awaitable[Sequence[Callable[[], Awaitable[Json]]]]] | None = None,
) -> Json:
    """Try one connection after the other until one answers; what it answers, a refusal too, is final.

    With `pause_s`, the next is asked beside one that is slower than that; `more` gives further ones when
    there is none left, and is asked again after each pause.  Whoever is not waited for any more is cancelled,
    so that its answer finds nobody.
    Raises the last NoAnswer when nobody answered.
    """
    if pause_s is None:
        return await _in_turn(attempts)
    left = list(attempts)
    running: set[asyncio.Future[Json]] = set()
    failure = NoAnswer("channel closed")
    try:
        while left or running:
            if left and not running:
                running.add(asyncio.ensure_future(left.pop(0)()))
            is_open = len(running) < AT_ONCE and (left or more is not None)
            done, running = await asyncio.wait(
                running, timeout=pause_s if is_open else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                error = one.exception()
                if error is None:
                    return one.result()
                if not isinstance(error, NoAnswer):
                    raise error
                failure = error
            if not done and not left and more is not None:
                left, pause_s = list(await more()), max(pause_s, PAUSE_MIN_S)
            if not done and left:
                running.add(asyncio.ensure_future(left.pop(0)()))
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    raise failure


async def _in_turn(attempts: Sequence[Callable[[], Awaitable[Json]]]) -> Json:
    failure = NoAnswer("channel closed")
    for attempt in attempts:
        try:
            return await attempt()
        except NoAnswer as error:
            failure = error
    raise failure
