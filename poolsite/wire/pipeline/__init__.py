"""The pipelines as tables, one module each; hosts and console read the same rows."""

from __future__ import annotations

from typing import Final

from poolsite.wire.pipeline.changes import EXTENDING, TERMINATING
from poolsite.wire.pipeline.rebuilding import (
    REBUILD_TRANSITIONS,
    REBUILDING,
    RebuildStage,
    RebuildState,
)
from poolsite.wire.pipeline.sealing import (
    FINAL_STATES,
    NEXT_STAGE,
    RECOVER_TO,
    SEALING,
    SECTOR_STAGES,
    SECTOR_STATES,
    STATE_OF_STAGE,
    TRANSITIONS,
    stage_rank,
    state_after,
    states_on_clock,
    states_with,
)
from poolsite.wire.pipeline.sealing_states import SectorEvent, SectorState, Stage
from poolsite.wire.pipeline.snapping import SNAP_TRANSITIONS, SNAPPING, UNSENT, SnapStage, SnapState
from poolsite.wire.pipeline.specs import (
    BACK_TO,
    ChainClock,
    Memory,
    Owner,
    Retries,
    SectorKind,
    StageSpec,
    StoreUse,
    transitions_of,
)
from poolsite.wire.pipeline.unsealing import (
    UNSEAL_NEXT,
    UNSEAL_STAGES,
    UNSEALING,
    UnsealStage,
    UnsealState,
)

PIPELINES: Final[dict[str, tuple[StageSpec, ...]]] = {
    "Sealing": SEALING,
    "Unsealing": UNSEALING,
    "Terminating": TERMINATING,
    "Extending": EXTENDING,
    "Snap-up": SNAPPING,
    "Rebuild": REBUILDING,
}
"""All tables, as the docs draw them."""

_WORKERS: Final = [spec for table in PIPELINES.values() for spec in table if spec.owner is Owner.WORKER]
WORKER_STAGES: Final[dict[str, StageSpec]] = {
    spec.stage: next(first for first in _WORKERS if first.stage == spec.stage) for spec in _WORKERS
}
"""Stages that sealing hosts run; each has a queue and slots of its own there.  One in several tables is the
same work with the same event."""

RUN_NEXT: Final[dict[str, StageSpec]] = {spec.state: spec for spec in (*SNAPPING, *REBUILDING)}
"""From a state of a pipeline over a proven sector to the stage that comes next."""
RUN_TRANSITIONS: Final[dict[str, dict[str, str]]] = SNAP_TRANSITIONS | REBUILD_TRANSITIONS
"""Their moves: no state is in two tables."""
RUN_STATES: Final[tuple[str, ...]] = tuple(RUN_NEXT)
"""All their states."""
RUN_FINAL: Final[frozenset[str]] = frozenset(
    {SnapState.SNAPPED, SnapState.SNAP_ABORTED, RebuildState.REBUILT, RebuildState.REBUILD_ABORTED}
)
"""Their states in which nothing is left to do."""

__all__ = [
    "BACK_TO",
    "EXTENDING",
    "FINAL_STATES",
    "NEXT_STAGE",
    "PIPELINES",
    "REBUILDING",
    "REBUILD_TRANSITIONS",
    "RECOVER_TO",
    "RUN_FINAL",
    "RUN_NEXT",
    "RUN_STATES",
    "RUN_TRANSITIONS",
    "SEALING",
    "SECTOR_STAGES",
    "SECTOR_STATES",
    "SNAPPING",
    "SNAP_TRANSITIONS",
    "STATE_OF_STAGE",
    "TERMINATING",
    "TRANSITIONS",
    "UNSEALING",
    "UNSEAL_NEXT",
    "UNSEAL_STAGES",
    "UNSENT",
    "WORKER_STAGES",
    "ChainClock",
    "Memory",
    "Owner",
    "RebuildStage",
    "RebuildState",
    "Retries",
    "SectorEvent",
    "SectorKind",
    "SectorState",
    "SnapStage",
    "SnapState",
    "Stage",
    "StageSpec",
    "StoreUse",
    "UnsealStage",
    "UnsealState",
    "stage_rank",
    "state_after",
    "states_on_clock",
    "states_with",
    "transitions_of",
]
