"""What a chain that does not advance is put down to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.core.processes import Process
from apps.users.rules.principals import SYSTEM
from tests import factories

pytestmark = pytest.mark.django_db


def reason(state: str) -> str:
    data = CheckData(SYSTEM)
    data.__dict__["processes"] = [
        Process(name="follower", state=state, pid=7, beat=None, restarts=0, last_exit=None)
    ]
    [result] = evaluate_some(["chain_stalled"], data).results
    [finding] = result.findings
    return finding.reason


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("silent", "heads, is silent: end that process"),
        ("down", "heads, is down: it is started again by itself"),
        ("running", "check them, or add a node"),
    ],
)
def test_stalled_chain_is_put_down_to_a_follower_that_does_not_run(state: str, said: str) -> None:
    factories.network(params={"NetworkName": factories.NETWORK, "BlockDelaySecs": 30})
    factories.head(1000, arrived_at=now() - timedelta(hours=1))

    assert said in reason(state)
