from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.gateway.threads import DatabaseThreads

pytestmark = pytest.mark.usefixtures("transactional_db")


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.fixture
def threads() -> Any:
    made = DatabaseThreads(workers=1)
    yield made
    made.executor.shutdown()


async def test_a_connection_is_kept_while_more_work_waits_and_then_closed(threads):
    together = await asyncio.gather(*(threads.bridge(backend)() for _ in range(5)))
    later = await threads.bridge(backend)()

    assert len(set(together)) == 1
    assert later not in together
    assert threads.waiting == 0


async def test_a_lost_connection_is_not_used_again(threads):
    release = threading.Event()

    def lost() -> None:
        release.wait(10)
        backend()
        raise OperationalError("server closed the connection unexpectedly")

    first = asyncio.ensure_future(threads.bridge(lost)())
    second = asyncio.ensure_future(threads.bridge(backend)())
    await asyncio.sleep(0)
    release.set()

    with pytest.raises(OperationalError):
        await first
    assert await second > 0


async def test_work_that_is_cancelled_before_it_begins_is_not_waited_for(threads):
    release = threading.Event()
    running = asyncio.ensure_future(threads.bridge(release.wait)(10))
    waiting = asyncio.ensure_future(threads.bridge(backend)())
    await asyncio.sleep(0.05)

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    release.set()

    assert await running is True
    assert threads.waiting == 0
