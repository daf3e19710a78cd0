"""Running the checks: one place, for every page and every program."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import translation
from django.utils.timezone import override
from django.utils.translation import gettext_noop

from apps.checks.findings.results import Check, Finding, Link, Severity
from apps.checks.reasons import CHECK_BROKEN, CHECK_BROKEN_CAUSE
from apps.checks.report.incidents import causes_find
from apps.checks.report.report import Report, Result, broken_key
from apps.checks.selectors.data import CheckData
from apps.checks.table.checks import CHECKS
from apps.core.reasons import MARKED

log = structlog.get_logger(__name__)


def evaluate_some(names: Collection[str], data: CheckData) -> Report:
    """Return what these checks find."""
    wanted = [check for check in CHECKS if check.name in names]
    return _report(wanted, data)


def evaluate(data: CheckData) -> Report:
    """Return what the checks find in the viewer's part of the pool."""
    return _report([check for check in CHECKS if data.viewer.sees_pool or not check.operator_only], data)


def _report(checks: Iterable[Check], data: CheckData) -> Report:
    """Return what these checks find, and what all objects together can cost at most."""
    # People in all zones and languages share what is found.
    with override(UTC), translation.override(settings.LANGUAGE_CODE):
        data.__dict__.pop("chain_status", None)  # its words are of a language
        results = tuple(
            Result(check_as_set(check, data.severities), _findings(check, data)) for check in checks
        )
    data.__dict__.pop("chain_status", None)
    causes = causes_find(
        results, at_s=data.at.timestamp(), began=lambda name: data.alerts_began.get(name, {})
    )
    costs = any(finding.per_day or finding.deposits for result in results for finding in result.findings)
    if not costs:
        return Report(data.at, results, causes=causes)
    per_day = sum(
        data.fault_fee_per_day(miner, miner.live_sectors) + data.reward_per_day(miner)
        for miner in data.miners
    )
    deposits = sum(int(miner.deposits) for miner in data.miners)
    return Report(data.at, results, per_day_max=per_day, deposits_max=deposits or None, causes=causes)


def check_as_set(check: Check, severities: Mapping[str, str]) -> Check:
    """Return a check with the severity that the operator set, or its own."""
    severity = severities.get(check.name)
    return check if severity in (None, check.severity) else replace(check, severity=Severity(severity))


def _findings(check: Check, data: CheckData) -> tuple[Finding, ...]:
    """Return what a check finds.  One that breaks has failed: without the others nobody would be alerted."""
    try:
        return tuple(check.find(data))
    except (OperationalError, InterfaceError):
        raise  # an absent database is passed on
    except Exception:  # a row that nobody has foreseen
        log.exception("check_broken", check=check.name)
        say = CHECK_BROKEN(title=MARKED(text=str(check.title)))
        link, button = Link("checks"), gettext_noop("Checks")
        return (Finding(broken_key(check.name), say, CHECK_BROKEN_CAUSE(), link=link, button=button),)
