"""Room that is promised in a store to sectors on their way there, by all hosts that have the store.

A promise is an empty file of the store, `promised/JOB~BYTES~HOST`, which a listing tells whole: it counts
with the console away, and wherever a host has the store; in the other stores on its disk it counts for hosts
that have both.  It is renewed while its sector is copied and
removed with the copy's end; one that nobody renews ends by itself, as seen by the clock of who looks, so
that hosts' clocks need not agree.

Two hosts that ask at once: each writes its promise, then lists; of both the later one must see the other.
Who sees a promise that holds, or an earlier name that asks, steps back; who sees a later name that asks
waits for that one to hold or to step back.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from poolsite.wire.stores import SPACE_RESERVED
from workers.storage.files import NotEnoughSpace
from workers.storage.sizes import size_text

log = structlog.get_logger(__name__)

PROMISED: Final = "promised"
"""Folder of a store."""
HELD: Final = "held"
"""Last part of the name of the file that says that a promise holds."""
NAME: Final = re.compile(r"(?P<job>[^~]+)~(?P<size>\d+)~(?P<host>[^~]+)(?P<held>~held)?")
LEASE_S: Final = 600.0
"""A promise that was not renewed for so long has ended, as has by then a copy that stands still."""
RENEW_S: Final = 60.0
DECIDE_S: Final = 10.0
"""How long another host that asks at the same moment is waited for."""
AGAIN_S: Final = 0.2
JOIN_S: Final = 5.0
"""How long a renewal that is under way is waited for, so that it does not follow the promise's end."""
HOSTS_NAMED: Final = 3


class RoomPromised(NotEnoughSpace):
    """There is room, but it is promised to sectors on their way; one sentence with their hosts."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Room for one sector."""

    job: str
    bytes: int
    host: str
    is_held: bool = False
    """False: it asks whether there is room."""

    @property
    def name(self) -> str:
        """Return the name of its file."""
        return f"{self.job}~{self.bytes}~{self.host}"


def promise_of(job: str, size: int) -> Promise:
    """Return the promise of this host for a job."""
    return Promise(_plain(job), size, _plain(socket.gethostname())[:63])


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]", "-", text) or "-"


@dataclass(frozen=True, slots=True)
class Room:
    """What a store has free beside all promises."""

    disk_bytes: int
    """On its disk, which other stores may share."""
    limit_bytes: int | None = None
    """Below its own limit, where it has one."""

    def left(self, promised: Sequence[Promise] = (), beside: Sequence[Promise] = ()) -> int:
        """Return what is free besides what is promised in it, and in other stores on its disk."""
        own = sum(one.bytes for one in promised)
        left = self.disk_bytes - own - sum(one.bytes for one in beside)
        return left if self.limit_bytes is None else min(left, self.limit_bytes - own)


def room_fault(
    path: str, *, needs: int, room: Room, promised: Sequence[Promise], beside: Sequence[Promise] = ()
) -> NotEnoughSpace | None:
    """Return why a store has no room for so many bytes; None if it has."""
    left = room.left(promised, beside)
    if left >= needs:
        return None
    say = f"{path}: {size_text(needs)} of disk needed, {size_text(max(left, 0))} free"
    if room.left() < needs:
        return NotEnoughSpace(say)
    hosts = sorted({one.host for one in (*promised, *beside)})
    names = ", ".join(hosts[:HOSTS_NAMED]) + (" …" if len(hosts) > HOSTS_NAMED else "")
    reserved = size_text(room.left() - left)
    return RoomPromised(f"{say} besides {reserved} {SPACE_RESERVED} from {names}")


