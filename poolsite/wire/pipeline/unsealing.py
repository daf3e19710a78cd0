"""The way of bytes out of a sealed sector, by a host of its store; the sector's own state does not change."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.pipeline.specs import Owner, Retries, StageSpec, StoreUse


class UnsealState(StrEnum):
    """What has been done for a piece, or another range of a sector, that is wanted unsealed."""

    SEALED = "SEALED"
    UNSEALED = "UNSEALED"
    FETCHED = "FETCHED"


class UnsealStage(StrEnum):
    """What is to be done next for it."""

    UNSEAL = "UNSEAL"
    UPLOAD = "UPLOAD"
    FETCHED = "FETCHED"


UNSEALING: Final[tuple[StageSpec, ...]] = (
    StageSpec(
        state=UnsealState.SEALED,
        stage=UnsealStage.UNSEAL,
        owner=Owner.WORKER,
        label="Unseal",
        event="UNSEAL",
        next=UnsealState.UNSEALED,
        done="Unsealed",
        slots=1,
        plans=("unseal",),
        task="unseal",
        kernels=("graph", "labels", "field", "fr32", "binary_tree"),
        store=StoreUse.READS,
    ),
    StageSpec(
        state=UnsealState.UNSEALED,
        stage=UnsealStage.UPLOAD,
        owner=Owner.WORKER,
        label="Upload",
        event="UPLOAD",
        next=UnsealState.FETCHED,
        done="Bytes uploaded",
        slots=1,
        retries=Retries(attempts_max=30, pause_max_s=3600),  # for most of a day: to unseal again costs hours
    ),
    StageSpec(
        state=UnsealState.FETCHED, stage=UnsealStage.FETCHED, owner=Owner.NOBODY, label="Bytes fetched"
    ),
)

UNSEAL_STAGES: Final[dict[str, StageSpec]] = {spec.stage: spec for spec in UNSEALING}
"""The stages of unsealing; a job's stage says how far it is."""
UNSEAL_NEXT: Final[dict[str, StageSpec]] = {spec.state: spec for spec in UNSEALING}
"""From a state of unsealing to the stage that comes next."""
