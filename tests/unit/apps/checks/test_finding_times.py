"""What checks find is shared by people in all zones, so its times are UTC."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils.timezone import override

from apps.checks.findings.results import Finding
from apps.checks.report import evaluate as evaluation
from apps.checks.selectors.data import CheckData
from apps.checks.table.checks import CHECKS
from apps.core.local_time import clock_text
from apps.users.rules.principals import SYSTEM


@pytest.mark.django_db
def test_findings_have_utc_times_whatever_the_pages_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    check = replace(CHECKS[0], find=lambda data: [Finding("one", clock_text(data.at))])
    monkeypatch.setattr(evaluation, "CHECKS", (check,))
    data = CheckData(SYSTEM)

    with override("Asia/Shanghai"):
        (found,) = evaluation.evaluate(data).found

    assert found.finding.say == f"{data.at:%H:%M:%S} UTC"
