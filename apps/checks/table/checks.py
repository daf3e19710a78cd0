"""The one list of checks, from which verdicts, to-dos, tiles, the page Checks and metrics are computed."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings import allocations, console, sealing, sector_ends
from apps.checks.findings.results import Check, Link, Severity, Topic
from apps.checks.table.blocks import BLOCK_CHECKS
from apps.checks.table.chain import CHAIN_CHECKS
from apps.checks.table.hosts import HOST_CHECKS
from apps.checks.table.messages import MESSAGE_CHECKS
from apps.checks.table.proving import PROVING_CHECKS
from apps.checks.table.sectors import SECTOR_CHECKS

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

CHECKS: Final[tuple[Check, ...]] = (
    *CHAIN_CHECKS,
    *PROVING_CHECKS,
    *SECTOR_CHECKS,
    *MESSAGE_CHECKS,
    *BLOCK_CHECKS,
    *HOST_CHECKS,
    Check(
        "checks_late",
        _("The checks are evaluated"),
        tuple(Topic),  # without a result no page knows that all is well
        WARNING,
        console.checks_late,
        Link("checks"),
        _("Checks"),
        is_pool_wide=True,
    ),
    Check(
        "console_disk",
        _("The console has enough disk space"),
        (Topic.PROCESSES,),
        CRITICAL,
        console.console_disk,
        Link("hosts"),
        _("Hosts"),
        operator_only=True,
    ),
    Check(
        "database_slow",
        _("The database answers in time"),
        (Topic.PROCESSES,),
        WARNING,
        console.database_is_slow,
        Link("today"),
        _("Processes"),
        operator_only=True,
    ),
    Check(
        "processes_down",
        _("Every process of the console is running"),
        (Topic.PROCESSES,),
        WARNING,
        console.processes_down,
        Link("today"),
        _("Processes"),
        operator_only=True,
    ),
    Check(
        "consoles_unshared",
        _("Every console machine reads what the others wrote"),
        (Topic.PROCESSES,),
        CRITICAL,
        console.consoles_unshared,
        Link("consoles"),
        _("Consoles"),
        operator_only=True,
    ),
    Check(
        "notifications_undelivered",
        _("Every alert channel accepts notifications"),
        (Topic.PROCESSES,),
        WARNING,
        console.notifications_undelivered,
        Link("alerts"),
        _("Alerts"),
        operator_only=True,
    ),
    Check(
        "backups_old",
        _("The database is backed up"),
        (Topic.PROCESSES,),
        WARNING,
        console.backups_old,
        Link("today"),
        _("Processes"),
        operator_only=True,
    ),
    Check(
        "factors_guessed",
        _("Nobody guesses a second factor"),
        (Topic.PROCESSES,),
        CRITICAL,
        console.factors_guessed,
        Link("people"),
        _("People"),
    ),
    Check(
        "sectors_expiring",
        _("No sector expires within 30 d"),
        (Topic.SECTORS,),
        WARNING,
        sector_ends.sectors_expiring,
        Link("sectors", query="state=expiring"),
        _("Sectors"),
    ),
    Check(
        "claims_ending",
        _("No verified claim ends within 30 d"),
        (Topic.SECTORS,),
        WARNING,
        sector_ends.claims_end,
        Link("sectors-expirations"),
        _("Expirations"),
    ),
    Check(
        "allocations_ending",
        _("No allocation ends within 7 d without its data"),
        (Topic.PIECES,),
        WARNING,
        allocations.allocations_end,
        Link("allocations", query="state=missing"),
        _("Allocations"),
    ),
    Check(
        "targets_paused",
        _("No target is paused"),
        (Topic.SECTORS, Topic.MINERS),
        WARNING,
        sealing.targets_paused,
        Link("miners"),
        _("Target"),
    ),
    Check(
        "files_of_ended",
        _("No ended sector has files left"),
        (Topic.SECTORS,),
        WARNING,
        sector_ends.files_of_ended,
        Link("sectors-remove-files"),
        _("Remove files"),
    ),
)
"""In the order in which the page Checks shows them."""

CHECKS_BY_NAME: Final = {check.name: check for check in CHECKS}
