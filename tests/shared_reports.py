"""One evaluation of the checks for all pages of a viewer, where nothing that they read changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.report.cache import audience_of
from apps.checks.report.evaluate import evaluate

if TYPE_CHECKING:
    from apps.checks.report.report import Report
    from apps.checks.selectors.data import CheckData

ASKED: Final = "apps.dashboard.page_data.report_now"
"""What pages ask, for a test to set."""


class SharedReports:
    """What `report_now` does with Redis, until a test changes what the checks read and clears `made`."""

    def __init__(self) -> None:
        self.made: dict[str, Report] = {}

    def __call__(self, data: CheckData) -> Report:
        """Stand where `report_now` is."""
        viewers = audience_of(data.viewer)
        if viewers not in self.made:
            self.made[viewers] = evaluate(data)
        return self.made[viewers]
