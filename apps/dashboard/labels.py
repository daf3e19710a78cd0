"""States in words: short, lower case, about the object; the same word in table, chip, filter and history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

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


STAGES: Final[dict[str, StrOrPromise]] = {
    spec.stage: pgettext_lazy("stage", spec.label) for table in reversed(PIPELINES.values()) for spec in table
}
"""Stages as column heads and Gantt rows."""
ON_CHAIN: Final = (Stage.PRECOMMIT_WAIT, Stage.COMMIT_WAIT)
"""Stages in which a message is waited for."""
WAITING: Final[dict[str, StateLabel]] = {
    spec.stage: StateLabel("run", _(spec.status), "messages" if spec.stage in ON_CHAIN else "wait")
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
JOBS: Final[dict[str, StrOrPromise]] = {
    "SEAL": _("sealing"),
    "UNSEAL": _("unsealing"),
    "SNAP_UP": _("snap-up"),
    "REBUILD": _("rebuild"),
    "WINDOW_POST": "WindowPoSt",
    "SECTOR_CHECK": _("sector check"),
    "AGGREGATE": _("aggregate"),
    "WINNING_POST": "WinningPoSt",
}
"""Kinds of work that a worker does; one that is not listed is shown by its own name."""
RUNS: Final[dict[str, StrOrPromise]] = {"snap_up": _("Snap-up"), "rebuild": _("Rebuild")}
"""What is done over a proven sector, by the kind of its job."""
EVENTS: Final[dict[str, StrOrPromise]] = {
    **{spec.event: _(spec.done) for spec in (*REBUILDING, *SNAPPING, *SEALING) if spec.done},
    "FAIL_UPDATE": _("Update failed"),
    "REVERT_UPDATE": _("Update reverted by a reorg"),
    "COMM_R_DIFFERS": _("CommR differs from the chain's"),
    "FAIL_PRECOMMIT": _("Pre-commit failed"),
    "FAIL_COMMIT": _("Commit failed"),
    "SKIP_PRECOMMIT": _("Pre-commit and seed skipped: non-interactive PoRep"),
    "RETICKET": _("Ticket too old: labels are computed with another one"),
    "TICKET_RENEWED": _("Ticket drawn again: no labels were begun"),
    "RESEED": _("New seed required"),
    "REVERT_PRECOMMIT": _("Pre-commit reverted by a reorg"),
    "REVERT_COMMIT": _("Commit reverted by a reorg"),
    "ABORT": _("Aborted"),
    "RETRY": _("Retried"),
    "END_STAGE": _("Its host ordered to end the stage"),
    "LEASE_OVER": _("The worker lost its lease"),
    "FILES_LOST": _("Files lost with their store"),
    "FILES_MISSING": _("Files not found by the host, twice"),
    "STORE_FORGOTTEN": _("Store forgotten: finalizing stores the sector again"),
    "FILES_FOUND": _("Its store is readable again"),
    "REMOVE_FILES": _("Hosts ordered to remove the files"),
    "FILES_REMOVED": _("Files removed by the host"),
    "TERMINATE": _("Terminated"),
    "REVERT_TERMINATE": _("Termination reverted by a reorg"),
    "RESEAL": _("Host lost: another host makes the same replica again"),
    "HOST_GONE": _("Host lost: another host starts the sector over"),
    "RESTORE": _("Restored: sealing starts over"),
    "RESTORE_PROVEN": _("Restored: proven on chain"),
}
"""Steps of a sector in its timeline."""
CHANGE_EVENTS: Final[dict[str, StrOrPromise]] = {
    "TERMINATE_REQUEST": _("Termination requested"),
    "TERMINATE_SEND": _("Termination sent"),
    "TERMINATE_LAND": _("Termination landed"),
    "TERMINATE_FAIL": _("Termination failed"),
    "TERMINATE_REQUEUE": _("Termination requeued for the next message"),
    "TERMINATE_CANCEL": _("Termination cancelled"),
    "TERMINATE_REVERT": _("Termination reverted by a reorg"),
    "EXTEND_REQUEST": _("Extension requested"),
    "EXTEND_SEND": _("Extension sent"),
    "EXTEND_LAND": _("Extension landed"),
    "EXTEND_FAIL": _("Extension failed"),
    "EXTEND_REQUEUE": _("Extension requeued for the next message"),
    "EXTEND_CANCEL": _("Extension cancelled"),
    "EXTEND_REVERT": _("Extension reverted by a reorg"),
}
"""Steps of its termination or extension there."""
CHANGES: Final[dict[str, StrOrPromise]] = {
    spec.state: _(spec.status or spec.label.lower()) for spec in (*TERMINATING, *EXTENDING)
}
"""Where a termination or extension is."""
