"""Running the checks: one place, for every page and every program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.checks.results import Report, Result
from apps.checks.table import CHECKS

if TYPE_CHECKING:
    from collections.abc import Collection

    from apps.checks.data import CheckData
    from apps.checks.results import Topic


def evaluate(data: CheckData, *, topics: Collection[Topic] = ()) -> Report:
    """Return what the checks find in the viewer's part of the pool; with `topics` only theirs are run."""
    wanted = [
        check
        for check in CHECKS
        if (data.viewer.is_operator or not check.operator_only)
        and (not topics or set(check.topics) & set(topics))
    ]
    return Report(data.at, tuple(Result(check, tuple(check.find(data))) for check in wanted))
