"""Running the checks: one place, for every page and every program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.checks.results import Report, Result
from apps.checks.table import CHECKS

if TYPE_CHECKING:
    from collections.abc import Collection

    from apps.checks.data import CheckData


def evaluate_some(names: Collection[str], data: CheckData) -> Report:
    """Return what these checks find."""
    wanted = [check for check in CHECKS if check.name in names]
    return Report(data.at, tuple(Result(check, tuple(check.find(data))) for check in wanted))


def evaluate(data: CheckData) -> Report:
    """Return what the checks find in the viewer's part of the pool."""
    wanted = [check for check in CHECKS if data.viewer.is_operator or not check.operator_only]
    return Report(data.at, tuple(Result(check, tuple(check.find(data))) for check in wanted))
