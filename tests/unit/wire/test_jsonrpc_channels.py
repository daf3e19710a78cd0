"""Channels of one socket: events reach their owner whenever they come, and the end is never missed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from poolsite.wire.jsonrpc.channels import EARLY_MAX, Channels


class Owners:
    """Keeps what each owner was handed."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.channels: Channels[str] = Channels(self.handle)

    async def handle(self, owner: str, event: dict[str, Any]) -> None:
        self.seen.append((owner, event["n"]))
        if event["n"] == "hang":
            try:
                await asyncio.sleep(60)
            finally:
                self.seen.append((owner, "cancelled"))

    def value(self, channel: int, number: Any) -> None:
        self.channels.receive(("xrpc.ch.val", [channel, {"n": number}]))

    def close(self, channel: int) -> None:
        self.channels.receive(("xrpc.ch.close", [channel]))


async def followed(owners: Owners, channel: int, owner: str) -> asyncio.Task[None]:
    task = asyncio.create_task(owners.channels.follow(channel, owner))
    await asyncio.sleep(0)
    return task


def test_events_reach_the_owner_of_their_channel_until_it_is_closed():
    async def whole() -> Owners:
        owners = Owners()
        first, second = await followed(owners, 1, "a"), await followed(owners, 2, "b")
        owners.value(1, 1)
        owners.value(2, 2)
        owners.close(1)
        await asyncio.wait_for(first, 60)
        owners.value(1, 3)
        owners.value(2, 4)
        owners.close(2)
        await asyncio.wait_for(second, 60)
        await asyncio.sleep(0)
        return owners

    assert sorted(asyncio.run(whole()).seen) == [("a", 1), ("b", 2), ("b", 4)]


def test_what_comes_before_the_channels_number_is_known_is_handled():
    async def whole() -> Owners:
        owners = Owners()
        owners.value(7, "early")
        owners.value(8, "other's")
        owners.close(7)
        await asyncio.wait_for(owners.channels.follow(7, "a"), 60)
        await asyncio.sleep(0)
        return owners

    assert asyncio.run(whole()).seen == [("a", "early")]


def test_of_early_events_the_newest_are_kept():
    async def whole() -> Owners:
        owners = Owners()
        for number in range(EARLY_MAX + 5):
            owners.value(7, number)
        owners.close(7)
        await asyncio.wait_for(owners.channels.follow(7, "a"), 60)
        await asyncio.sleep(0)
        return owners

    assert [number for _, number in asyncio.run(whole()).seen] == list(range(6, EARLY_MAX + 5))


@pytest.mark.parametrize("params", [["1", {"n": 1}], [1], [1, "x"], [1, {"n": 1}, 2], [None, {}]])
def test_what_is_no_event_is_passed_over(params):
    async def whole() -> Owners:
        owners = Owners()
        task = await followed(owners, 1, "a")
        owners.channels.receive(("xrpc.ch.val", params))
        owners.channels.receive(None)
        owners.channels.receive(("other", [1, {"n": 1}]))
        await asyncio.sleep(0)
        task.cancel()
        return owners

    assert asyncio.run(whole()).seen == []


def test_what_is_handled_ends_with_the_socket():
    async def whole() -> Owners:
        owners = Owners()
        task = await followed(owners, 1, "a")
        owners.value(1, "hang")
        await asyncio.sleep(0)
        await owners.channels.end()
        task.cancel()
        return owners

    assert asyncio.run(whole()).seen == [("a", "hang"), ("a", "cancelled")]
