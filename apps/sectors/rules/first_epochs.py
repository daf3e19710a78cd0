"""The first epoch at which work that begins now can be on chain: a sector, a snap-up, a rebuild.

Source: builtin-actors actors/miner/src/lib.rs prove_commit_sectors3 (a commit lands after the epoch of its
seed); deadline_is_mutable.
"""

from __future__ import annotations

from math import ceil
from typing import Final

from apps.core.marked_texts import gettext
from apps.pieces.models import Piece
from apps.sectors.onchain.deadline_windows import Windows
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.filecoin.policy import Network
from poolsite.wire.jobs import JobKind

MESSAGE_EPOCHS: Final = 1
"""Epochs from the head at which a message is sent to the one in which it lands, at least."""


def first_epoch_compute(
    kind: JobKind,
    *,
    height: int,
    work_s: float,
    network: Network,
    current: DeadlineInfo | None = None,
    index: int | None = None,
) -> int:
    """Return the first epoch at which a sector, snap-up or rebuild begun at `height` can be on chain.

    `work_s`: seconds that hosts still need for it.  `index`: the deadline of the sector, which is not changed
    around its own window; `current` is the miner's open one.
    """
    first = height + ceil(work_s / network.epoch_s) + MESSAGE_EPOCHS
    if kind == JobKind.SEAL:
        return first + network.pre_commit_challenge_delay + MESSAGE_EPOCHS
    if kind == JobKind.REBUILD or current is None or index is None:
        return first
    return Windows(current, height=first).opens_at(index)


def late_refusal(piece: Piece, *, first: int) -> str:
    """Return why a piece cannot be active in time, where it can be from epoch `first` on; empty if it can."""
    if piece.last_epoch is None or piece.last_epoch >= first:
        return ""
    return gettext("piece {piece} must be active by epoch {last}, and cannot be before {first}").format(
        piece=piece, last=piece.last_epoch, first=first
    )
