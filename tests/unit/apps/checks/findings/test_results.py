from __future__ import annotations

from apps.checks.findings.results import REASON_MAX, Finding


def test_a_reason_that_is_too_long_shows_that_it_goes_on() -> None:
    reason = Finding("stores", "1 store out of reach", "it does not answer, " * 20).reason

    assert len(reason) == REASON_MAX
    assert reason.endswith("…")
    assert Finding("stores", "1 store out of reach", "x" * REASON_MAX).reason == "x" * REASON_MAX
