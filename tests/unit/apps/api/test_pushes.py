"""Pushes that come together are stored together, each with its own answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from channels.db import database_sync_to_async

from apps.api import outside_messages
from apps.api.rpc.services.messager.pushes import message_push_batched
from apps.messages.errors import BadMessage, MessageIdTaken
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.services.push import messages_push_batch
from apps.users.services.grants import signer_grant
from apps.wallets.errors import SenderNotGranted
from poolsite.filecoin.keys import key_address
from tests.keys import fixed_key
from tests.people import principal, tenant

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = str(key_address(fixed_key("secp256k1")))


def in_thread(call: Any) -> Any:
    return database_sync_to_async(call, thread_sensitive=False)


def granted() -> tuple[Any, Any]:
    """Two accounts; only the first may send."""
    signer_grant(tenant=tenant("alice"), address=ADDRESS)
    return principal("alice"), principal("bob")


def item(name: str, **data: Any) -> PushItem:
    return PushItem(id=name, to="f01000", from_=ADDRESS, method=0, **data)


async def test_calls_in_flight_share_a_few_inserts(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, _ = await in_thread(granted)()
    sizes: list[int] = []

    def counted(items: Any, **options: Any) -> Any:
        sizes.append(len(items))
        return messages_push_batch(items, **options)

    monkeypatch.setattr(outside_messages, "messages_push_batch", counted)
    rows = await asyncio.gather(*(message_push_batched(item(f"m{n}"), principal=alice) for n in range(50)))

    assert [row.push_id for row in rows] == [f"m{n}" for n in range(50)]
    assert sum(sizes) == 50
    assert len(sizes) <= 2
    stored = await in_thread(lambda: [row.push_id for row in Message.objects.order_by("created_at")])()
    assert stored == [f"m{n}" for n in range(50)], "the order of arrival is the order of choice"


async def test_each_caller_gets_its_own_refusal() -> None:
    alice, bob = await in_thread(granted)()

    answers = await asyncio.gather(
        message_push_batched(item("good"), principal=alice),
        message_push_batched(item("good"), principal=alice),
        message_push_batched(item("good", value=9), principal=alice),
        message_push_batched(item("bad", value=-1), principal=alice),
        message_push_batched(item("stranger"), principal=bob),
        return_exceptions=True,
    )

    assert [type(answer) for answer in answers] == [
        Message,
        Message,
        MessageIdTaken,
        BadMessage,
        SenderNotGranted,
    ]
    assert await in_thread(Message.objects.count)() == 1


async def test_callers_of_any_account_share_an_insert(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await in_thread(granted)()
    others = str(key_address(fixed_key("secp256k1", seed=2)))
    await in_thread(lambda: signer_grant(tenant=tenant("bob"), address=others))()
    batches: list[int] = []

    def counted(asked: Any) -> Any:
        batches.append(len(asked))
        return messages_push_batch(asked)

    monkeypatch.setattr(outside_messages, "messages_push_batch", counted)
    rows = await asyncio.gather(
        message_push_batched(item("first"), principal=alice),
        message_push_batched(PushItem(id="his", to="f01000", from_=others, method=0), principal=bob),
        message_push_batched(item("hers"), principal=alice),
    )

    assert [(row.push_id, row.tenant_id) for row in rows] == [
        ("first", alice.tenant_id),
        ("his", bob.tenant_id),
        ("hers", alice.tenant_id),
    ]
    assert len(batches) <= 2


async def test_a_caller_that_goes_away_takes_nobody_along() -> None:
    alice, _ = await in_thread(granted)()

    gone = asyncio.create_task(message_push_batched(item("gone"), principal=alice))
    stays = asyncio.create_task(message_push_batched(item("stays"), principal=alice))
    await asyncio.sleep(0)
    gone.cancel()

    assert (await stays).push_id == "stays"


async def test_a_broken_insert_reaches_its_callers_and_the_desk_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice, _ = await in_thread(granted)()

    def broken(*_args: Any, **_options: Any) -> Any:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(outside_messages, "messages_push_batch", broken)
        with pytest.raises(OSError, match="no room"):
            await message_push_batched(item("one"), principal=alice)

    assert (await message_push_batched(item("one"), principal=alice)).push_id == "one"
