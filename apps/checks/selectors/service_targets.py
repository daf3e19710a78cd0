"""What the operator promised a tenant, and whether it was met: said only where the causes allow it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from apps.checks.models import ServiceTargets
from apps.checks.selectors.service_levels import ServiceMonth
from apps.checks.states import TargetResult
from apps.users.models import Tenant


def targets_of(tenant: Tenant) -> list[ServiceTargets]:
    """Return what was promised a tenant, the newest first."""
    return list(ServiceTargets.objects.filter(tenant=tenant).order_by("-from_month"))


def targets_in(rows: Sequence[ServiceTargets], month: date) -> ServiceTargets | None:
    """Return what holds in a month."""
    return next((row for row in rows if row.from_month <= month), None)


def targets_results(targets: ServiceTargets | None, month: ServiceMonth) -> dict[str, TargetResult]:
    """Return by the target's name whether it was met in a month, of those that were set."""
    if targets is None:
        return {}
    found = {
        "posts_percent": _share_result(
            targets.posts_percent, month.posts_proven, month.posts_missed_pool, month.posts_missed_unknown
        ),
        "wins_percent": _share_result(
            targets.wins_percent, month.wins_published, month.wins_lost_pool, month.wins_lost_unknown
        ),
        "console_percent": _console_result(targets.console_percent, month),
        "landing_s": _landing_result(targets.landing_s, month),
    }
    return {name: result for name, result in found.items() if result is not None}


def _share_result(target: Decimal, good: int, pools: int, unknown: int) -> TargetResult | None:
    """Return whether a share is reached whoever caused what is unknown, by nobody's reckoning, or perhaps."""
    if not target:
        return None
    if 100 * good >= target * (good + pools + unknown):
        return TargetResult.MET
    return TargetResult.MISSED if 100 * good < target * (good + pools) else TargetResult.UNKNOWN


def _console_result(target: Decimal, month: ServiceMonth) -> TargetResult | None:
    if not target:
        return None
    if month.console_percent is None:
        return TargetResult.UNKNOWN
    return TargetResult.MET if Decimal(str(month.console_percent)) >= target else TargetResult.MISSED


def _landing_result(target: int, month: ServiceMonth) -> TargetResult | None:
    if not target:
        return None
    if not month.messages_landed:
        return TargetResult.UNKNOWN if month.messages_pushed else TargetResult.MET
    is_met = month.landing_s is not None and month.landing_s <= target
    return TargetResult.MET if is_met else TargetResult.MISSED
