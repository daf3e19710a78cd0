"""The states of jobs and batches; those of sectors are in `poolsite.wire.pipeline`, since hosts know them."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from poolsite.wire.pipeline import SectorState

ENDED_SECTORS: Final = (SectorState.ABORTED, SectorState.TERMINATED)
"""States that a sector never leaves: its files may go, and nobody sets or leaves them by hand."""


class JobState(models.TextChoices):
    """Where a job is."""

    READY = "READY", _("Ready")
    """Any worker that can do its next stage may claim it."""
    LEASED = "LEASED", _("Leased")
    WAITING = "WAITING", _("Waiting for the chain")
    PAUSED = "PAUSED", _("Paused")
    """Until somebody decides how to go on."""
    DONE = "DONE", _("Done")
    FAILED = "FAILED", _("Failed")
    """Of no more use, or given up."""


DETACHED: Final = "DETACHED"
"""Word for a store that no host has attached, or no longer; and the event by which it was."""
CLIENTS_PRIORITY: Final = 1
"""Of jobs of sectors with clients' data, which must be active by an epoch; those of zeros have 0."""
JOB_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    JobState.READY: {
        "CLAIM": JobState.LEASED,
        "PAUSE": JobState.PAUSED,
        "FAIL": JobState.FAILED,
        "WAIT": JobState.WAITING,
        "GO_ON": JobState.LEASED,
        "DONE": JobState.DONE,
        "FREE": JobState.READY,
    },
    JobState.LEASED: {
        "CLAIM": JobState.LEASED,
        "GO_ON": JobState.LEASED,
        "WAIT": JobState.WAITING,
        "DONE": JobState.DONE,
        "FREE": JobState.READY,
        "PAUSE": JobState.PAUSED,
        "FAIL": JobState.FAILED,
    },
    JobState.WAITING: {
        "OFFER": JobState.READY,
        "PAUSE": JobState.PAUSED,
        "FAIL": JobState.FAILED,
        "DONE": JobState.DONE,
        "WAIT": JobState.WAITING,
    },
    JobState.PAUSED: {
        "OFFER": JobState.READY,
        "WAIT": JobState.WAITING,
        "FAIL": JobState.FAILED,
        "DONE": JobState.DONE,
    },
    JobState.DONE: {"WAIT": JobState.WAITING, "OFFER": JobState.READY, "DONE": JobState.DONE},
    JobState.FAILED: {"RESTORE": JobState.READY, "RESTORE_DONE": JobState.DONE},
}
"""From a state and an event to the next.  READY takes GO_ON and DONE too: a report under the newest token
stands although its lease ran out, as long as nobody else has claimed the job.  DONE goes back to WAITING
when the chain throws a landed commit out, and stays when a proving sector is terminated.  FAILED goes on when
an aborted sector is restored."""


class ReservationState(models.TextChoices):
    """Where reserved sector numbers are."""

    RESERVED = "RESERVED", _("Reserved")
    USED = "USED", _("Used")
    """Whoever asked for them has made sectors of them."""
    BURNED = "BURNED", _("Never given again")
    """Released, or the lease ran out: whoever had them may have used them all the same."""


RESERVATION_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    ReservationState.RESERVED: {
        "USE": ReservationState.USED,
        "RELEASE": ReservationState.BURNED,
        "EXPIRE": ReservationState.BURNED,
    },
    ReservationState.USED: {},
    ReservationState.BURNED: {},
}
"""From a state and an event to the next."""


class BatchKind(models.TextChoices):
    """What a batch sends."""

    PRE_COMMIT = "precommit", _("Pre-commit")
    COMMIT = "commit", _("Commit")
    TERMINATE = "terminate", _("Termination")
    EXTEND = "extend", _("Extension")


class BatchState(models.TextChoices):
    """Where a batch is."""

    CLOSED = "CLOSED", _("Closed")
    """Its sectors are chosen; the message may not have been pushed yet."""
    SENT = "SENT", _("Sent")
    LANDED = "LANDED", _("Landed")
    FAILED = "FAILED", _("Failed")


