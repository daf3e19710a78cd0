"""The states of a window's proof, of its attempts and of a recovery, and the words of the forecast."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class PostState(models.TextChoices):
    """Where the proof of some partitions for one window is."""

    PROVING = "PROVING", _("Proving")
    """A job is out, or will be once a prover is there."""
    PROVED = "PROVED", _("Proved")
    """Verified here; waits for the window to open."""
    SENT = "SENT", _("Sent")
    LANDED = "LANDED", _("Landed")
    MISSED = "MISSED", _("Missed")
    """The window closed without it."""
    NOTHING = "NOTHING", _("No sector can be proven")
    """No sector of these partitions can be proved now."""


POST_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    PostState.PROVING: {
        "PROVE": PostState.PROVED,
        "FALLBACK": PostState.PROVED,
        "EMPTY": PostState.NOTHING,
        "LAND": PostState.LANDED,
        "CLOSE": PostState.MISSED,
    },
    PostState.PROVED: {
        "SEND": PostState.SENT,
        "AGAIN": PostState.PROVING,
        "BETTER": PostState.PROVING,
        "LAND": PostState.LANDED,
        "CLOSE": PostState.MISSED,
    },
    PostState.SENT: {
        "LAND": PostState.LANDED,
        "RESEND": PostState.PROVED,
        "AGAIN": PostState.PROVING,
        "CLOSE": PostState.MISSED,
    },
    PostState.LANDED: {"REVERT": PostState.SENT, "AGAIN": PostState.PROVING},
    PostState.MISSED: {"LAND": PostState.LANDED},
    PostState.NOTHING: {
        "AGAIN": PostState.PROVING,
        "LAND": PostState.LANDED,
        "CLOSE": PostState.MISSED,
    },
}
"""From a state and an event to the next.  BETTER proves again with sectors that are readable again;
without it in time FALLBACK takes the one that was there.  LAND without a message of ours: the chain has the
proof already, sent by whomever."""


class AttemptKind(models.TextChoices):
    """What an attempt is for."""

    FIRST = "FIRST", _("First try")
    """The proof itself.  When it comes to nothing while a backup runs, that one takes its place."""
    BACKUP = "BACKUP", _("Backup prover")
    """The same proof asked of another host, while the first one makes no progress."""
    RECHECK = "RECHECK", _("Re-check")
    """Reads the sectors again that the proof in hand leaves out."""
    FALLBACK = "FALLBACK", _("Fallback")
    """The proof in hand, kept while one is made that leaves out fewer sectors."""


class AttemptState(models.TextChoices):
    """Where an attempt is."""

    RUNNING = "RUNNING", _("Running")
    """Its job is out, claimed or not."""
    STALLED = "STALLED", _("Stalled")
    """Its host makes no progress, and is no longer waited for alone."""
    AVAILABLE = "AVAILABLE", _("Available")
    """A fallback that may still be sent."""
    USED = "USED", _("Used")
    """What it brought is used."""
    FAILED = "FAILED", _("Failed")
    """It brought nothing that can be used."""
    CANCELLED = "CANCELLED", _("Cancelled")
    """Not needed any more."""


ATTEMPT_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    AttemptState.RUNNING: {
        "STALL": AttemptState.STALLED,
        "USE": AttemptState.USED,
        "FAIL": AttemptState.FAILED,
        "CANCEL": AttemptState.CANCELLED,
    },
    AttemptState.STALLED: {
        "STALL": AttemptState.STALLED,
        "RESUME": AttemptState.RUNNING,
        "USE": AttemptState.USED,
        "FAIL": AttemptState.FAILED,
        "CANCEL": AttemptState.CANCELLED,
    },
    AttemptState.AVAILABLE: {"USE": AttemptState.USED, "CANCEL": AttemptState.CANCELLED},
    AttemptState.USED: {},
    AttemptState.FAILED: {},
    AttemptState.CANCELLED: {},
}
"""From a state and an event to the next.  A fallback begins as AVAILABLE, all others as RUNNING; a stalled
attempt that stalls again has another reason."""

OPEN_ATTEMPTS: Final = (AttemptState.RUNNING, AttemptState.STALLED, AttemptState.AVAILABLE)
"""States that may still lead to a proof; a window's proof has one such attempt of each kind at most."""


