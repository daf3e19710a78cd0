"""One evaluation of the checks for all pages of a viewer, where nothing that they read changes."""

from __future__ import annotations

from typing import Final

from apps.checks.report.cache import audience, key_of
from apps.checks.report.evaluate import evaluate
from apps.checks.report.report import Report
from apps.checks.selectors.data import CheckData

REPORT_NOW: Final = "apps.dashboard.page_data.report_last"
"""The function from which pages get their report, for tests to patch."""


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
