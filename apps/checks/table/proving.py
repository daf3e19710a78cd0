"""The rows of the table that are about proofs, faults and the miners that they are due for."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.checks.findings import fault_clocks, miners, proving, roles, windows
from apps.checks.findings.results import Check, Link, Severity, Topic

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING

PROVING_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "sectors_faulty",
        _("No sector is faulty"),
        (Topic.PROVING, Topic.MINERS, Topic.SECTORS),
        CRITICAL,
        proving.faults,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "auto_terminations",
        _("No faulty sector is about to be terminated"),
        (Topic.PROVING, Topic.MINERS, Topic.SECTORS),
        CRITICAL,
        fault_clocks.auto_terminations,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "cutoffs_missed",
        _("Every fault and recovery was declared before its window's cutoff"),
        (Topic.PROVING, Topic.MINERS),
        WARNING,
        fault_clocks.cutoffs_missed,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "recoveries_capped",
        _("All recoveries fit in one window"),
        (Topic.PROVING, Topic.MINERS),
        WARNING,
        proving.recoveries_capped,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "sector_files",
        _("The files of every sector that is not faulty are intact"),
        (Topic.PROVING, Topic.MINERS, Topic.SECTORS),
        CRITICAL,
        proving.sector_files,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "windows_missed",
        _("No window was missed in the last proving period"),
        (Topic.PROVING, Topic.MINERS, Topic.SECTORS),
        CRITICAL,
        windows.windows_missed_check,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "windows_at_risk",
        _("Every proof is forecast to land"),
        (Topic.PROVING, Topic.MINERS, Topic.SECTORS),
        CRITICAL,
        windows.windows_at_risk,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "roles_unheld",
        _("Every assigned role is held by a host"),
        (Topic.PROVING, Topic.MINERS, Topic.ROLES),
        CRITICAL,
        roles.roles_unheld,
        Link("roles"),
        _("Roles"),
    ),
    Check(
        "moves_restored",
        _("After a restore, the prover of every moved miner is confirmed"),
        (Topic.PROVING, Topic.MINERS),
        CRITICAL,
        roles.moves_restored,
        Link("recovery"),
        _("Recovery"),
        operator_only=True,
    ),
    Check(
        "disputes_lost",
        _("No proof lost a dispute"),
        (Topic.PROVING, Topic.MINERS),
        CRITICAL,
        proving.disputes_lost,
        Link("proving"),
        _("Deadlines"),
    ),
    Check(
        "fee_debt",
        _("No miner owes fees"),
        (Topic.MINERS,),
        CRITICAL,
        miners.fee_debts,
        Link("miners"),
        _("Miner"),
    ),
    Check(
        "miners_unread",
        _("Every miner is read from the chain as heads arrive"),
        (Topic.MINERS, Topic.PROVING),
        CRITICAL,
        miners.miners_unread,
        Link("miners"),
        _("Miner"),
    ),
    Check(
        "worker_change_pending",
        _("No worker key change awaits confirmation"),
        (Topic.MINERS,),
        WARNING,
        miners.worker_change_pending,
        Link("miners"),
        _("Addresses"),
    ),
    Check(
        "miners_created",
        _("Every miner that a program created is in the pool"),
        (Topic.MINERS,),
        WARNING,
        miners.miners_created,
        Link("miners"),
        _("Miners"),
    ),
)
