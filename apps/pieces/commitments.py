"""The commitment of a file of raw bytes, by the kernels in a process of their own.

The console imports nothing of the workers: it runs their command line, which any program that prints the
same JSON may replace (`PIECE_COMMITMENT_COMMAND`).
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.conf import settings

from apps.pieces.errors import CommitmentFailed
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.sha254 import sha254_node, sha254_zero

if TYPE_CHECKING:
    from pathlib import Path

    from poolsite.filecoin.cids import Cid

log = structlog.get_logger(__name__)


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
        done = subprocess.run(  # noqa: S603  # the command is a setting, the path is made of a uuid
            command,
            capture_output=True,
            cwd=settings.BASE_DIR,
            timeout=settings.PIECE_COMMITMENT_S,
            check=False,
        )
        told = json.loads(done.stdout)
        return Commitment(bytes.fromhex(told["comm_p"]), int(told["piece_size"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        log.error("commitment_failed", file=path.name, reason=repr(error)[:500])
        raise CommitmentFailed("the commitment could not be computed; the log says why") from None
