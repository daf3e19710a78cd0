"""The commitment of a file of raw bytes: of a small one here, else by the kernels in a process of their own.

The console imports nothing of the workers: it runs their command line, which any program that prints the
same JSON may replace (`PIECE_COMMITMENT_COMMAND`).
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings

from apps.core.marked_texts import gettext
from apps.pieces.errors import CommitmentFailed
from poolsite.filecoin.cids import Cid, commd_cid
from poolsite.filecoin.fr32 import RAW_BLOCK_BYTES, fr32_pad
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254, sha254_node, sha254_zero

log = structlog.get_logger(__name__)

SMALL_BYTES: Final = 64 * 1024
"""Files up to this size are hashed here, in some 10 ms: the kernels' process takes a second to begin."""


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
        output = json.loads(done.stdout)
        return Commitment(bytes.fromhex(output["comm_p"]), int(output["piece_size"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        log.error("commitment_failed", file=path.name, reason=repr(error)[:500])
        raise CommitmentFailed(gettext("the commitment could not be computed: see the log")) from None


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
