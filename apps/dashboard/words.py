"""States in words: short, lower case, about the object; the same word in table, chip, filter and history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.wire.pipeline import Stage


@dataclass(frozen=True, slots=True)
class Word:
    """A state as people read it."""

    tone: str
    """idle waits, run in work, ok done, warn needs a look before it costs, bad costs now."""
    word: str
    icon: str = ""
    """Empty: the tone's own icon."""

    @property
    def sign(self) -> str:
        return self.icon or ("wait" if self.tone == "idle" else self.tone)


STAGES: Final[dict[str, str]] = {
    Stage.ADD_PIECE: "Add piece",
    Stage.TREE_D: "Tree D",
    Stage.TICKET: "Ticket",
    Stage.PC1: "PC1",
    Stage.PC2: "PC2",
    Stage.PERSIST: "Store",
    Stage.PRECOMMIT: "Pre-commit batch",
    Stage.PRECOMMIT_WAIT: "Pre-commit",
    Stage.WAIT_SEED: "Wait seed",
    Stage.C1: "C1",
    Stage.C2: "C2",
    Stage.COMMIT: "Commit batch",
    Stage.COMMIT_WAIT: "Commit",
    Stage.FINALIZE: "Finalize",
    Stage.PROVING: "Proving",
    Stage.ABORTED: "Aborted",
}
"""Stages as column heads and Gantt rows."""

WAITING: Final[dict[str, Word]] = {
    Stage.TICKET: Word("run", "waiting for ticket", "wait"),
    Stage.PRECOMMIT: Word("run", "in pre-commit batch", "wait"),
    Stage.PRECOMMIT_WAIT: Word("run", "pre-commit sent", "messages"),
    Stage.WAIT_SEED: Word("run", "waiting for seed", "wait"),
    Stage.COMMIT: Word("run", "in commit batch", "wait"),
    Stage.COMMIT_WAIT: Word("run", "commit sent", "messages"),
    Stage.ABORTED: Word("idle", "aborted", "close"),
}
"""Stages in which no worker computes."""

MESSAGES: Final[dict[str, Word]] = {
    "UNFILLED": Word("idle", "waiting"),
    "FILLED": Word("run", "signed, on its way", "messages"),
    "LANDED": Word("ok", "landed"),
    "FAILED": Word("bad", "given up"),
    "REPLACED": Word("warn", "replaced"),
}
STUCK: Final = Word("bad", "stuck")
"""Open, and somebody has to look at it."""
LANDED_BAD: Final = Word("bad", "landed, refused")
"""On the chain with an exit code other than 0."""

JOBS: Final[dict[str, str]] = {
    "SEAL": "sealing",
    "WINDOW_POST": "WindowPoSt",
    "WINNING_POST": "WinningPoSt",
}
"""Kinds of work that a worker does; one that is not listed is shown by its own name."""

EVENTS: Final[dict[str, str]] = {
    "ADD_PIECE": "Piece added",
    "BUILD_TREE_D": "Tree D built",
    "ASSIGN_TICKET": "Ticket drawn",
    "PC1": "PC1 done",
    "PC2": "PC2 done",
    "PERSIST": "Files stored",
    "SEND_PRECOMMIT": "Pre-commit sent",
    "LAND_PRECOMMIT": "Pre-commit landed",
    "FAIL_PRECOMMIT": "Pre-commit failed",
    "ASSIGN_SEED": "Seed drawn",
    "C1": "C1 done",
    "C2": "C2 done",
    "SEND_COMMIT": "Commit sent",
    "LAND_COMMIT": "Commit landed",
    "FAIL_COMMIT": "Commit failed",
    "FINALIZE": "Sealing files cleared",
    "RETICKET": "The ticket grew too old: labels are made again",
    "RESEED": "Another seed is needed",
    "REVERT_PRECOMMIT": "The pre-commit left the chain again",
    "REVERT_COMMIT": "The commit left the chain again",
    "ABORT": "Given up",
    "RETRY": "Tried again",
    "LEASE_OVER": "The worker lost its lease",
}
"""Steps of a sector in its timeline."""
