"""What a test has to tell although it passed: it stands at the end of the run's output."""

from __future__ import annotations

from typing import Final

import pytest

REPORT: Final = "report"
"""The property that a test records, by the fixture `record_property`, for the end of the output."""


def notes_write(reporter: pytest.TerminalReporter) -> None:
    """Write what the tests of a run have recorded."""
    reports = [*reporter.getreports("passed"), *reporter.getreports("failed")]
    notes = [
        (report.nodeid, words)
        for report in reports
        for name, words in report.user_properties
        if name == REPORT
    ]
    if notes:
        reporter.section("what tests report")
    for test, words in notes:
        reporter.line(f"{test.rpartition('::')[2]}: {words}")
