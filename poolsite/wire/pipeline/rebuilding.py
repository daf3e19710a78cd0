"""Rebuild: a sealed file that is lost is made again, with the ticket and data that it was made of.

The stages are those of sealing; what comes out must have the comm_r that the chain has.  Of an updated sector
the replica of zeros is made first, then its data are encoded into it.
Source: damocles-worker src/sealing/sealing_thread/planner/rebuild.rs.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from poolsite.wire.pipeline.sealing import SEALING
from poolsite.wire.pipeline.sealing_states import Stage
from poolsite.wire.pipeline.snapping import SNAPPING, SnapStage
from poolsite.wire.pipeline.specs import ChainClock, Owner, StageSpec, StoreUse, transitions_of


class RebuildState(StrEnum):
    """What has been done for a replica that is made again."""

    LOST = "LOST"
    REBUILD_PIECE_ADDED = "REBUILD_PIECE_ADDED"
    REBUILD_TREE_D_BUILT = "REBUILD_TREE_D_BUILT"
    REBUILD_PC1_DONE = "REBUILD_PC1_DONE"
    REBUILD_PC2_DONE = "REBUILD_PC2_DONE"
    REBUILD_ENCODED = "REBUILD_ENCODED"
    REBUILD_STORED = "REBUILD_STORED"
    REBUILD_CLEARED = "REBUILD_CLEARED"
    REBUILT = "REBUILT"
    COMM_R_DIFFERS = "COMM_R_DIFFERS"
    """What was made is not what the chain has: ticket or data are others."""
    REBUILD_ABORTED = "REBUILD_ABORTED"


class RebuildStage(StrEnum):
    """What is to be done next for it, where sealing has no such stage."""

    RECOVERY = "RECOVERY"
    REBUILT = "REBUILT"
    COMM_R_DIFFERS = "COMM_R_DIFFERS"
    REBUILD_ABORTED = "REBUILD_ABORTED"


R = RebuildState
_ABORT: Final = {"ABORT": str(R.REBUILD_ABORTED)}
_COMM_R: Final = {"COMM_R_DIFFERS": str(R.COMM_R_DIFFERS)}


def _as_made(state: R, stage: Stage | SnapStage, following: R, **changes: Any) -> StageSpec:
    """Return the row of a stage of sealing or of a snap-up between two states of a rebuild.

    The chain has the sector already: no delay costs it a ticket or a deposit.
    """
    own = {"others": _ABORT, "resume_at": (), "status": "", "clock": ChainClock.NONE} | changes
    spec = next(one for one in (*SEALING, *SNAPPING) if one.stage == stage)
    return replace(spec, state=state, next=following, **own)


REBUILDING: Final[tuple[StageSpec, ...]] = (
    _as_made(R.LOST, Stage.ADD_PIECE, R.REBUILD_PIECE_ADDED),
    _as_made(R.REBUILD_PIECE_ADDED, Stage.TREE_D, R.REBUILD_TREE_D_BUILT, resume_at=(R.LOST,)),
    _as_made(R.REBUILD_TREE_D_BUILT, Stage.PC1, R.REBUILD_PC1_DONE, resume_at=(R.LOST,)),
    _as_made(
        R.REBUILD_PC1_DONE,
        Stage.PC2,
        R.REBUILD_PC2_DONE,
        others=_ABORT | _COMM_R,
        resume_at=(R.REBUILD_TREE_D_BUILT, R.LOST),
    ),
    _as_made(
        R.REBUILD_PC2_DONE,
        SnapStage.SNAP_ENCODE,
        R.REBUILD_ENCODED,
        others=_ABORT | _COMM_R,
        resume_at=(R.LOST,),
    ),
    _as_made(R.REBUILD_ENCODED, Stage.PERSIST, R.REBUILD_STORED, resume_at=(R.LOST,)),
    StageSpec(
        state=R.REBUILD_STORED,
        stage=Stage.FINALIZE,
        owner=Owner.WORKER,
        label="Finalize",
        event="FINALIZE",
        next=R.REBUILD_CLEARED,
        done="Sealing files cleared",
        slots=1,
        store=StoreUse.CLEARS,
    ),
    StageSpec(
        state=R.REBUILD_CLEARED,
        stage=RebuildStage.RECOVERY,
        owner=Owner.CONSOLE,
        label="Recovery",
        event="RECOVER",
        next=R.REBUILT,
        done="Proven again",
        status="waiting to be proven again",
    ),
    StageSpec(state=R.REBUILT, stage=RebuildStage.REBUILT, owner=Owner.NOBODY, label="Rebuilt"),
    StageSpec(
        state=R.COMM_R_DIFFERS,
        stage=RebuildStage.COMM_R_DIFFERS,
        owner=Owner.NOBODY,
        label="CommR differs",
        others=_ABORT,
        resume_at=(R.LOST,),
    ),
    StageSpec(
        state=R.REBUILD_ABORTED, stage=RebuildStage.REBUILD_ABORTED, owner=Owner.NOBODY, label="Aborted"
    ),
)
"""The way of a lost replica back into the store, in order."""

REBUILD_TRANSITIONS: Final[dict[str, dict[str, str]]] = transitions_of(REBUILDING)
"""From state and event to state."""
