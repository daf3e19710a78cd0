"""What the command line tools share: sizes and addresses as people write them, progress with ETA."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from typing import TextIO

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.scalars import NODE_BYTES
from workers.storage.sizes import size_text

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
"""Units of sector sizes."""

LINE_PAUSE_S = 1.0
"""Shortest time between two lines of progress."""


def size_argument(text: str) -> int:
    """Read a sector size such as 8MiB."""
    for unit, factor in UNITS.items():
        number = text.removesuffix(unit)
        if number != text and number.isdigit() and int(number):
            return int(number) * factor
    raise argparse.ArgumentTypeError(f"{text!r} is not a sector size such as 2KiB, 8MiB or 32GiB")


def miner_argument(text: str) -> int:
    """Read a miner's id address; plain numbers are taken too."""
    if text.isdigit():
        return int(text)
    try:
        return int(address_parse(text).actor_id)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ID address such as f01000: {error}") from None


def digest_argument(text: str) -> bytes:
    """Read 32 bytes of hex."""
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not hex") from None
    if len(value) != NODE_BYTES:
        raise argparse.ArgumentTypeError(f"{len(value)} bytes instead of {NODE_BYTES}")
    return value


def error_text(error: BaseException) -> str:
    """Return an error in one line; one of the system by its file and reason, without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


class Meter:
    """Progress of stages on stderr, and how long each took."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._out = sys.stderr if out is None else out
        self._stage = ""
        self._started = self._printed_at = 0.0

    def begin(self, stage: str) -> None:
        """Start the clock of a stage."""
        self._stage, self._started, self._printed_at = stage, time.monotonic(), 0.0
        self._out.write(f"{stage} …\n")

    def progress(self, done: int, total: int) -> None:
        """Print how far the stage is and how long it will take at this pace."""
        now = time.monotonic()
        if now - self._printed_at < LINE_PAUSE_S or not done:
            return
        if self._printed_at:
            left = (now - self._started) * (total - done) / done
            self._out.write(f"{self._stage} {100 * done / total:.0f} % · {left:.0f} s left\n")
            self._out.flush()
        self._printed_at = now

    def end(self) -> None:
        """Stop the clock."""
        took = time.monotonic() - self._started
        self.seconds[self._stage] = round(took, 3)
        peak = size_text(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        self._out.write(f"{self._stage} done in {took:.1f} s · at most {peak} resident so far\n")
