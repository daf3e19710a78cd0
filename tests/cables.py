"""The cables between console machines and what they share: relays that are slowed, or cut for one of them.

Machines of a test have one address, so whose connection one is says the process at its other end: each
process of a machine has POOLSITE_MACHINE in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

from tests.servers import port_free

HELD_S: Final = 0.02
"""Between two looks whether a cut was mended."""
PROC: Final = Path("/proc")
GONE: Final = "0"
"""The inode of a connection whose process has closed it."""
MACHINES: Final[dict[str, str]] = {}
"""By process id, what was read once: a busy computer has hundreds of processes, and a relay may not wait."""


class Cut(StrEnum):
    """How a cable is cut."""

    SILENT = "silent"
    """Nothing passes and nobody is told, as where a switch loses its power."""
    DEAF = "deaf"
    """Requests pass, answers are held back."""
    REFUSED = "refused"
    """Connections end at once, and none is made, as by a firewall that rejects them."""


@dataclass
class _Line:
    """One connection through a cable."""

    port: int
    """From which a process has connected."""
    owner: str | None = None
    """The machine of that process, once a cut has asked for it: it takes a while to find out."""


class Cable:
    """A relay to a port of this machine, or several in turn; what a cut held passes on once it is mended."""

    def __init__(self, *ports: int) -> None:
        self.targets = list(ports)
        self._count = 0
        self.port = port_free()
        self.late_s = 0.0
        """By how much each piece comes later."""
        self._cuts: dict[str, Cut] = {}
        self._lines: dict[asyncio.StreamWriter, _Line] = {}
        """Both ends of each line."""
        self._ready = threading.Event()
        self._end: Callable[[], object] = self._ready.set
        self._loop: asyncio.AbstractEventLoop | None = None

    def cut(self, how: Cut, *machines: str) -> None:
        """Cut it for these machines."""
        self._cuts |= dict.fromkeys(machines, how)
        if how is Cut.REFUSED and self._loop is not None:
            self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        """Let everything pass again."""
        self._cuts = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[Cable]:
        """Relay until the end; nothing stays open."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        thread.start()
        assert self._ready.wait(10)
        try:
            yield self
        finally:
            self._end()
            thread.join(10)

    def _cut_of(self, line: _Line) -> Cut | None:
        """Return how a line is cut."""
        if not self._cuts:
            return None
        if line.owner is None:
            line.owner = machine_of(line.port, self.port)
        return self._cuts.get(line.owner or "")

    def _abort(self) -> None:
        for writer, line in list(self._lines.items()):
            if self._cut_of(line) is Cut.REFUSED:
                writer.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: _Line, held_by: frozenset[Cut]
    ) -> None:
        try:
            while data := await reader.read(1 << 16):
                await asyncio.sleep(self.late_s)
                while self._cut_of(line) in held_by:
                    await asyncio.sleep(HELD_S)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # one end was killed: the other is told by the end of its line
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, ends = _Line(int(writer.get_extra_info("peername")[1])), [writer]
        try:
            if self._cut_of(line) is Cut.REFUSED:
                return
            self._count += 1
            target = self.targets[self._count % len(self.targets)]
            there, back = await asyncio.open_connection("127.0.0.1", target)
            ends.append(back)
            self._lines |= dict.fromkeys(ends, line)
            await asyncio.gather(
                self._pass_on(reader, back, line, frozenset({Cut.SILENT})),
                self._pass_on(there, writer, line, frozenset({Cut.SILENT, Cut.DEAF})),
            )
        except (OSError, asyncio.CancelledError):
            pass  # what it leads to is away, or this is the end
        finally:
            for end in ends:
                self._lines.pop(end, None)
                end.close()

    async def _run(self) -> None:
        ended, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self._end = partial(self._loop.call_soon_threadsafe, ended.set)
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._ready.set()
        await ended.wait()
        server.close()


def machine_of(port: int, to: int) -> str | None:
    """Return the POOLSITE_MACHINE of the process that has connected from `port`; empty if it is ours.

    None where none is found: the tables change while they are read.
    """
    if (inode := _inode_of(port, to)) in ("", GONE):
        return "" if inode else None
    if _has_socket(PROC / "self", inode):
        return ""
    pids = [name for name in os.listdir(PROC) if name.isdigit()]
    for name in pids:
        if name not in MACHINES:
            MACHINES[name] = _environment(PROC / name).get("POOLSITE_MACHINE", "")
    for name in set(MACHINES).difference(pids):
        MACHINES.pop(name, None)
    own = [(name, machine) for name, machine in list(MACHINES.items()) if machine]
    for name, machine in own:
        if _has_socket(PROC / name, inode):
            return machine
    return None


def _inode_of(port: int, to: int) -> str:
    """Return the inode of a connection's near end; one port may have connections to several others."""
    for line in (PROC / "net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if [int(word.rpartition(":")[2], 16) for word in words[1:3]] == [port, to]:
            return words[9]
    return ""


def _environment(folder: Path) -> dict[str, str]:
    with contextlib.suppress(OSError):
        words = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
        return dict(word.partition("=")[::2] for word in words)
    return {}


def _has_socket(folder: Path, inode: str) -> bool:
    with contextlib.suppress(OSError), os.scandir(folder / "fd") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if os.readlink(entry.path) == f"socket:[{inode}]":
                    return True
    return False
