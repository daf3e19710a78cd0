"""Snap-up: clients' data into a committed sector of zeros, which goes on proving meanwhile.

The old replica is cleared only when no reorganisation can bring it back.
Source: damocles-worker/src/sealing/sealing_thread/planner/snapup.rs; damocles-manager/modules/impl/sectors/
snapup_commit.go SnapUpCommitter; FIP-0019.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.pipeline.sealing import GROTH16_MEMORY, RECOVER_TO
from poolsite.wire.pipeline.sealing_states import Stage
from poolsite.wire.pipeline.specs import Owner, StageSpec, StoreUse, transitions_of


class SnapState(StrEnum):
    """What has been done for a sector that gets data."""

    PIECES_ASSIGNED = "PIECES_ASSIGNED"
    SNAP_ENCODED = "SNAP_ENCODED"
    SNAP_PROVED = "SNAP_PROVED"
    SNAP_STORED = "SNAP_STORED"
    UPDATE_SENT = "UPDATE_SENT"
    UPDATE_LANDED = "UPDATE_LANDED"
    UPDATE_FINAL = "UPDATE_FINAL"
    SNAPPED = "SNAPPED"
    SNAP_ABORTED = "SNAP_ABORTED"


class SnapStage(StrEnum):
    """What is to be done next for it."""

    SNAP_ENCODE = "SNAP_ENCODE"
    SNAP_PROVE = "SNAP_PROVE"
    UPDATE = "UPDATE"
    UPDATE_WAIT = "UPDATE_WAIT"
    UPDATE_FINALITY = "UPDATE_FINALITY"
    KEY_CLEAR = "KEY_CLEAR"
    SNAPPED = "SNAPPED"
    SNAP_ABORTED = "SNAP_ABORTED"


_ABORT: Final = {"ABORT": str(SnapState.SNAP_ABORTED)}

SNAPPING: Final[tuple[StageSpec, ...]] = (
    StageSpec(
        state=SnapState.PIECES_ASSIGNED,
        stage=SnapStage.SNAP_ENCODE,
        owner=Owner.WORKER,
        label="Snap encode",
        event="SNAP_ENCODE",
        next=SnapState.SNAP_ENCODED,
        done="Data encoded",
        others=_ABORT,
        slots=1,
        plans=("snapup", "rebuild"),
        task="snap_encode",
        kernels=("fr32", "binary_tree", "poseidon", "scaling"),
        outputs=("comm_d", "comm_r"),
        store=StoreUse.READS,
        grows=True,
    ),
    StageSpec(
        state=SnapState.SNAP_ENCODED,
        stage=SnapStage.SNAP_PROVE,
        owner=Owner.WORKER,
        label="Snap prove",
        event="SNAP_PROVE",
        next=SnapState.SNAP_PROVED,
        done="Update proved",
        others=_ABORT,
        resume_at=(SnapState.PIECES_ASSIGNED,),
        slots=1,
        plans=("snapup",),
        memory=GROTH16_MEMORY,
        task="snap_prove",
        kernels=("binary_tree", "poseidon"),
        outputs=("proof",),
        store=StoreUse.READS,
    ),
    StageSpec(
        state=SnapState.SNAP_PROVED,
        stage=Stage.PERSIST,
        owner=Owner.WORKER,
        label="Store",
        event="PERSIST",
        next=SnapState.SNAP_STORED,
        done="Updated replica stored",
        others=_ABORT,
        resume_at=(SnapState.SNAP_ENCODED, SnapState.PIECES_ASSIGNED),
        slots=1,
        outputs=("store",),
        store=StoreUse.WRITES,
    ),
    StageSpec(
        state=SnapState.SNAP_STORED,
        stage=SnapStage.UPDATE,
        owner=Owner.CONSOLE,
        label="Update",
        event="SEND_UPDATE",
        next=SnapState.UPDATE_SENT,
        done="Update sent",
        status="waiting for its deadline to be mutable",
        others=_ABORT,
        resume_at=(SnapState.SNAP_PROVED, SnapState.SNAP_ENCODED, SnapState.PIECES_ASSIGNED),
    ),
    StageSpec(
        state=SnapState.UPDATE_SENT,
        stage=SnapStage.UPDATE_WAIT,
        owner=Owner.CONSOLE,
        label="Update sent",
        event="LAND_UPDATE",
        next=SnapState.UPDATE_LANDED,
        done="Update landed",
        status="update sent",
        others={"FAIL_UPDATE": SnapState.SNAP_STORED},
    ),
    StageSpec(
        state=SnapState.UPDATE_LANDED,
        stage=SnapStage.UPDATE_FINALITY,
        owner=Owner.CONSOLE,
        label="Finality",
        event="PASS_FINALITY",
        next=SnapState.UPDATE_FINAL,
        done="Update is final",
        status="waiting for finality",
        others={"REVERT_UPDATE": SnapState.UPDATE_SENT},
    ),
    StageSpec(
        state=SnapState.UPDATE_FINAL,
        stage=SnapStage.KEY_CLEAR,
        owner=Owner.WORKER,
        label="Clear old replica",
        event="CLEAR_KEY",
        next=SnapState.SNAPPED,
        done="Old replica cleared",
        slots=1,
        store=StoreUse.CLEARS,
    ),
    StageSpec(state=SnapState.SNAPPED, stage=SnapStage.SNAPPED, owner=Owner.NOBODY, label="Snapped up"),
    StageSpec(
        state=SnapState.SNAP_ABORTED, stage=SnapStage.SNAP_ABORTED, owner=Owner.NOBODY, label="Aborted"
    ),
)
"""The way of data into a committed sector, in order."""

UNSENT: Final = (
    SnapState.PIECES_ASSIGNED,
    SnapState.SNAP_ENCODED,
    SnapState.SNAP_PROVED,
    SnapState.SNAP_STORED,
)
"""States in which its message was not sent yet."""

SNAP_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    state: moves
    | ({f"{RECOVER_TO}{SnapState.UPDATE_SENT}": str(SnapState.UPDATE_SENT)} if state in UNSENT else {})
    for state, moves in transitions_of(SNAPPING).items()
}
"""From state and event to state; after a restore its message may be known to be sent."""
