"""The ways of a change to a proving sector as tables: ended before its time, or extended.

A change is a row of its own: the sector goes on proving until the chain has ended or extended it.  The
console does every stage; the only thing that reaches the chain is one message for several sectors.
Source: lotus cli/spcli/sectors.go TerminateSectorCmd, SectorsExtendCmd; ipfs-force-community/damocles
damocles-manager/modules/impl/commitmgr/commitmgr.go SubmitTerminate, terminate_processor.go Process.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from poolsite.wire.pipeline.specs import Owner, StageSpec


class ChangeKind(StrEnum):
    """What becomes of the sector."""

    TERMINATE = "TERMINATE"
    EXTEND = "EXTEND"


class ChangeState(StrEnum):
    """What has been done for a change."""

    TERMINATE_QUEUED = "TERMINATE_QUEUED"
    TERMINATE_SENT = "TERMINATE_SENT"
    TERMINATE_LANDED = "TERMINATE_LANDED"
    TERMINATE_FAILED = "TERMINATE_FAILED"
    TERMINATE_CANCELLED = "TERMINATE_CANCELLED"
    EXTEND_QUEUED = "EXTEND_QUEUED"
    EXTEND_SENT = "EXTEND_SENT"
    EXTEND_LANDED = "EXTEND_LANDED"
    EXTEND_FAILED = "EXTEND_FAILED"
    EXTEND_CANCELLED = "EXTEND_CANCELLED"


class ChangeEvent(StrEnum):
    """What moves a change."""

    SEND = "SEND"
    LAND = "LAND"
    FAIL = "FAIL"
    """The chain refused it, or its message was given up."""
    REQUEUE = "REQUEUE"
    """Its message expired before it got a nonce: it goes with the next one."""
    CANCEL = "CANCEL"
    REVERT = "REVERT"
    """Its message left the chain again."""


E = ChangeEvent


def change_state(kind: str, word: str) -> ChangeState:
    """Return the state of a kind of change: `change_state("EXTEND", "SENT")`."""
    return ChangeState(f"{kind}_{word}")


def _way(kind: ChangeKind, label: str) -> tuple[StageSpec, ...]:
    """Return the table of one kind."""
    queued, sent, landed, failed, cancelled = (
        change_state(kind, word) for word in ("QUEUED", "SENT", "LANDED", "FAILED", "CANCELLED")
    )
    return (
        StageSpec(
            state=queued,
            stage=str(kind),
            owner=Owner.CONSOLE,
            label=f"{label} batch",
            event=E.SEND,
            next=sent,
            done=f"{label} sent",
            status=f"in {label.lower()} batch",
            # LAND: a message that was sent before a restore has done it already.
            others={E.LAND: landed, E.FAIL: failed, E.CANCEL: cancelled},
        ),
        StageSpec(
            state=sent,
            stage=f"{kind}_WAIT",
            owner=Owner.CONSOLE,
            label=label,
            event=E.LAND,
            next=landed,
            done=f"{label} landed",
            status=f"{label.lower()} sent",
            others={E.FAIL: failed, E.REQUEUE: queued},
        ),
        StageSpec(
            state=landed, stage=landed, owner=Owner.NOBODY, label=f"{label} landed", others={E.REVERT: sent}
        ),
        # LAND: a message that was given up may land all the same.
        StageSpec(
            state=failed, stage=failed, owner=Owner.NOBODY, label=f"{label} failed", others={E.LAND: landed}
        ),
        StageSpec(state=cancelled, stage=cancelled, owner=Owner.NOBODY, label=f"{label} cancelled"),
    )


TERMINATING: Final = _way(ChangeKind.TERMINATE, "Termination")
"""The way of a termination; at its end the sector is TERMINATED."""
EXTENDING: Final = _way(ChangeKind.EXTEND, "Extension")
"""The way of an extension; at its end the sector has the new expiration."""

CHANGE_NEXT: Final[dict[str, StageSpec]] = {spec.state: spec for spec in (*TERMINATING, *EXTENDING)}
"""From a state to the stage that comes next."""
CHANGE_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    str(spec.state): ({str(spec.event): str(spec.next)} if spec.next else {})
    | {str(event): str(target) for event, target in spec.others.items()}
    for spec in (*TERMINATING, *EXTENDING)
}
"""From state and event to state."""
OPEN_CHANGES: Final[tuple[str, ...]] = tuple(
    str(spec.state) for spec in (*TERMINATING, *EXTENDING) if spec.owner is Owner.CONSOLE
)
"""States of a change that is under way; a sector has one at a time."""
QUEUED: Final[tuple[str, ...]] = (str(ChangeState.TERMINATE_QUEUED), str(ChangeState.EXTEND_QUEUED))
"""States in which a change waits for its message."""
