"""What the operator set of checks: severities and mutes."""

from __future__ import annotations

from datetime import datetime

from apps.checks.models import CheckSetting


def severities_set() -> dict[str, str]:
    """Return the severities that differ from what is delivered, by check."""
    return dict(CheckSetting.objects.exclude(severity="").values_list("check_name", "severity"))


def mutes_active(now: datetime) -> dict[str, CheckSetting]:
    """Return the mutes that last, by check."""
    return {row.check_name: row for row in CheckSetting.objects.filter(muted_until__gt=now)}


def check_setting(name: str) -> CheckSetting:
    """Return what is set of a check; an unsaved row if nothing is."""
    return CheckSetting.objects.filter(check_name=name).first() or CheckSetting(check_name=name)
