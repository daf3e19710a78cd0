"""States in words: short, lower case, about the object; the same word in table, chip, filter and history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from poolsite.wire.pipeline import PIPELINES, REBUILDING, SEALING, SNAPPING, Stage
from poolsite.wire.pipeline.changes import EXTENDING, TERMINATING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, slots=True)
class StateLabel:
    """A state as people read it."""

    tone: str
    """idle waits, run in work, ok done, warn needs a look before it costs, bad costs now."""
    word: StrOrPromise
    icon: str = ""
    """Empty: the tone's own icon."""

    @property
    def sign(self) -> str:
        return self.icon or ("wait" if self.tone == "idle" else self.tone)


STAGES: Final[dict[str, str]] = {
    spec.stage: spec.label for table in reversed(PIPELINES.values()) for spec in table
}
"""Stages as column heads and Gantt rows."""
ON_CHAIN: Final = (Stage.PRECOMMIT_WAIT, Stage.COMMIT_WAIT)
"""Stages in which a message is waited for."""
WAITING: Final[dict[str, StateLabel]] = {
    spec.stage: StateLabel("run", spec.status, "messages" if spec.stage in ON_CHAIN else "wait")
    for spec in SEALING
    if spec.status
} | {
    Stage.ABORTED: StateLabel("idle", _("aborted"), "close"),
    Stage.TERMINATED: StateLabel("idle", _("terminated"), "close"),
}
"""Stages in which no worker computes."""
MESSAGES: Final[dict[str, StateLabel]] = {
    "UNFILLED": StateLabel("idle", _("waiting")),
    "FILLED": StateLabel("run", _("in flight"), "messages"),
    "LANDED": StateLabel("ok", _("landed")),
    "FAILED": StateLabel("bad", _("failed")),
    "REPLACED": StateLabel("warn", _("replaced")),
}
UNAPPROVED: Final = StateLabel("warn", _("needs approval"), "lock")
"""Without a nonce until a second person has approved it."""
STUCK: Final = StateLabel("bad", _("stuck"))
"""Open, and somebody has to look at it."""
LANDED_BAD: Final = StateLabel("bad", _("landed, failed"))
"""On the chain with an exit code other than 0."""
JOBS: Final[dict[str, str]] = {
    "SEAL": "sealing",
    "UNSEAL": "unsealing",
    "SNAP_UP": "snap-up",
    "REBUILD": "rebuild",
    "WINDOW_POST": "WindowPoSt",
    "SECTOR_CHECK": "sector check",
    "AGGREGATE": "aggregate",
    "WINNING_POST": "WinningPoSt",
}
"""Kinds of work that a worker does; one that is not listed is shown by its own name."""
RUNS: Final[dict[str, str]] = {"snap_up": "Snap-up", "rebuild": "Rebuild"}
"""What is done over a proven sector, by the kind of its job."""
EVENTS: Final[dict[str, str]] = {
    spec.event: spec.done for spec in (*REBUILDING, *SNAPPING, *SEALING) if spec.done
} | {
    "FAIL_UPDATE": "Update failed",
    "REVERT_UPDATE": "Update reverted by a reorg",
    "COMM_R_DIFFERS": "CommR differs from the chain's",
    "FAIL_PRECOMMIT": "Pre-commit failed",
    "FAIL_COMMIT": "Commit failed",
    "SKIP_PRECOMMIT": "Pre-commit and seed skipped: non-interactive PoRep",
    "RETICKET": "Ticket expired: labels are computed again",
    "TICKET_RENEWED": "Ticket drawn again: no labels were begun",
    "RESEED": "New seed required",
    "REVERT_PRECOMMIT": "Pre-commit reverted by a reorg",
    "REVERT_COMMIT": "Commit reverted by a reorg",
    "ABORT": "Aborted",
    "RETRY": "Retried",
    "END_STAGE": "Its host ordered to end the stage",
    "LEASE_OVER": "The worker lost its lease",
    "FILES_LOST": "Files lost with their store",
    "FILES_MISSING": "Files not found by the host, twice",
    "STORE_FORGOTTEN": "Store forgotten: finalizing stores the sector again",
    "FILES_FOUND": "Its store is readable again",
    "REMOVE_FILES": "Hosts ordered to remove the files",
    "FILES_REMOVED": "Files removed by the host",
    "TERMINATE": "Terminated",
    "REVERT_TERMINATE": "Termination reverted by a reorg",
    "RESEAL": "Host lost: another host makes the same replica again",
    "HOST_GONE": "Host lost: another host starts the sector over",
    "RESTORE": "Restored: sealing starts over",
    "RESTORE_PROVEN": "Restored: proven on chain",
}
"""Steps of a sector in its timeline."""
CHANGE_EVENTS: Final[dict[str, str]] = {
    f"{kind}_{event}": f"{word} {done}"
    for kind, word in (("TERMINATE", "Termination"), ("EXTEND", "Extension"))
    for event, done in (
        ("REQUEST", "requested"),
        ("SEND", "sent"),
        ("LAND", "landed"),
        ("FAIL", "failed"),
        ("REQUEUE", "requeued for the next message"),
        ("CANCEL", "cancelled"),
        ("REVERT", "reverted by a reorg"),
    )
}
"""Steps of its termination or extension there."""
CHANGES: Final[dict[str, str]] = {
    spec.state: spec.status or spec.label.lower() for spec in (*TERMINATING, *EXTENDING)
}
"""Where a termination or extension is."""
