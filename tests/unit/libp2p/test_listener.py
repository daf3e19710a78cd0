"""The serving side: what it agrees on with a client, and what a stranger cannot take beyond the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from poolsite.filecoin.varint import uvarint_read
from poolsite.libp2p.identity import Identity, peer_id_text
from poolsite.libp2p.limits import Limits
from poolsite.libp2p.listener import Connection, Listener
from poolsite.libp2p.multistream import VERSION, line_write
from poolsite.libp2p.protobuf import fields_read
from poolsite.libp2p.yamux import DATA, PING, SYN, WINDOW, Stream
from poolsite.network_addresses import source_of
from tests.libp2p_client import Client, connection_open, connections_close

ECHO = "/echo/1"
IDENTITY = Identity.of_seed(bytes(range(32)))


async def echo(stream: Stream) -> None:
    await stream.write(await stream.read_exactly(4))


async def broken(_: Stream) -> None:
    raise KeyError


async def greedy(stream: Stream) -> None:
    """Reads only once it was told to go on: what comes meanwhile is held."""
    await asyncio.sleep(0.5)
    await stream.read_some()


@asynccontextmanager
async def listening(**limits: Any) -> AsyncIterator[tuple[Listener, int]]:
    listener = Listener(
        IDENTITY,
        {ECHO: echo, "/greedy/1": greedy, "/broken/1": broken},
        agent="poolsite/test",
        announced=("/ip4/1.2.3.4/tcp/24001",),
        limits=replace(Limits(), **limits),
    )
    port = await listener.open("127.0.0.1", 0)
    try:
        yield listener, port
    finally:
        await listener.close()


def run(play: Callable[[Listener, int], Awaitable[None]], **limits: Any) -> None:
    async def whole() -> None:
        async with asyncio.timeout(20), listening(**limits) as (listener, port):
            try:
                await play(listener, port)
            finally:
                await connections_close()

    asyncio.run(whole())


def test_a_client_proves_its_key_and_is_answered_on_many_streams() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect(port)
        assert await client.ask(ECHO, b"four") == b"four"
        answers = [await client.ask(ECHO, f"{number:04}".encode(), is_closed=True) for number in range(40)]
        assert answers[-1] == b"0039"
        [connection] = listener.connections
        assert peer_id_text(connection.peer_id).startswith("12D3KooW")
        assert listener.counts.streams == {ECHO: 41}
        await client.frame(PING, SYN, 0, length=7)
        while not client.pongs:
            await client.take()

    run(play)


def test_streams_may_begin_in_another_order_than_their_numbers() -> None:
    """go-yamux draws a number before it sends the frame: of two streams at once the second may be first."""

    async def play(_: Listener, port: int) -> None:
        client = await Client.connect(port)
        for number in (5, 1, 3):
            await client.frame(WINDOW, SYN, number)
        for number in (1, 3, 5):
            await client.frame(DATA, 0, number, line_write(VERSION) + line_write(ECHO) + b"four")
        while len(client.ended) < 3:
            await client.take()
        assert client.ended == dict.fromkeys((1, 3, 5), "closed")
        assert all(data.endswith(b"four") for data in client.received.values())
        await client.frame(WINDOW, SYN, 7)
        await client.frame(WINDOW, SYN, 7)  # it is open
        await client.take()  # its acknowledgement
        with pytest.raises(EOFError):
            await client.take()

    run(play)


def test_identify_names_key_addresses_and_protocols() -> None:
    async def play(_: Listener, port: int) -> None:
        data = await (await Client.connect(port)).ask("/ipfs/id/1.0.0")
        size, at = uvarint_read(data, 0)
        assert size == len(data) - at
        fields = list(fields_read(data[at:]))
        assert (1, IDENTITY.public) in fields
        assert (2, bytes.fromhex("0401020304065dc1")) in fields
        assert {value for number, value in fields if number == 3} == {
            *(b"/ipfs/id/1.0.0", b"/ipfs/ping/1.0.0"),
            *(ECHO.encode(), b"/greedy/1", b"/broken/1"),
        }

    run(play)


def test_a_request_that_is_too_large_is_reset_and_others_go_on() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect(port)
        with pytest.raises(AssertionError, match="was reset"):
            await client.ask("/greedy/1", bytes(70_000))
        assert await client.ask(ECHO, b"four") == b"four"
        assert listener.held.count == 0

    run(play)


def test_all_requests_together_hold_no_more_than_the_limit() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect(port)
        numbers = [await client.open() for _ in range(4)]
        for number in numbers:
            await client.frame(DATA, 0, number, bytes([10]) * 5_000)
        while len(client.ended) < len(numbers):
            await client.take()
            assert listener.held.count <= 10_000
        assert "reset" in client.ended.values()

    run(play, held_bytes=10_000)


def test_what_comes_after_the_answer_is_held_by_nobody() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect(port)
        for _ in range(3):
            number = await client.open()
            request = line_write(VERSION) + line_write(ECHO) + b"four"
            await client.frame(DATA, 0, number, request)
            # The head of a further frame, whose bytes come once the stream has been served.
            await client.frame(DATA, 0, number, length=60_000)
            while number not in client.ended:
                await client.take()
            await client.pipe.write(bytes(60_000))
            assert await client.ask(ECHO, b"four") == b"four"
        assert listener.held.count == 0

    run(play, held_bytes=100_000)


def test_a_whole_window_is_read_in_parts_and_a_broken_handler_resets() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect(port)
        number = await client.open()
        await client.frame(DATA, 0, number, bytes([10]) * (256 << 10))
        while number not in client.ended:
            await client.take()
        with pytest.raises(AssertionError, match="was reset"):
            await client.ask("/broken/1")
        assert await client.ask(ECHO, b"four") == b"four"
        assert listener.held.count == 0

    run(play)


def test_streams_and_connections_have_limits() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect(port)
        numbers = [await client.open() for _ in range(5)]
        while len(client.ended) < 2:
            await client.take()
        assert client.ended == dict.fromkeys(numbers[3:], "reset")
        await Client.connect(port, seed=8)
        reader, _ = await connection_open(port)
        assert await reader.read() == b""
        assert listener.counts.refused == 1

    run(play, streams=3, source_connections=2)


def test_idle_strangers_do_not_shut_the_door() -> None:
    async def play(listener: Listener, port: int) -> None:
        idle = [await connection_open(port) for _ in range(30)]
        client = await Client.connect(port)
        assert await client.ask(ECHO, b"four") == b"four"
        await asyncio.sleep(0.5)
        assert len(listener.connections) == 1
        for reader, writer in idle:
            await reader.read()
            writer.close()

    run(play, connections=20, source_connections=1000, handshake_s=0.3)


def test_a_crowd_makes_room_and_no_client_who_came_earlier() -> None:
    listener = Listener(IDENTITY, {}, agent="poolsite", limits=Limits(connections=4))
    client, *crowd, new = [Connection(source) for source in ("client", "crowd", "crowd", "crowd", "new")]
    crowd[0].peer_id = b"secured"

    assert all(listener._admit(one) for one in (client, *crowd, new))

    assert list(listener.connections) == [client, crowd[0], crowd[2], new]


def test_a_connection_on_which_nothing_comes_is_closed() -> None:
    async def play(listener: Listener, port: int) -> None:
        client = await Client.connect(port)
        with pytest.raises(EOFError):
            await client.take()
        assert not listener.connections

    run(play, idle_s=0.2)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x03abc",
        b"\x13/multistream/1.0.0\n\x07/noise\n\x00\x20" + bytes(32) + b"\x00\x40" + bytes(64),
        b"\x13/multistream/1.0.0\n" + b"\x07/plain\n" * 20,
        b"\xff\xff\xff",
    ],
    ids=["http", "short", "low-order-key", "unknown", "long"],
)
def test_what_is_no_handshake_ends_the_connection(sent: bytes) -> None:
    async def play(listener: Listener, port: int) -> None:
        reader, writer = await connection_open(port)
        writer.write(sent)
        await reader.read()
        await asyncio.sleep(0.05)
        assert (listener.counts.broken, len(listener.connections)) == (1, 0)

    run(play, handshake_s=2.0)


def test_strangers_of_one_ipv6_network_count_as_one() -> None:
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:2") != source_of("2001:db8:0:1::1")
    assert source_of("::ffff:1.2.3.4") == "1.2.3.4"