READ_BACK: Final = "recovered"
"""Reason of a batch whose message was read back after a restore: what it counts on is not known."""

BATCH_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    BatchState.CLOSED: {"SEND": BatchState.SENT, "FAIL": BatchState.FAILED},
    BatchState.SENT: {"LAND": BatchState.LANDED, "FAIL": BatchState.FAILED},
    BatchState.LANDED: {"REVERT": BatchState.SENT, "FAIL": BatchState.FAILED},
    BatchState.FAILED: {"REVERT": BatchState.SENT, "LAND": BatchState.LANDED},
}
"""From a state and an event to the next; a reorganisation turns a landed or failed batch into a sent one."""


class Hold(models.TextChoices):
    """What keeps a target from pledging sectors."""

    NONE = "", _("Nothing")
    REACHED = "REACHED", _("Reached")
    """Its date has come, or its power."""
    PRICE = "PRICE", _("Base fee")
    BALANCE = "BALANCE", _("Balance")
    DISK = "DISK", _("Hosts")
    """No host begins a sector: none is there, or their disks are full."""
    REFUSED = "REFUSED", _("Refused")
    """A pledge would be refused, or was."""


class MoveState(models.TextChoices):
    """Where a sector is on its way to another store."""

    QUEUED = "QUEUED", _("Queued")
    """It was not ordered yet, or waits for room that is promised to others: then it has an error."""
    COPYING = "COPYING", _("Copying")
    COPIED = "COPIED", _("Copied")
    """The row of the sector names the new store; the old copy waits for proofs that may read it."""
    CLEARING = "CLEARING", _("Removing the old copy")
    MOVED = "MOVED", _("Moved")
    FAILED = "FAILED", _("Failed")
    """The sector lies where it was."""
    CANCELLED = "CANCELLED", _("Cancelled")


MOVE_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    MoveState.QUEUED: {"START": MoveState.COPYING, "CANCEL": MoveState.CANCELLED},
    MoveState.COPYING: {"COPY": MoveState.COPIED, "WAIT": MoveState.QUEUED, "FAIL": MoveState.FAILED},
    MoveState.COPIED: {"CLEAR": MoveState.CLEARING, "END": MoveState.MOVED},
    MoveState.CLEARING: {"END": MoveState.MOVED, "FAIL": MoveState.COPIED},
    MoveState.MOVED: {},
    MoveState.FAILED: {},
    MoveState.CANCELLED: {},
}
"""From a state and an event to the next; an old copy that could not be removed is tried again, or left where
its host is gone."""
OPEN_MOVES: Final = sorted(
    str(state) for state in (MoveState.QUEUED, MoveState.COPYING, MoveState.COPIED, MoveState.CLEARING)
)


class StoreCheckState(models.TextChoices):
    """Where a check of sectors' files in a store is."""

    RUNNING = "RUNNING", _("Running")
    DONE = "DONE", _("Done")
    CANCELLED = "CANCELLED", _("Cancelled")
    FAILED = "FAILED", _("Failed")
    """Its host is gone, or no longer has the store."""


STORE_CHECK_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    StoreCheckState.RUNNING: {
        "END": StoreCheckState.DONE,
        "CANCEL": StoreCheckState.CANCELLED,
        "FAIL": StoreCheckState.FAILED,
    },
    StoreCheckState.DONE: {},
    StoreCheckState.CANCELLED: {},
    StoreCheckState.FAILED: {},
}
"""From a state and an event to the next."""


class CopyCondition(models.TextChoices):
    """What is known of a sector's files in a store."""

    NOTED = "NOTED", _("Checksums recorded")
    """Every file was read; some for the first time."""
    GOOD = "GOOD", _("Good")
    """Every file has the sum that was recorded."""
    BAD = "BAD", _("Damaged")
    UNREAD = "UNREAD", _("Not read")
    """The host could not look at its files."""


