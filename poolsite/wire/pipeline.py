"""The way of a sector as tables: its states, the events that move it, and who does the next step.

A state says what has been done, a stage what is to be done next.  Worker stages run on a sealing host
and end with an event that the host reports; console stages wait for the chain and are ended by the
console on a head.  Files are persisted before the pre-commit, so that a sector that the chain knows
can always be proved; the sealing folder is cleared only after the commit has landed.
Source: damocles-worker planner/sealer.rs (plan!), spec/sealing.md §2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class SectorState(StrEnum):
    """What has been done for a sector."""

    ALLOCATED = "ALLOCATED"
    PIECE_ADDED = "PIECE_ADDED"
    TREE_D_BUILT = "TREE_D_BUILT"
    TICKET_ASSIGNED = "TICKET_ASSIGNED"
    PC1_DONE = "PC1_DONE"
    PC2_DONE = "PC2_DONE"
    PERSISTED = "PERSISTED"
    PRECOMMIT_SENT = "PRECOMMIT_SENT"
    PRECOMMIT_LANDED = "PRECOMMIT_LANDED"
    SEED_ASSIGNED = "SEED_ASSIGNED"
    C1_DONE = "C1_DONE"
    C2_DONE = "C2_DONE"
    COMMIT_SENT = "COMMIT_SENT"
    COMMIT_LANDED = "COMMIT_LANDED"
    PROVING = "PROVING"
    ABORTED = "ABORTED"


class SectorEvent(StrEnum):
    """What moves a sector."""

    ADD_PIECE = "ADD_PIECE"
    BUILD_TREE_D = "BUILD_TREE_D"
    ASSIGN_TICKET = "ASSIGN_TICKET"
    PC1 = "PC1"
    PC2 = "PC2"
    PERSIST = "PERSIST"
    SEND_PRECOMMIT = "SEND_PRECOMMIT"
    LAND_PRECOMMIT = "LAND_PRECOMMIT"
    FAIL_PRECOMMIT = "FAIL_PRECOMMIT"
    ASSIGN_SEED = "ASSIGN_SEED"
    C1 = "C1"
    C2 = "C2"
    SEND_COMMIT = "SEND_COMMIT"
    LAND_COMMIT = "LAND_COMMIT"
    FAIL_COMMIT = "FAIL_COMMIT"
    FINALIZE = "FINALIZE"
    RETICKET = "RETICKET"
    """The ticket is too old for the chain: labels must be made again."""
    RESEED = "RESEED"
    """The pre-commit stands at another epoch than before, or the proof was refused: another seed."""
    REVERT_PRECOMMIT = "REVERT_PRECOMMIT"
    """The pre-commit message left the chain again."""
    REVERT_COMMIT = "REVERT_COMMIT"
    """The commit message left the chain again."""
    ABORT = "ABORT"


class Stage(StrEnum):
    """What is to be done next; the pages and the REST interface show these words."""

    ADD_PIECE = "ADD_PIECE"
    TREE_D = "TREE_D"
    TICKET = "TICKET"
    PC1 = "PC1"
    PC2 = "PC2"
    PERSIST = "PERSIST"
    PRECOMMIT = "PRECOMMIT"
    PRECOMMIT_WAIT = "PRECOMMIT_WAIT"
    WAIT_SEED = "WAIT_SEED"
    C1 = "C1"
    C2 = "C2"
    COMMIT = "COMMIT"
    COMMIT_WAIT = "COMMIT_WAIT"
    FINALIZE = "FINALIZE"
    PROVING = "PROVING"
    ABORTED = "ABORTED"


class Owner(StrEnum):
    """Who does a stage."""

    WORKER = "worker"
    CONSOLE = "console"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Step:
    """What follows a state."""

    stage: Stage
    owner: Owner
    event: SectorEvent | None = None
    """The event that a worker reports at the end of the stage."""
    resume_at: tuple[SectorState, ...] = ()
    """Where an operator may set a paused sector back to, best first; the state itself means: try again."""


S, E = SectorState, SectorEvent

TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    S.ALLOCATED: {E.ADD_PIECE: S.PIECE_ADDED, E.ABORT: S.ABORTED},
    S.PIECE_ADDED: {E.BUILD_TREE_D: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
    S.TREE_D_BUILT: {E.ASSIGN_TICKET: S.TICKET_ASSIGNED, E.ABORT: S.ABORTED},
    S.TICKET_ASSIGNED: {E.PC1: S.PC1_DONE, E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
    S.PC1_DONE: {E.PC2: S.PC2_DONE, E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
    S.PC2_DONE: {E.PERSIST: S.PERSISTED, E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
    S.PERSISTED: {E.SEND_PRECOMMIT: S.PRECOMMIT_SENT, E.RETICKET: S.TREE_D_BUILT, E.ABORT: S.ABORTED},
    S.PRECOMMIT_SENT: {
        E.LAND_PRECOMMIT: S.PRECOMMIT_LANDED,
        E.FAIL_PRECOMMIT: S.PERSISTED,
        E.ABORT: S.ABORTED,
    },
    S.PRECOMMIT_LANDED: {
        E.ASSIGN_SEED: S.SEED_ASSIGNED,
        E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT,
        E.ABORT: S.ABORTED,
    },
    S.SEED_ASSIGNED: {
        E.C1: S.C1_DONE,
        E.RESEED: S.PRECOMMIT_LANDED,
        E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT,
        E.ABORT: S.ABORTED,
    },
    S.C1_DONE: {
        E.C2: S.C2_DONE,
        E.RESEED: S.PRECOMMIT_LANDED,
        E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT,
        E.ABORT: S.ABORTED,
    },
    S.C2_DONE: {
        E.SEND_COMMIT: S.COMMIT_SENT,
        E.RESEED: S.PRECOMMIT_LANDED,
        E.REVERT_PRECOMMIT: S.PRECOMMIT_SENT,
        E.ABORT: S.ABORTED,
    },
    S.COMMIT_SENT: {E.LAND_COMMIT: S.COMMIT_LANDED, E.FAIL_COMMIT: S.C2_DONE, E.ABORT: S.ABORTED},
    S.COMMIT_LANDED: {E.FINALIZE: S.PROVING, E.REVERT_COMMIT: S.COMMIT_SENT},
    S.PROVING: {E.REVERT_COMMIT: S.COMMIT_SENT},
    S.ABORTED: {},
}
"""From state and event to state: the whole way of a sector."""

STEPS: Final[dict[str, Step]] = {
    S.ALLOCATED: Step(Stage.ADD_PIECE, Owner.WORKER, E.ADD_PIECE),
    S.PIECE_ADDED: Step(Stage.TREE_D, Owner.WORKER, E.BUILD_TREE_D, (S.ALLOCATED,)),
    S.TREE_D_BUILT: Step(Stage.TICKET, Owner.CONSOLE, None, (S.ALLOCATED,)),
    S.TICKET_ASSIGNED: Step(Stage.PC1, Owner.WORKER, E.PC1, (S.TREE_D_BUILT, S.ALLOCATED)),
    S.PC1_DONE: Step(Stage.PC2, Owner.WORKER, E.PC2, (S.TICKET_ASSIGNED, S.TREE_D_BUILT, S.ALLOCATED)),
    S.PC2_DONE: Step(Stage.PERSIST, Owner.WORKER, E.PERSIST, (S.PC1_DONE, S.TICKET_ASSIGNED, S.ALLOCATED)),
    S.PERSISTED: Step(Stage.PRECOMMIT, Owner.CONSOLE, None, (S.PC2_DONE, S.TREE_D_BUILT, S.ALLOCATED)),
    S.PRECOMMIT_SENT: Step(Stage.PRECOMMIT_WAIT, Owner.CONSOLE, None, (S.PERSISTED,)),
    S.PRECOMMIT_LANDED: Step(Stage.WAIT_SEED, Owner.CONSOLE),
    S.SEED_ASSIGNED: Step(Stage.C1, Owner.WORKER, E.C1, (S.PRECOMMIT_LANDED,)),
    S.C1_DONE: Step(Stage.C2, Owner.WORKER, E.C2, (S.SEED_ASSIGNED, S.PRECOMMIT_LANDED)),
    S.C2_DONE: Step(Stage.COMMIT, Owner.CONSOLE, None, (S.C1_DONE, S.SEED_ASSIGNED, S.PRECOMMIT_LANDED)),
    S.COMMIT_SENT: Step(Stage.COMMIT_WAIT, Owner.CONSOLE, None, (S.C2_DONE,)),
    S.COMMIT_LANDED: Step(Stage.FINALIZE, Owner.WORKER, E.FINALIZE),
    S.PROVING: Step(Stage.PROVING, Owner.NOBODY),
    S.ABORTED: Step(Stage.ABORTED, Owner.NOBODY),
}
"""From a state to what is done next, by whom."""

BACK_TO: Final = "BACK_TO_"
"""First part of the events by which an operator sets a paused sector back: `BACK_TO_ALLOCATED`."""

for _state, _step in STEPS.items():
    TRANSITIONS[_state] |= {f"{BACK_TO}{earlier}": str(earlier) for earlier in _step.resume_at}

RECOVER_TO: Final = "RECOVER_TO_"
"""First part of the events that set a sector, after a restore, to where the chain or its host has it."""

for _state in TRANSITIONS.keys() - {S.ABORTED}:
    TRANSITIONS[_state] |= {f"{RECOVER_TO}{other}": str(other) for other in STEPS if other != S.ABORTED}

WORKER_STAGES: Final[tuple[str, ...]] = tuple(
    step.stage for step in STEPS.values() if step.owner is Owner.WORKER
)
"""Stages that sealing hosts run, in order; each has a queue of its own there."""

CONSOLE_STATES: Final[tuple[str, ...]] = tuple(s for s, step in STEPS.items() if step.owner is Owner.CONSOLE)
"""States in which a sector waits for the console and the chain."""

FINAL_STATES: Final[frozenset[str]] = frozenset({S.PROVING, S.ABORTED})
"""States in which sealing has nothing left to do."""

STATE_OF_STAGE: Final[dict[str, str]] = {step.stage: state for state, step in STEPS.items()}
"""From a stage to the state in which it is the next one."""


def state_after(state: str, event: str) -> str | None:
    """Return where `event` leads from `state`, or None if the table has no such step."""
    return TRANSITIONS.get(state, {}).get(event)
