from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.core.database_threads import DatabaseThreads

pytestmark = pytest.mark.usefixtures("transactional_db")


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.fixture
def threads() -> Any:
    made = DatabaseThreads("test", 1, keeps_connections=True)
    yield made
    made.executor.shutdown()


async def test_connection_is_kept_while_calls_wait_and_then_closed(threads):
    release = threading.Event()
    calls = [asyncio.ensure_future(threads(work)) for work in (lambda: release.wait(10), *[backend] * 5)]
    await asyncio.sleep(0)  # all wait, of which the thread has taken the first
    release.set()
    _, *together = await asyncio.gather(*calls)
    later = await threads(backend)

    assert len(set(together)) == 1
    assert later not in together
    assert threads.waiting == 0


async def test_lost_connection_is_not_reused(threads):
    release = threading.Event()

    def lost() -> None:
        release.wait(60)
        backend()
        raise OperationalError("server closed the connection unexpectedly")

    first = asyncio.ensure_future(threads(lost))
    second = asyncio.ensure_future(threads(backend))
    await asyncio.sleep(0)
    release.set()

    with pytest.raises(OperationalError):
        await first
    assert await second > 0


async def test_call_cancelled_before_it_begins_is_not_counted(threads):
    release = threading.Event()
    running = asyncio.ensure_future(threads(release.wait, 10))
    waiting = asyncio.ensure_future(threads(backend))
    await asyncio.sleep(0.05)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()

    assert await running is True
    assert threads.waiting == 0


async def test_steady_threads_keep_their_connection_and_replace_a_lost_one():
    threads = DatabaseThreads("steady", 1, is_steady=True)
    first = await threads(backend)
    same = await threads(backend)

    await threads(lambda: connection.connection.close())
    later = await threads(backend)
    await threads(lambda: connection.close())  # that of the thread
    threads.executor.shutdown()

    assert same == first
    assert later > 0
