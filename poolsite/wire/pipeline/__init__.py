"""The pipelines as tables, one module each; hosts and console read the same rows."""

from __future__ import annotations

from typing import Final

from poolsite.wire.pipeline.changes import EXTENDING, TERMINATING
from poolsite.wire.pipeline.sealing import (
    FINAL_STATES,
    NEXT_STAGE,
    RECOVER_TO,
    SEALING,
    STATE_OF_STAGE,
    TRANSITIONS,
    SectorEvent,
    SectorState,
    Stage,
    stage_rank,
    state_after,
    states_with,
)
from poolsite.wire.pipeline.specs import BACK_TO, Owner, SectorKind, StageSpec, transitions_of
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
}
"""All tables, as the docs draw them."""

WORKER_STAGES: Final[dict[str, StageSpec]] = {
    spec.stage: spec for table in PIPELINES.values() for spec in table if spec.owner is Owner.WORKER
}
"""Stages that sealing hosts run, in order; each has a queue of its own there."""

__all__ = [
    "BACK_TO",
    "EXTENDING",
    "FINAL_STATES",
    "NEXT_STAGE",
    "PIPELINES",
    "RECOVER_TO",
    "SEALING",
    "STATE_OF_STAGE",
    "TERMINATING",
    "TRANSITIONS",
    "UNSEALING",
    "UNSEAL_NEXT",
    "UNSEAL_STAGES",
    "WORKER_STAGES",
    "Owner",
    "SectorEvent",
    "SectorKind",
    "SectorState",
    "Stage",
    "StageSpec",
    "UnsealStage",
    "UnsealState",
    "stage_rank",
    "state_after",
    "states_with",
    "transitions_of",
]
