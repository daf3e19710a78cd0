"""One evaluation of the checks for all pages of a viewer, where nothing that they read changes; or none."""

from __future__ import annotations

from typing import Final

from apps.checks.report.cache import audience, key_of
from apps.checks.report.evaluate import evaluate
from apps.checks.report.report import Report, Result
from apps.checks.selectors.data import CheckData
from apps.checks.table.checks import CHECKS

WITH_FINDINGS: Final = frozenset(
    f"tests/integration/dashboard/test_{name}.py"
    for name in (
        *("alert_pages", "bell", "chain", "check_limits", "checks", "chinese_checks", "chinese_pages"),
        "chinese_texts",
        *("filled_pages", "fragments", "growth", "hanging_node", "hosts", "languages", "large_lists"),
        *("metrics", "pages", "proving", "roles", "scope_pages", "sectors", "stored_reports"),
        *("today", "todo_acts", "wallets"),
    )
)
"""Files of pages whose tests look at what the checks find: to evaluate them is half of a page."""
REPORT_NOW: Final = "apps.dashboard.page_data.report_last"
"""The function from which pages get their report, for tests to patch."""


def nothing_found(data: CheckData) -> Report:
    """Return the report of a pool in which nothing is wrong, whatever its rows say."""
    return Report(data.at, tuple(Result(check, ()) for check in CHECKS))


class SharedReports:
    """What `report_evaluate` does with Redis, until a test changes what the checks read and clears `made`."""

    def __init__(self) -> None:
        self.made: dict[str, Report] = {}

    def __call__(self, data: CheckData) -> Report:
        """Return the viewer's report, evaluated once."""
        viewers = key_of(audience(data.viewer))
        if viewers not in self.made:
            self.made[viewers] = evaluate(data)
        return self.made[viewers]
