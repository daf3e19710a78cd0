"""Alerts in tests: a channel, and evaluations in which checks fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from apps.checks.findings.results import Finding
from apps.checks.report.report import Report, Result
from apps.checks.services.alerts import alerts_update
from apps.checks.services.channels import channel_add
from apps.checks.states import ChannelKind
from apps.checks.table.checks import CHECKS
from apps.users.principals import SYSTEM

if TYPE_CHECKING:
    from apps.checks.models import AlertChannel

T0 = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET_URL = "https://chat.example.com/hooks/T0PS3CRET"


def channel(name: str = "ops", target: str = SECRET_URL, **values: Any) -> AlertChannel:
    """A webhook of the operator."""
    return channel_add(principal=SYSTEM, name=name, kind=ChannelKind.WEBHOOK, target=target, **values)


def report_of(*failing: str, count: int = 1) -> Report:
    """An evaluation in which these checks fail."""
    found = {
        name: (Finding(name, f"{name} is wrong", "at http://10.0.0.7:1234 with token x", count=count),)
        for name in failing
    }
    return Report(T0, tuple(Result(check, found.get(check.name, ())) for check in CHECKS))


def told(at: datetime, *failing: str, count: int = 1) -> list[tuple[str, str, str]]:
    """Evaluate at a moment; what the channels are told."""
    rows = alerts_update(report=report_of(*failing, count=count), pool="testnet", now=at)
    return [(row.channel.name, str(row.event), row.body["check"]) for row in rows]
