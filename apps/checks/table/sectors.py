"""The rows of the table that are about sectors in progress, and about what was asked for of proven ones."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings import sealing, sealing_clocks, slots, stopped, unclaimed
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

SECTOR_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "deposits_expiring",
        _("No deposit will be lost within 48 h"),
        (Topic.SECTORS,),
        CRITICAL,
        sealing_clocks.deposits_expiring,
        Link("sectors", query="state=work"),
        _("Sector"),
    ),
    Check(
        "seed_ready",
        _("The seed of every sector is read on time"),
        (Topic.SECTORS,),
        WARNING,
        sealing_clocks.seed_ready,
        Link("sectors", query="state=work"),
        _("Sector"),
    ),
    Check(
        "sectors_unclaimed",
        _("Every new sector is claimed by a host"),
        (Topic.SECTORS, Topic.HOSTS),
        WARNING,
        unclaimed.sectors_unclaimed,
        Link("hosts"),
        _("Hosts"),
    ),
    Check(
        "slots_missing",
        _("Every stage that sectors wait for has a slot"),
        (Topic.SECTORS, Topic.HOSTS),
        WARNING,
        slots.slots_missing,
        Link("hosts"),
        _("Hosts"),
    ),
    Check(
        "tickets_expiring",
        _("No ticket expires before its pre-commit"),
        (Topic.SECTORS,),
        WARNING,
        sealing_clocks.tickets_expiring,
        Link("sectors", query="state=work"),
        _("Sector"),
    ),
    Check(
        "sectors_paused",
        _("No sector awaits a decision"),
        (Topic.SECTORS,),
        WARNING,
        sealing.sectors_paused,
        Link("sectors", query="state=paused"),
        _("Decide"),
    ),
    Check(
        "runs_stopped",
        _("No snap-up or rebuild awaits a decision"),
        (Topic.SECTORS, Topic.PIECES),
        WARNING,
        stopped.runs_stopped,
        Link("sectors-failures"),
        _("Failures"),
    ),
    Check(
        "sectors_unlisted",
        _("Every live sector on chain is known to the pool"),
        (Topic.SECTORS,),
        WARNING,
        stopped.sectors_unlisted,
        Link("miners"),
        _("Adopt"),
    ),
    Check(
        "changes_failed",
        _("No termination or extension failed in the last 7 d"),
        (Topic.SECTORS,),
        WARNING,
        stopped.changes_failed,
        Link("sectors-failures"),
        _("Failures"),
    ),
    Check(
        "pieces_failed",
        _("No piece failed"),
        (Topic.PIECES,),
        WARNING,
        stopped.pieces_failed,
        Link("pieces", query="state=FAILED"),
        _("Pieces"),
    ),
    Check(
        "pieces_stopped",
        _("Every piece that must be active within 24 h is being sealed"),
        (Topic.PIECES,),
        WARNING,
        stopped.pieces_stopped,
        Link("pieces"),
        _("Pieces"),
    ),
    Check(
        "unseals_failed",
        _("Every piece requested in the last 24 h could be unsealed"),
        (Topic.PIECES,),
        WARNING,
        stopped.unseals_failed,
        Link("sectors-failures"),
        _("Failures"),
    ),
)
