"""A libp2p client over TCP for tests: Noise or TLS, yamux, one stream after the other."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from OpenSSL import SSL

from poolsite.filecoin.varint import uvarint_read
from poolsite.libp2p.connections import RawPipe, SecurePipe
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.multistream import VERSION, line_read, line_write
from poolsite.libp2p.noise import KEY, TAG, Opened, SymmetricState, payload_read, payload_write
from poolsite.libp2p.tls import TlsPipe
from poolsite.libp2p.yamux import ACK, DATA, FIN, HEADER, PING, RST, SYN, WINDOW

OPENED: list[asyncio.StreamWriter] = []
"""Connections of the test that runs."""


async def connection_open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; `connections_close` closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    OPENED.append(writer)
    return reader, writer


async def connections_close() -> None:
    """Close all that are open."""
    while OPENED:
        writer = OPENED.pop()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    await asyncio.sleep(0)


class Initiator:
    """The side that connects."""

    def __init__(self, identity: Identity) -> None:
        self.identity, self.state = identity, SymmetricState()
        self.static, self.ephemeral = X25519PrivateKey.generate(), X25519PrivateKey.generate()

    def first(self) -> bytes:
        own = self.ephemeral.public_key().public_bytes_raw()
        self.state.mix_hash(own)
        self.state.mix_hash(b"")
        return own

    def third(self, second: bytes) -> tuple[bytes, Opened]:
        state = self.state
        theirs = second[:KEY]
        state.mix_hash(theirs)
        state.mix_key(self.ephemeral, theirs)
        static = state.open(second[KEY : 2 * KEY + TAG])
        state.mix_key(self.ephemeral, static)
        peer_id = payload_read(state.open(second[2 * KEY + TAG :]), static=static)
        own = self.static.public_key().public_bytes_raw()
        sealed = state.seal(own)
        state.mix_key(self.static, theirs)
        message = sealed + state.seal(payload_write(self.identity, own))
        sending, receiving = state.split()
        return message, Opened(peer_id, receiving, sending)


async def select(pipe: object, name: str) -> str:
    """Agree on a protocol; return what the other side says to it."""
    await pipe.write(line_write(VERSION) + line_write(name))  # type: ignore[attr-defined]
    assert await line_read(pipe) == VERSION  # type: ignore[arg-type]
    return await line_read(pipe)  # type: ignore[arg-type]


@dataclass
class Client:
    """One connection."""

    pipe: SecurePipe | TlsPipe
    next_stream: int = 1
    received: dict[int, bytearray] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    pongs: int = 0

    @property
    def tls(self) -> TlsPipe:
        assert isinstance(self.pipe, TlsPipe)
        return self.pipe

    @classmethod
    async def connect_tls(cls, port: int, *, context: SSL.Context) -> Self:
        reader, writer = await connection_open(port)
        raw = RawPipe(reader, writer)
        assert await select(raw, "/tls/1.0.0") == "/tls/1.0.0"
        pipe = TlsPipe(raw, context)
        pipe.tls.set_connect_state()
        await pipe.shake()
        assert await select(pipe, "/yamux/1.0.0") == "/yamux/1.0.0"
        return cls(pipe)

    @classmethod
    async def connect(cls, port: int, *, seed: int = 7) -> Self:
        reader, writer = await connection_open(port)
        raw = RawPipe(reader, writer)
        assert await select(raw, "/noise") == "/noise"
        initiator = Initiator(Identity.of_seed(bytes([seed]) * 32))
        first = initiator.first()
        await raw.write(len(first).to_bytes(2, "big") + first)
        second = await raw.read_exactly(int.from_bytes(await raw.read_exactly(2), "big"))
        third, opened = initiator.third(second)
        await raw.write(len(third).to_bytes(2, "big") + third)
        pipe = SecurePipe(raw, opened)
        assert await select(pipe, "/yamux/1.0.0") == "/yamux/1.0.0"
        return cls(pipe)

    async def frame(self, kind: int, flags: int, number: int, data: bytes = b"", *, length: int = -1) -> None:
        await self.pipe.write(HEADER.pack(0, kind, flags, number, len(data) if length < 0 else length) + data)

    async def take(self) -> None:
        """Read one frame."""
        _, kind, flags, number, length = HEADER.unpack(await self.pipe.read_exactly(HEADER.size))
        if kind == DATA and length:
            self.received.setdefault(number, bytearray()).extend(await self.pipe.read_exactly(length))
        if kind == PING and flags & ACK:
            self.pongs += 1
        if flags & (FIN | RST):
            self.ended[number] = "reset" if flags & RST else "closed"

    async def open(self) -> int:
        number, self.next_stream = self.next_stream, self.next_stream + 2
        await self.frame(WINDOW, SYN, number)
        return number

    async def ask(self, name: str, request: bytes = b"", *, is_closed: bool = False) -> bytes:
        """Open a stream for a protocol, send a request, and return all that comes until it is closed."""
        number = await self.open()
        await self.frame(DATA, 0, number, line_write(VERSION) + line_write(name) + request)
        if is_closed:
            await self.frame(WINDOW, FIN, number)
        while number not in self.ended:
            await self.take()
        assert self.ended[number] == "closed", f"{name} was reset"
        data = bytes(self.received.pop(number, b""))
        for _ in range(2):
            size, at = uvarint_read(data, 0)
            line, data = data[at : at + size - 1].decode(), data[at + size :]
        assert line == name, line
        return data
