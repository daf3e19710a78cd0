"""A listener on TCP, and on a socket of this machine: connections within limits, each secured and muxed.

Their streams are given to protocols.

What a stranger does wrong ends its connection or its stream, and is counted, not logged: logs would grow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from poolsite.filecoin.multiaddr import multiaddr_encode, multiaddr_parse
from poolsite.libp2p import identify, multistream, noise, tls, yamux
from poolsite.libp2p.connections import RawPipe, SecurePipe
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.limits import Limits
from poolsite.network_addresses import source_of

Handler = Callable[[yamux.Stream], Awaitable[None]]

PING: Final = "/ipfs/ping/1.0.0"
PING_BYTES: Final = 32
CLOSE_S: Final = 5.0
"""A connection that does not close within it is cut off."""
BACKLOG: Final = 256
SOURCE_S: Final = 5.0
"""Within which another process here says whose connection it passes on."""


@dataclass(eq=False, slots=True)
class Connection:
    """One open connection."""

    source: str
    """Network address; of IPv6 the first 64 bits."""
    task: asyncio.Task[None] | None = None
    peer_id: bytes = b""
    """Empty until it is secured."""


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    accepted: int = 0
    refused: int = 0
    """Beyond a limit of connections."""
    broken: int = 0
    """Ended by what the other side did, or did not do in time."""
    streams: Counter[str] = field(default_factory=Counter)
    """By protocol."""


class Listener:
    """Serves protocols; `open` begins, `close` ends all connections."""

    def __init__(
        self,
        identity: Identity,
        protocols: Mapping[str, Handler],
        *,
        agent: str,
        announced: tuple[str, ...] = (),
        limits: Limits | None = None,
    ) -> None:
        self.identity, self.agent, self.limits = identity, agent, limits or Limits()
        self.counts = Counts()
        self._tls = tls.context_make(identity)
        self.held = yamux.Held()
        self.announced = [multiaddr_encode(multiaddr_parse(text)) for text in announced]
        self.protocols: dict[str, Handler] = {
            identify.PROTOCOL: self._identify,
            PING: ping,
            **protocols,
        }
        self.connections: dict[Connection, None] = {}
        """Open ones, oldest first."""
        self._servers: list[asyncio.Server] = []

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port."""
        server = await asyncio.start_server(self._accept, host, port, backlog=BACKLOG, limit=1 << 16)
        self._servers.append(server)
        number: int = server.sockets[0].getsockname()[1]
        return number

    async def open_local(self, path: Path) -> None:
        """Listen to processes of this machine, too, which pass on what clients send them.

        Such a connection begins with the client's network address and a line feed.
        """
        server = await asyncio.start_unix_server(
            self._accept_local, path, backlog=BACKLOG, limit=1 << 16, start_serving=False
        )
        self._servers.append(server)
        path.chmod(0o600)
        await server.start_serving()

    async def close(self) -> None:
        """Stop listening, and end all connections."""
        for server in self._servers:
            server.close()
        tasks = [one.task for one in self.connections if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        remote = writer.get_extra_info("peername")
        await self._admitted(reader, writer, source=source_of(str(remote[0])) if remote else "")

    async def _accept_local(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection that was passed on."""
        try:
            async with asyncio.timeout(SOURCE_S):
                line = await reader.readuntil()
        except (EOFError, OSError, ValueError, TimeoutError):
            writer.transport.abort()
            return
        await self._admitted(reader, writer, source=source_of(line.decode(errors="replace").strip()))

    async def _admitted(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, source: str
    ) -> None:
        """Serve a connection if it may stay."""
        connection = Connection(source, asyncio.current_task())
        try:
            if not self._admit(connection):
                self.counts.refused += 1
                return
            self.counts.accepted += 1
            await self._serve(connection, RawPipe(reader, writer))
        except (EOFError, OSError, ValueError, TimeoutError):
            self.counts.broken += 1
        finally:
            self.connections.pop(connection, None)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await writer.wait_closed()
            if writer.transport is not None:
                writer.transport.abort()

    def _admit(self, connection: Connection) -> bool:
        """Return whether a connection may stay; the oldest of the source with most of them makes room."""
        of_source = sum(one.source == connection.source for one in self.connections)
        if of_source >= self.limits.source_connections:
            return False
        if len(self.connections) >= self.limits.connections:
            [(crowd, _)] = Counter(one.source for one in self.connections).most_common(1)
            of_crowd = [one for one in self.connections if one.source == crowd]
            oldest = next((one for one in of_crowd if not one.peer_id), of_crowd[0])
            del self.connections[oldest]
            if oldest.task is not None:
                oldest.task.cancel()
        self.connections[connection] = None
        return True

    async def _serve(self, connection: Connection, raw: RawPipe) -> None:
        async with asyncio.timeout(self.limits.handshake_s):
            pipe = await self._secure(raw)
            await multistream.serve(pipe, (yamux.PROTOCOL,))
        connection.peer_id = pipe.peer_id
        session = yamux.Session(
            pipe, source=connection.source, limits=self.limits, held=self.held, serve=self._stream
        )
        await session.run()

    async def _secure(self, raw: RawPipe) -> SecurePipe | tls.TlsPipe:
        """Return a connection with a key, by the protocol that the client asks for first."""
        if await multistream.serve(raw, (noise.PROTOCOL, tls.PROTOCOL)) == noise.PROTOCOL:
            return await SecurePipe.answered(raw, self.identity)
        return await tls.TlsPipe.answered(raw, self._tls)

    async def _stream(self, stream: yamux.Stream) -> None:
        async with asyncio.timeout(self.limits.stream_s):
            name = await multistream.serve(stream, self.protocols)
        self.counts.streams[name] += 1
        await self.protocols[name](stream)

    async def _identify(self, stream: yamux.Stream) -> None:
        await stream.write(
            identify.identify_write(
                public=self.identity.public,
                addresses=self.announced,
                observed=b"",
                protocols=self.protocols,
                agent=self.agent,
            )
        )


async def ping(stream: yamux.Stream) -> None:
    """Send back what comes, until no more does."""
    with contextlib.suppress(yamux.StreamEnded):
        while True:
            await stream.write(await stream.read_exactly(PING_BYTES))
