"""Waiting for messages: woken by changes, free of charge until then."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.db import OperationalError

from apps.api.rpc.services.messager import waits
from apps.api.rpc.services.messager.waits import GROUP, MessageWaits, message_wait
from apps.chain.models import Follower, Head
from apps.messages.errors import MessageNotFound
from apps.messages.models import Message
from tests.people import principal
from tests.waiting import until_async

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(call: Any) -> Any:
    return database_sync_to_async(call, thread_sensitive=False)


def message(name: str = "one", **data: Any) -> Any:
    """A message of alice; returns alice."""
    alice = principal("alice")
    row = {"to": "f01000", "from_addr": "f01001", "method": 0, "tenant_id": alice.tenant_id, **data}
    Message.objects.create(id=name, push_id=name, **row)
    return alice


def landed(name: str, *, height: int) -> None:
    Message.objects.filter(push_id=name).update(state="LANDED", height=height, nonce=0)


def head(height: int) -> None:
    row = Head.objects.create(
        key=f"k{height}",
        height=height,
        cids=["k"],
        parent_key="",
        timestamp=0,
        base_fee=100,
        arrived_at=datetime(2026, 11, 20, tzinfo=UTC),
    )
    Follower.objects.update_or_create(pk=1, defaults={"head": row})


async def tell(kind: str, pk: Any) -> None:
    layer = get_channel_layer()
    assert layer is not None
    await layer.group_send(GROUP, {"type": "live.change", "kind": kind, "pk": pk})


async def settled(task: asyncio.Task[Any], seconds: float = 0.3) -> bool:
    """Return whether a task ends within a moment."""
    done, _ = await asyncio.wait([task], timeout=seconds)
    return bool(done)


async def test_a_waiter_is_woken_when_its_message_is_deep_enough() -> None:
    alice = await in_thread(message)()
    await in_thread(head)(10)
    task = asyncio.create_task(message_wait(viewer=alice, id="one", confidence=1))
    assert not await settled(task)

    await in_thread(landed)("one", height=10)
    await tell("message", "one")
    assert not await settled(task), "not deep enough: strictly more heads are wanted"
    await in_thread(head)(12)
    await tell("head", 12)

    await asyncio.wait_for(task, 60)


async def test_what_is_deep_already_is_answered_at_once() -> None:
    alice = await in_thread(message)(state="LANDED", height=3, nonce=0)
    await in_thread(head)(10)

    await asyncio.wait_for(message_wait(viewer=alice, id="one", confidence=5), 60)


async def test_a_message_given_up_wakes_its_waiter() -> None:
    alice = await in_thread(message)()
    task = asyncio.create_task(message_wait(viewer=alice, id="one", confidence=5))
    assert not await settled(task)

    await in_thread(lambda: Message.objects.update(state="FAILED"))()
    await tell("messages", "all")

    await asyncio.wait_for(task, 60)


async def test_a_lost_word_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "CHECK_ANYWAY_S", 0.1)
    alice = await in_thread(message)()
    await in_thread(head)(10)
    task = asyncio.create_task(message_wait(viewer=alice, id="one", confidence=0))
    assert not await settled(task, 0.2)

    await in_thread(landed)("one", height=1)

    await asyncio.wait_for(task, 60)


async def test_waiters_outlive_a_restart_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "RETRY_S", 0.05)
    alice = await in_thread(message)()
    await in_thread(head)(10)
    task = asyncio.create_task(message_wait(viewer=alice, id="one", confidence=0))
    assert not await settled(task)
    real, asked = waits.message_statuses, asyncio.Event()
    loop = asyncio.get_running_loop()

    def away(_keys: list[str]) -> Any:
        loop.call_soon_threadsafe(asked.set)
        raise OperationalError("terminating connection due to administrator command")

    monkeypatch.setattr(waits, "message_statuses", away)
    await in_thread(landed)("one", height=1)
    await tell("message", "one")
    for _ in range(2):  # at the change, and when all are checked anew
        await asyncio.wait_for(asked.wait(), 60)
        asked.clear()
    monkeypatch.setattr(waits, "message_statuses", real)

    await asyncio.wait_for(task, 60)


async def test_a_stranger_is_told_at_once_that_there_is_nothing() -> None:
    await in_thread(message)()
    stranger = await in_thread(lambda: principal("mallory"))()

    with pytest.raises(MessageNotFound):
        await message_wait(viewer=stranger, id="one", confidence=0)


async def test_idle_waiters_ask_nothing_when_other_messages_change(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    for name in ("message_statuses", "messages_seen"):
        real = getattr(waits, name)

        def counted(asked: Any, real: Any = real) -> Any:
            looks.append(len(asked))
            return real(asked)

        monkeypatch.setattr(waits, name, counted)
    room = MessageWaits()
    for n in range(4):
        alice = await in_thread(message)(f"m{n}")
    tasks = [asyncio.create_task(room.wait(f"m{n % 4}", 0, viewer=alice)) for n in range(200)]
    async with asyncio.timeout(60):
        # each looks before it listens and again once it does
        await until_async(lambda: sum(looks) >= 2 * len(tasks))
    assert len(looks) < 10, "those that come together are looked at together"
    looks.clear()

    for n in range(50):
        await tell("message", f"other {n}")
        await tell("head", n)
    await asyncio.sleep(0.3)

    assert looks == []
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert room.waiting == {}
