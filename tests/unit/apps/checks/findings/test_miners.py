"""The check of miners that are not read any more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.checks.findings.results import Finding
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.core.processes import Process
from apps.miners.states import MinerState
from apps.users.rules.principals import SYSTEM, Principal
from tests import factories
from tests.people import principal

pytestmark = pytest.mark.django_db


def unread(states: dict[str, str], viewer: Principal = SYSTEM) -> tuple[Finding, ...]:
    data = CheckData(viewer)
    rows = [
        Process(name=name, state=state, pid=7, beat=None, restarts=0, last_exit=None)
        for name, state in states.items()
    ]
    data.__dict__["processes"] = rows if viewer.sees_pool else []
    [result] = evaluate_some(["miners_unread"], data).results
    return result.findings


def heads_come() -> None:
    factories.network()
    factories.head(1012, arrived_at=now() - timedelta(seconds=90))
    factories.head(1015)


def test_miner_that_is_not_read_though_heads_come_names_the_process() -> None:
    factories.miner(3001, of="alice", name="one", refreshed_height=1004)
    factories.miner(3002, refreshed_height=1015)
    factories.miner(3003, refreshed_height=1000, state=MinerState.CREATING)
    factories.miner(3004, refreshed_height=-1)
    heads_come()

    [found] = unread({"tasks": "silent"})

    assert found.say == "one not read since epoch 1\u202f004"
    assert found.reason.startswith(
        "heads arrive, but the process tasks is silent: no message is signed or tracked"
    )
    [found] = unread({"tasks": "silent"}, principal())
    assert "tasks" not in found.reason


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (
            {"tasks": "down"},
            "the process tasks is down: no message is signed or tracked; it is started again by itself",
        ),
        ({"tasks": "running", "web-2": "silent"}, "no node has its state, or the task fails"),
    ],
)
def test_only_the_process_that_reads_miners_is_named(states: dict[str, str], said: str) -> None:
    factories.miner(3001, refreshed_height=1004)
    heads_come()

    [found] = unread(states)

    assert said in found.reason


def test_miner_is_not_unread_for_a_moment_after_heads_that_came_at_once() -> None:
    factories.miner(3001, refreshed_height=1000)
    factories.network()
    factories.head(1000, arrived_at=now() - timedelta(hours=8))
    factories.head(1500, arrived_at=now() - timedelta(seconds=50))
    factories.head(1501)

    assert unread({}) == ()
