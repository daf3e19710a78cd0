"""The way of a sector as one table: its states, and for each of them the stage that comes next.

A state says what has been done, a stage what is to be done next.  Worker stages run on a sealing host
and end with an event that the host reports; console stages wait for the chain and are ended by the
console on a head.  Files are persisted before the pre-commit, so that a sector that the chain knows
can always be proved; the sealing folder is cleared only after the commit has landed.
Source: ipfs-force-community/damocles damocles-worker/src/sealing/sealing_thread/planner/sealer.rs (plan!);
docs/sealing/lifecycle.md has it in words, docs/sealing/stages.md is made from it.
"""

from __future__ import annotations

from typing import Final

from poolsite.wire.pipeline.sealing_states import SectorEvent, SectorState, Stage
from poolsite.wire.pipeline.specs import ChainClock, Memory, Owner, StageSpec, StoreUse, transitions_of

S, E = SectorState, SectorEvent

GROTH16_MEMORY: Final = Memory(small_bytes=3 << 30, large_bytes=38_000_000_000, is_of_groth16=True)
"""Of a partition's SNARK by our own prover: up to 512 MiB measured, from 32 GiB on by arithmetic
(docs/snark.md)."""

SEALING: Final[tuple[StageSpec, ...]] = (
    StageSpec(
        state=S.ALLOCATED,
        stage=Stage.ADD_PIECE,
        owner=Owner.WORKER,
        label="Add piece",
        event=E.ADD_PIECE,
        next=S.PIECE_ADDED,
        done="Piece added",
        others={E.ABORT: S.ABORTED},
        slots=1,
        task="add_piece",
        kernels=("fr32", "binary_tree"),
        outputs=("pieces",),
        grows=True,
        published_s=180,
    ),
    StageSpec(
        state=S.PIECE_ADDED,
        stage=Stage.TREE_D,
        owner=Owner.WORKER,
        label="Tree D",
        event=E.BUILD_TREE_D,
        next=S.TREE_D_BUILT,
        done="Tree D built",
        others={E.ABORT: S.ABORTED},
        resume_at=(S.ALLOCATED,),
        slots=1,
        task="tree_d",
        kernels=("binary_tree",),
        outputs=("comm_d",),
        grows=True,
        published_s=60,
    ),
    StageSpec(
        state=S.TREE_D_BUILT,
        stage=Stage.TICKET,
        owner=Owner.CONSOLE,
        label="Ticket",
        event=E.ASSIGN_TICKET,
        next=S.TICKET_ASSIGNED,
        done="Ticket drawn",
        status="waiting for ticket",
        others={E.ABORT: S.ABORTED},
        resume_at=(S.ALLOCATED,),
    ),
    StageSpec(
        state=S.TICKET_ASSIGNED,
        stage=Stage.PC1,
        owner=Owner.WORKER,
        label="PC1",
        event=E.PC1,
        next=S.PC1_DONE,
        done="PC1 done",
        others={E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
        resume_at=(S.TREE_D_BUILT, S.ALLOCATED),
        slots=4,  # as many are labelled side by side; memory and cores decide how many at a time
        memory=Memory(per_sector_byte=2),  # two layers
        sectors_per_core=16,
        clock=ChainClock.TICKET,
        task="pc1",
        kernels=("binary_tree", "graph", "labels", "label_batches"),
        grows=True,
        published_s=177 * 60,
    ),
    StageSpec(
        state=S.PC1_DONE,
        stage=Stage.PC2,
        owner=Owner.WORKER,
        label="PC2",
        event=E.PC2,
        next=S.PC2_DONE,
        done="PC2 done",
        others={E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
        resume_at=(S.TICKET_ASSIGNED, S.TREE_D_BUILT, S.ALLOCATED),
        slots=1,
        clock=ChainClock.TICKET,
        task="pc2",
        kernels=("poseidon", "field"),
        outputs=("comm_d", "comm_r"),
        grows=True,
        published_s=12 * 60,
    ),
    StageSpec(
        state=S.PC2_DONE,
        stage=Stage.PERSIST,
        owner=Owner.WORKER,
        label="Store",
        event=E.PERSIST,
        next=S.PERSISTED,
        done="Files stored",
        others={E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
        resume_at=(S.PC1_DONE, S.TICKET_ASSIGNED, S.ALLOCATED),
        slots=1,
        clock=ChainClock.TICKET,
        outputs=("store",),
        store=StoreUse.WRITES,
        published_s=180,
        is_guessed=True,
    ),
    StageSpec(
        state=S.PERSISTED,
        stage=Stage.PRECOMMIT,
        owner=Owner.CONSOLE,
        label="Pre-commit batch",
        event=E.SEND_PRECOMMIT,
        next=S.PRECOMMIT_SENT,
        done="Pre-commit sent",
        status="in pre-commit batch",
        others={E.SKIP_PRECOMMIT: S.SEED_ASSIGNED, E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
        resume_at=(S.PC2_DONE, S.TREE_D_BUILT, S.ALLOCATED),
        clock=ChainClock.TICKET,
    ),
    StageSpec(
        state=S.PRECOMMIT_SENT,
        stage=Stage.PRECOMMIT_WAIT,
        owner=Owner.CONSOLE,
        label="Pre-commit",
        event=E.LAND_PRECOMMIT,
        next=S.PRECOMMIT_LANDED,
        done="Pre-commit landed",
        status="pre-commit sent",
        others={E.FAIL_PRECOMMIT: S.PERSISTED, E.ABORT: S.ABORTED},
        resume_at=(S.PERSISTED,),
        clock=ChainClock.TICKET,
    ),
    StageSpec(
        state=S.PRECOMMIT_LANDED,
        stage=Stage.WAIT_SEED,
        owner=Owner.CONSOLE,
        label="Wait seed",
        event=E.ASSIGN_SEED,
        next=S.SEED_ASSIGNED,
        done="Seed drawn",
        status="waiting for seed",
        others={E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT, E.RESEAL: S.ALLOCATED, E.ABORT: S.ABORTED},
        clock=ChainClock.DEPOSIT,
    ),
    StageSpec(
        state=S.SEED_ASSIGNED,
        stage=Stage.C1,
        owner=Owner.WORKER,
        label="C1",
        event=E.C1,
        next=S.C1_DONE,
        done="C1 done",
        others={
            E.RESEED: S.PRECOMMIT_LANDED,
            E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT,
            E.RESEAL: S.ALLOCATED,
            E.ABORT: S.ABORTED,
        },
        resume_at=(S.PRECOMMIT_LANDED,),
        slots=1,
        clock=ChainClock.DEPOSIT,
        task="c1",
        kernels=("binary_tree", "graph", "poseidon"),
        published_s=1,
    ),
    StageSpec(
        state=S.C1_DONE,
        stage=Stage.C2,
        owner=Owner.WORKER,
        label="C2",
        event=E.C2,
        next=S.C2_DONE,
        done="C2 done",
        others={
            E.RESEED: S.PRECOMMIT_LANDED,
            E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT,
            E.RESEAL: S.ALLOCATED,
            E.ABORT: S.ABORTED,
        },
        resume_at=(S.SEED_ASSIGNED, S.PRECOMMIT_LANDED),
        slots=1,
        memory=GROTH16_MEMORY,
        clock=ChainClock.DEPOSIT,
        task="c2",
        outputs=("proof",),
        published_s=15 * 60,
    ),
    StageSpec(
        state=S.C2_DONE,
        stage=Stage.COMMIT,
        owner=Owner.CONSOLE,
        label="Commit batch",
        event=E.SEND_COMMIT,
        next=S.COMMIT_SENT,
        done="Commit sent",
        status="in commit batch",
        others={
            E.RESEED: S.PRECOMMIT_LANDED,
            E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT,
            E.ABORT: S.ABORTED,
        },
        resume_at=(S.C1_DONE, S.SEED_ASSIGNED, S.PRECOMMIT_LANDED),
        clock=ChainClock.DEPOSIT,
    ),
    StageSpec(
        state=S.COMMIT_SENT,
        stage=Stage.COMMIT_WAIT,
        owner=Owner.CONSOLE,
        label="Commit",
        event=E.LAND_COMMIT,
        next=S.COMMIT_LANDED,
        done="Commit landed",
        status="commit sent",
        others={E.FAIL_COMMIT: S.C2_DONE, E.ABORT: S.ABORTED},
        resume_at=(S.C2_DONE,),
        clock=ChainClock.DEPOSIT,
    ),
    StageSpec(
        state=S.COMMIT_LANDED,
        stage=Stage.FINALIZE,
        owner=Owner.WORKER,
        label="Finalize",
        event=E.FINALIZE,
        next=S.PROVING,
        done="Sealing files cleared",
        others={E.REVERT_COMMIT: S.COMMIT_SENT},
        slots=1,
        store=StoreUse.CLEARS,
        published_s=10,
        is_guessed=True,
    ),
    StageSpec(
        state=S.PROVING,
        stage=Stage.PROVING,
        owner=Owner.NOBODY,
        label="Proving",
        others={E.REVERT_COMMIT: S.COMMIT_SENT, E.TERMINATE: S.TERMINATED},
    ),
    StageSpec(
        state=S.ABORTED,
        stage=Stage.ABORTED,
        owner=Owner.NOBODY,
        label="Aborted",
        others={E.RESTORE: S.ALLOCATED, E.RESTORE_PROVEN: S.PROVING},
    ),
    StageSpec(
        state=S.TERMINATED,
        stage=Stage.TERMINATED,
        owner=Owner.NOBODY,
        label="Terminated",
        others={E.REVERT_TERMINATE: S.PROVING, E.RESTORE_PROVEN: S.PROVING},
    ),
)
"""The whole way of a sector, in order."""

RECOVER_TO: Final = "RECOVER_TO_"
"""First part of the events that set a sector, after a restore, to where the chain or its host has it."""

NEXT_STAGE: Final[dict[str, StageSpec]] = {spec.state: spec for spec in SEALING}
"""From a state to the stage that comes next."""

SECTOR_STATES: Final[tuple[str, ...]] = tuple(str(state) for state in NEXT_STAGE)
"""All states, in order; `SectorState` names those that code outside the table names, too."""

STATE_OF_STAGE: Final[dict[str, str]] = {spec.stage: spec.state for spec in SEALING}
"""From a stage to the state in which it is the next one."""

SECTOR_STAGES: Final[tuple[str, ...]] = tuple(str(stage) for stage in STATE_OF_STAGE)
"""All stages, in order; `Stage` names those that code outside the table names, too."""

FINAL_STATES: Final[frozenset[str]] = frozenset({S.PROVING, S.ABORTED, S.TERMINATED})
"""States in which sealing has nothing left to do."""


def _recoveries(state: str) -> dict[str, str]:
    if state == S.ABORTED:
        return {}
    return {f"{RECOVER_TO}{spec.state}": str(spec.state) for spec in SEALING if spec.state != S.ABORTED}


TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    state: moves | _recoveries(state) for state, moves in transitions_of(SEALING).items()
}
"""From state and event to state."""


def states_on_clock(clock: ChainClock) -> frozenset[str]:
    """Return the states in which a delay costs a sector its ticket, or its deposit."""
    return frozenset(state for state, spec in NEXT_STAGE.items() if spec.clock is clock)


def states_with(event: str) -> tuple[str, ...]:
    """Return the states that an event moves a sector from, in order."""
    return tuple(state for state, moves in TRANSITIONS.items() if event in moves)


def state_after(state: str, event: str) -> str | None:
    """Return where `event` leads from `state`, or None if the table has no such step."""
    return TRANSITIONS.get(state, {}).get(event)


def stage_rank(stage: str) -> int:
    """Return a stage's place in the table."""
    return list(STATE_OF_STAGE).index(stage)