class ScanState(models.TextChoices):
    """Where a scan of a store is."""

    RUNNING = "RUNNING", _("Running")
    DONE = "DONE", _("Done")
    CANCELLED = "CANCELLED", _("Cancelled")
    FAILED = "FAILED", _("Failed")


SCAN_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    ScanState.RUNNING: {
        "END": ScanState.DONE,
        "CANCEL": ScanState.CANCELLED,
        "FAIL": ScanState.FAILED,
    },
    ScanState.DONE: {},
    ScanState.CANCELLED: {},
    ScanState.FAILED: {},
}
"""From a state and an event to the next."""


class AdoptionState(models.TextChoices):
    """Where an adoption of sectors that the chain has, and the pool no row for, is."""

    ROWS = "ROWS", _("Writing rows")
    FILES = "FILES", _("Finding files")
    """Every row is written; the stores are scanned for their files."""
    DONE = "DONE", _("Done")
    CANCELLED = "CANCELLED", _("Cancelled")


ADOPTION_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    AdoptionState.ROWS: {"WRITE": AdoptionState.FILES, "CANCEL": AdoptionState.CANCELLED},
    AdoptionState.FILES: {"END": AdoptionState.DONE, "CANCEL": AdoptionState.CANCELLED},
    AdoptionState.DONE: {},
    AdoptionState.CANCELLED: {},
}
"""From a state and an event to the next; rows that are written stay when it is cancelled."""
OPEN_ADOPTIONS: Final = (str(AdoptionState.ROWS), str(AdoptionState.FILES))


class FindingKind(models.TextChoices):
    """What a scan found."""

    ELSEWHERE = "ELSEWHERE", _("Known sector, not recorded in this store")
    """Whole files of a proving sector whose row names another store, or none."""
    MISSING = "MISSING", _("Missing")
    """A row names this store, and no whole files are there."""
    UNKNOWN = "UNKNOWN", _("Unknown or ended sector")
    """Whole files of a sector that the pool has no row for, or whose row has ended."""
    HALF = "HALF", _("Incomplete sector")
    """A part of a sector whose row does not name this store."""
    OTHER = "OTHER", _("Not a sector")


class FindingState(models.TextChoices):
    """What became of a finding."""

    FOUND = "FOUND", _("Found")
    CHECKING = "CHECKING", _("Being checked")
    """Its comm_r and sizes are looked at before it is adopted, or dropped."""
    ADOPTED = "ADOPTED", _("Adopted")
    REFUSED = "REFUSED", _("Not adopted")
    DROPPED = "DROPPED", _("Dropped")
    """A host has looked once more and it is missing: its row names no store any more."""
    REMOVING = "REMOVING", _("Being removed")
    REMOVED = "REMOVED", _("Removed")


FINDING_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    FindingState.FOUND: {"CHECK": FindingState.CHECKING, "REMOVE": FindingState.REMOVING},
    FindingState.CHECKING: {
        "ADOPT": FindingState.ADOPTED,
        "DROP": FindingState.DROPPED,
        "REFUSE": FindingState.REFUSED,
    },
    FindingState.REFUSED: {"CHECK": FindingState.CHECKING, "REMOVE": FindingState.REMOVING},
    FindingState.REMOVING: {"END": FindingState.REMOVED, "FAIL": FindingState.FOUND},
    FindingState.ADOPTED: {},
    FindingState.DROPPED: {},
    FindingState.REMOVED: {},
}
"""From a state and an event to the next; the next scan drops what has ended."""


class AllocationState(models.TextChoices):
    """Whether the data of an allocation for one of our miners are here."""

    MISSING = "missing", _("Not here")
    HERE = "here", _("Here")
    """A piece under it arrives, waits for a sector or is in one."""
    EXPIRED = "expired", _("Expired")
    """Not here, and nobody can claim it any more; its client gets the DataCap back."""