class Promises:
    """What one process has seen of the promises in stores."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}
        """By path: the time that its file bears, and since when it has been seen with that."""
        self._lock = threading.Lock()

    def live(self, root: Path, *, without: str = "") -> list[Promise]:
        """Return what is promised in a store, but for one job.  Raises OSError."""
        return [one for one in self._sorted(root)[0] if one.job != _plain(without)]

    def live_beside(self, roots: Iterable[Path], *, without: str = "") -> list[Promise]:
        """Return what is promised in other stores on a store's disk, but for one job.

        One whose promises cannot be read holds up nobody who puts a sector into another.
        """
        found: list[Promise] = []
        for root in roots:
            with suppress(OSError):
                found += self.live(root, without=without)
        return found

    def make(
        self,
        root: Path,
        own: Promise,
        *,
        room: Callable[[], Room],
        beside: Sequence[Path] = (),
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Promise room in a store, where `room` tells what is free beside all promises.

        `beside` are the other stores on its disk: what they promised is free in none of them.  Raises
        RoomPromised, NotEnoughSpace, OSError; nothing is promised then.
        """
        for path in self._sorted(root)[1]:
            path.unlink(missing_ok=True)
        self.end(root, own.job)
        folder = root / PROMISED
        folder.mkdir(exist_ok=True)
        (folder / own.name).touch()
        try:
            self._settle(root, own, room=room, beside=beside, beat=beat)
            (folder / f"{own.name}~{HELD}").touch()
        except OSError:
            with suppress(OSError):  # the first error says more; what stays promised ends by itself
                self.end(root, own.job)
            raise

    def _settle(
        self,
        root: Path,
        own: Promise,
        *,
        room: Callable[[], Room],
        beside: Sequence[Path],
        beat: Callable[[], None],
    ) -> None:
        """Return once the room is this promise's.  Raises RoomPromised, NotEnoughSpace, OSError."""
        end = time.monotonic() + DECIDE_S
        while True:
            # Promises first: what is put there and is promised no more meanwhile counts as taken then.
            others = self.live(root, without=own.job)
            there = self.live_beside(beside, without=own.job)
            fault_of = partial(room_fault, str(root), needs=own.bytes, room=room())
            if fault := fault_of(promised=_firm(others, own), beside=_firm(there, own)):
                raise fault
            fault = fault_of(promised=others, beside=there)
            if fault is None:
                return
            if time.monotonic() > end:
                raise fault
            beat()
            time.sleep(AGAIN_S)

    def renew(self, root: Path, own: Promise) -> None:
        """Renew a promise.  Raises OSError."""
        for name in (own.name, f"{own.name}~{HELD}"):
            (root / PROMISED / name).touch()

    def end(self, root: Path, job: str) -> None:
        """Remove what was promised to a job.  Raises OSError."""
        paths = [path for path in _listed(root) if path.name.partition("~")[0] == _plain(job)]
        for path in sorted(paths, key=lambda path: not path.name.endswith(f"~{HELD}")):
            path.unlink(missing_ok=True)

    def _sorted(self, root: Path) -> tuple[list[Promise], list[Path]]:
        """Return the promises that count, and the files of those that nobody renewed."""
        now = time.monotonic()
        found: dict[str, Promise] = {}
        held: dict[str, Path] = {}
        over: list[Path] = []
        seen: dict[str, tuple[int, float]] = {}
        for path in _listed(root):
            match = NAME.fullmatch(path.name)
            if match is None:
                continue
            try:
                stamp = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # ended between the listing and now
            known = self._seen.get(str(path))
            seen[str(path)] = at = known if known is not None and known[0] == stamp else (stamp, now)
            name = path.name.removesuffix(f"~{HELD}")
            if now - at[1] >= LEASE_S:
                over.append(path)
            elif match["held"]:
                held[name] = path
            else:
                found[name] = Promise(match["job"], int(match["size"]), match["host"])
        with self._lock:
            here = f"{root / PROMISED}/"
            self._seen = {path: at for path, at in self._seen.items() if not path.startswith(here)} | seen
        live = [Promise(one.job, one.bytes, one.host, is_held=name in held) for name, one in found.items()]
        return live, sorted(over, key=lambda path: not path.name.endswith(f"~{HELD}"))


def _firm(promises: Sequence[Promise], own: Promise) -> list[Promise]:
    """Return those before which one steps back."""
    return [one for one in promises if one.is_held or one.name < own.name]


def _listed(root: Path) -> list[Path]:
    try:
        return list((root / PROMISED).iterdir())
    except FileNotFoundError:
        return []


@contextmanager
def renewed(renew: Callable[[], None]) -> Iterator[None]:
    """Renew a promise from a thread of its own, as a copy may say nothing for long."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(RENEW_S):
            try:
                renew()
            except (OSError, ValueError) as error:
                log.warning("promise_not_renewed", reason=str(error)[:200])

    thread = threading.Thread(target=work, name="promise", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(JOIN_S)
