"""The commitment of a file of raw bytes: of a small one here, else by the kernels in a process of their own.

The console imports nothing of the workers: it runs their command line, which any program that prints the
same JSON may replace (`PIECE_COMMITMENT_COMMAND`).  It hashes large files while they are written; what it
notes beside them only saves it work later (workers/processors/growing_piece.py).
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings

from apps.core.marked_texts import gettext
from apps.pieces.data.files import notes_path
from apps.pieces.errors import CommitmentFailed
from poolsite.filecoin.cids import Cid, commd_cid
from poolsite.filecoin.fr32 import RAW_BLOCK_BYTES, fr32_pad
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254, sha254_node, sha254_zero

log = structlog.get_logger(__name__)

SMALL_BYTES: Final = 64 * 1024
"""Files up to this size are hashed here, in some 10 ms: the kernels' process takes a second to begin."""

GROWN_BYTES: Final = 64 << 20
"""Once a transfer has brought so many the process begins: its start costs as much CPU as hashing 700 MiB."""
STEP_BYTES: Final = 16 << 20
"""The process hears of a file each time that so many more are written: about a subtree that it notes."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a piece commits to."""

    comm_p: bytes
    padded_size: int

    @property
    def cid(self) -> Cid:
        """The same as a CID."""
        return commd_cid(self.comm_p)

    def grown_to(self, padded_size: int) -> Commitment:
        """Return the commitment of the same bytes in a larger place, zeros behind them."""
        comm_p, size = self.comm_p, self.padded_size
        while size < padded_size:
            comm_p, size = sha254_node((comm_p, sha254_zero(size))), 2 * size
        return Commitment(comm_p, size)


def commitment_of(path: Path) -> Commitment:
    """Return the commitment of a file, zeros behind it up to 127 · 2^k bytes.  Raises CommitmentFailed."""
    if (commitment := GROWING.commitment(path)) is not None:
        return commitment
    command = [*settings.PIECE_COMMITMENT_COMMAND, str(path)]
    try:
        if path.stat().st_size <= SMALL_BYTES:
            return small_commitment(path.read_bytes())
        done = subprocess.run(  # noqa: S603  # the command is a setting, the path is made of a uuid
            command,
            capture_output=True,
            cwd=settings.BASE_DIR,
            timeout=settings.PIECE_COMMITMENT_S,
            check=False,
        )
        return _commitment_read(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        log.error("commitment_failed", file=path.name, reason=repr(error)[:500])
        raise CommitmentFailed(gettext("the commitment could not be computed: see the log")) from None


def _commitment_read(line: bytes) -> Commitment:
    """Return what the program printed of a file.  Raises ValueError, KeyError, TypeError."""
    output = json.loads(line)
    return Commitment(bytes.fromhex(output["comm_p"]), int(output["piece_size"]))


def small_commitment(raw: bytes) -> Commitment:
    """Return the commitment of these bytes, zeros behind them up to 127 · 2^k bytes."""
    room = RAW_BLOCK_BYTES
    while room < len(raw):
        room *= 2
    padded = fr32_pad(raw.ljust(room, b"\0"))
    nodes = [padded[at : at + NODE_BYTES] for at in range(0, len(padded), NODE_BYTES)]
    while len(nodes) > 1:
        nodes = [sha254(left + right) for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
    return Commitment(nodes[0], len(padded))


class _Program:
    """The program that computes commitments; begins with the first question, and answers one at a time."""

    def __init__(self) -> None:
        self.transfers = 0
        self.first: dict[Path, int] = {}
        """Files that are being written, and from where on."""
        self.followed: dict[Path, int] = {}
        """Those of which it was told, and how many bytes."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commitment")
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False

    def note(self, path: Path, until: int) -> None:
        """Send it what is written of a file, if that is worth it by now; return at once."""
        first = self.first.get(path, until)
        if until - first >= GROWN_BYTES and until - self.followed.get(path, first) >= STEP_BYTES:
            self.followed[path] = until
            self._thread.submit(self._ask, path, until=until)

    def commitment(self, path: Path) -> Commitment | None:
        """Return the commitment of a file; None if the program failed."""
        line = self._thread.submit(self._ask, path).result()
        try:
            return _commitment_read(line)
        except (ValueError, KeyError, TypeError):
            return None

    def _ask(self, path: Path, **wanted: int) -> bytes:
        """Return its answer; empty if it failed: it is asked no more then."""
        if self._is_ended:
            return b""
        line = b""
        try:
            process = self._process = self._process or subprocess.Popen(  # noqa: S603  # a setting
                [*settings.PIECE_COMMITMENT_COMMAND, "--growing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # nothing is left to be written once it has ended
                cwd=settings.BASE_DIR,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            limit = threading.Timer(settings.PIECE_COMMITMENT_S, process.kill)
            limit.start()
            try:
                process.stdin.write(json.dumps({"file": str(path), **wanted}).encode() + b"\n")
                line = process.stdout.readline()
            finally:
                limit.cancel()
        except OSError as error:
            log.warning("commitment_program_failed", reason=repr(error)[:500])
        if not line and not self._is_ended:
            log.error("commitment_not_computed_meanwhile", file=path.name)
            self._is_ended = True
        return line

    def end(self) -> None:
        """End it: what it has noted is kept."""
        self._is_ended = True
        if self._process is not None:
            self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        if self._process is not None:
            with self._process as process:  # a question that was under way may have begun it
                process.kill()


class _Growing:
    """Files that this process writes: a program hashes them meanwhile, one for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._program: _Program | None = None

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """Keep the program until this and all other transfers have ended."""
        with self._lock:
            program = self._program = self._program or _Program()
            program.transfers += 1
        try:
            yield
        finally:
            with self._lock:
                program.transfers -= 1
                is_last = not program.transfers
                if is_last:
                    self._program = None
            if is_last:
                program.end()

    def begin(self, path: Path, *, first: int) -> None:
        """Note that a file is written from a byte on, within a transfer; it may be a further part of it."""
        if not first:  # notes of other bytes would only have to be found wrong
            notes_path(path).unlink(missing_ok=True)
        with self._lock:
            if self._program is not None:
                self._program.first[path] = min(first, self._program.first.get(path, first))

    def note(self, path: Path, until: int) -> None:
        """Note up to where all bytes of a file are on the disk."""
        with self._lock:
            if self._program is not None:
                self._program.note(path, until)

    def commitment(self, path: Path) -> Commitment | None:
        """Return the commitment of a file that was hashed meanwhile; None if it must be computed anew."""
        with self._lock:
            program = self._program
            is_followed = program is not None and program.followed.pop(path, None) is not None
            if program is not None:
                program.first.pop(path, None)
        return program.commitment(path) if program is not None and is_followed else None


GROWING: Final = _Growing()
"""(Module state: one program serves all transfers of a process.)"""
