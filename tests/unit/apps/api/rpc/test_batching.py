"""A database thread keeps its connection from one job to the next, and gives it back when nothing comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.api.rpc import batching
from apps.api.rpc.batching import DatabaseThread
from apps.core.live import Change, publish

pytestmark = pytest.mark.django_db(transaction=True)


def backend(_asked: Any) -> int:
    """Which process of the database serves this thread."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


async def ended(thread: DatabaseThread) -> None:
    while thread.is_alive:
        await asyncio.sleep(0.02)


async def test_work_that_follows_has_the_same_connection() -> None:
    thread = DatabaseThread()

    served = {await thread.run(backend, number) for number in range(5)}

    assert len(served) == 1
    await ended(thread)


async def test_an_idle_thread_gives_its_connection_back_and_begins_again() -> None:
    thread = DatabaseThread()
    first = await thread.run(backend, None)
    await ended(thread)

    second = await thread.run(backend, None)

    def lives(pid: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid])
            return bool(cursor.fetchone()[0])

    until = asyncio.get_running_loop().time() + 5
    while await thread.run(lives, first) and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.02)
    assert second != first
    assert not await thread.run(lives, first)
    await ended(thread)


async def test_database_error_reaches_the_caller_and_reconnects() -> None:
    thread = DatabaseThread()
    first = await thread.run(backend, None)

    def broken(_asked: Any) -> None:
        raise OperationalError("the server went away")

    with pytest.raises(OperationalError, match="went away"):
        await thread.run(broken, None)

    assert await thread.run(backend, None) != first
    await ended(thread)


async def test_a_connection_that_died_meanwhile_is_replaced_before_it_is_asked(settings: Any) -> None:
    settings.DB_THREAD_IDLE_S = 2.0
    thread, other = DatabaseThread(), DatabaseThread()
    first = await thread.run(backend, None)

    def ends(pid: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    await other.run(ends, first)

    assert await thread.run(backend, None) != first
    for one in (thread, other):
        await ended(one)


async def test_what_is_published_is_told_after_the_answers_and_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread, told = DatabaseThread(), []
    monkeypatch.setattr(batching, "changes_send", lambda changes: told.append([one.pk for one in changes]))
    monkeypatch.setattr(batching, "PUBLISH_EVERY_S", 0.5)

    def work(name: str) -> list[Any]:
        publish(Change("message", name, None))
        return list(told)

    assert await thread.run(work, "m1") == []
    assert await thread.run(work, "m2") == []
    await ended(thread)

    assert [name for names in told for name in names] == ["m1", "m2"]


async def test_who_never_rests_tells_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = DatabaseThread()
    told: list[Any] = []
    monkeypatch.setattr(batching, "changes_send", told.extend)
    until = asyncio.get_running_loop().time() + 5

    while not told and asyncio.get_running_loop().time() < until:
        await thread.run(lambda name: publish(Change("message", name, None)), "m")

    assert told
    await ended(thread)


def test_who_asked_from_a_loop_that_ended_is_forgotten() -> None:
    thread = DatabaseThread()

    async def leaves() -> None:
        asking = asyncio.create_task(thread.run(backend, None))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(leaves())

    async def comes() -> int:
        found = await thread.run(backend, None)
        await ended(thread)
        return found

    assert asyncio.run(comes()) > 0