class RecoveryState(models.TextChoices):
    """Where the return of faulty sectors is."""

    CHECKING = "CHECKING", _("Checking the files")
    GOOD = "GOOD", _("Files proved good")
    SENT = "SENT", _("Declared")
    LANDED = "LANDED", _("Declaration landed")
    RECOVERED = "RECOVERED", _("Recovered")
    """Proved again in the window."""
    FAILED = "FAILED", _("Failed")
    """The files are not good, or the cut-off came first."""


RECOVERY_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    RecoveryState.CHECKING: {"PROVE": RecoveryState.GOOD, "FAIL": RecoveryState.FAILED},
    RecoveryState.GOOD: {"SEND": RecoveryState.SENT, "FAIL": RecoveryState.FAILED},
    RecoveryState.SENT: {
        "LAND": RecoveryState.LANDED,
        "RESEND": RecoveryState.GOOD,
        "FAIL": RecoveryState.FAILED,
    },
    RecoveryState.LANDED: {
        "REVERT": RecoveryState.SENT,
        "DONE": RecoveryState.RECOVERED,
        "FAIL": RecoveryState.FAILED,
    },
    RecoveryState.RECOVERED: {},
    RecoveryState.FAILED: {},
}
"""From a state and an event to the next."""


class DeclarationState(models.TextChoices):
    """Where the declaration of sectors as faulty is."""

    DECIDED = "DECIDED", _("To be declared")
    SENT = "SENT", _("Sent")
    LANDED = "LANDED", _("Landed")
    DONE = "DONE", _("Declared")
    """The window that goes without these sectors is over."""
    FAILED = "FAILED", _("Failed")
    """The cut-off came first: the proof leaves the sectors out."""


DECLARATION_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    DeclarationState.DECIDED: {"SEND": DeclarationState.SENT, "FAIL": DeclarationState.FAILED},
    DeclarationState.SENT: {
        "LAND": DeclarationState.LANDED,
        "RESEND": DeclarationState.DECIDED,
        "FAIL": DeclarationState.FAILED,
    },
    DeclarationState.LANDED: {"REVERT": DeclarationState.SENT, "CLOSE": DeclarationState.DONE},
    DeclarationState.DONE: {},
    DeclarationState.FAILED: {},
}
"""From a state and an event to the next."""

OPEN_DECLARATIONS: Final = (DeclarationState.DECIDED, DeclarationState.SENT, DeclarationState.LANDED)
"""States in which something is still to be done or watched."""


class CheckKind(models.TextChoices):
    """Why sectors' files are checked."""

    AHEAD = "AHEAD", _("Ahead of the window")
    """Every sector of a deadline, two deadlines before its faults must be declared."""
    AGAIN = "AGAIN", _("Second look")
    """Those that were bad, shortly before the cut-off."""
    TEST = "TEST", _("Test of a sector")
    """Requested by a person: one challenged leaf of one sector."""
    DRY_RUN = "DRY_RUN", _("Dry run")
    """Requested by a person: the complete proof of a deadline, which is not sent."""


class CheckState(models.TextChoices):
    """Where a check of sectors is."""

    RUNNING = "RUNNING", _("Running")
    DONE = "DONE", _("Done")
    FAILED = "FAILED", _("Failed")
    """Nothing was learnt about the files."""


CHECK_TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    CheckState.RUNNING: {"DONE": CheckState.DONE, "FAIL": CheckState.FAILED},
    CheckState.DONE: {},
    CheckState.FAILED: {},
}
"""From a state and an event to the next."""


class Forecast(models.TextChoices):
    """What will become of a deadline in its next or present window."""

    NOTHING = "nothing", _("Nothing to prove")
    LATER = "later", _("Not challenged yet")
    ELSEWHERE = "elsewhere", _("Proven by another program")
    WILL_LAND = "will_land", _("Will land")
    AT_RISK = "at_risk", _("At risk")
    LANDED = "landed", _("Landed")
    MISSED = "missed", _("Missed")
