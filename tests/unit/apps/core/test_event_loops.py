"""Values of an event loop, and coroutines that plain threads run."""

from __future__ import annotations

import asyncio
import threading

import pytest

from apps.core.event_loops import LoopThread, PerLoop


def test_each_loop_has_its_own_value():
    values = PerLoop(object)

    async def twice() -> tuple[object, object]:
        return values(), values()

    first, again = asyncio.run(twice())
    other, _ = asyncio.run(twice())

    assert first is again
    assert other is not first


def test_threads_share_one_loop():
    loop_thread, loops = LoopThread("test"), []

    async def here() -> None:
        loops.append(asyncio.get_running_loop())

    threads = [threading.Thread(target=lambda: loop_thread.run(here())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(loops) == 5
    assert len(set(loops)) == 1


def test_a_coroutine_raises_in_the_thread_that_waits():
    async def failing() -> None:
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        LoopThread("test").run(failing())
