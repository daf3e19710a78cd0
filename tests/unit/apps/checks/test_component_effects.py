"""What a failing check means for the pool's components: only what the pool itself can cause."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from apps.checks.findings.results import Finding
from apps.checks.models import ComponentStatus
from apps.checks.report.components import components_found
from apps.checks.report.report import Report, broken_key
from apps.checks.selectors.data import CheckData
from apps.checks.states import Component, Condition
from apps.checks.table.checks import CHECKS_BY_NAME
from apps.checks.table.components import EFFECTS, EFFECTS_BY_NAME, NO_OUTAGES
from apps.checks.tasks import alerts_run
from apps.users.rules.principals import SYSTEM
from tests import factories
from tests.alerts import report_of
from tests.components import DEGRADED, DOWN, UNKNOWN, UP

pytestmark = pytest.mark.django_db


def data_of(*processes: tuple[str, str], follows: bool = True) -> CheckData:
    """What an evaluation reads: a pool that follows its chain, with these processes."""
    data = CheckData(SYSTEM)
    data.__dict__["chain_status"] = SimpleNamespace() if follows else None
    data.__dict__["processes"] = [SimpleNamespace(name=name, state=state) for name, state in processes]
    return data


def conditions(report: Report, data: CheckData | None = None) -> dict[str, Condition]:
    """The components that are not up."""
    found = components_found(report, data or data_of())
    return {str(one): row.condition for one, row in found.items() if row.condition != UP}


def test_every_check_is_an_outage_or_none_and_not_both() -> None:
    outages = {one.check for one in EFFECTS}

    assert outages.isdisjoint(NO_OUTAGES)
    assert outages | NO_OUTAGES == set(CHECKS_BY_NAME)


def test_effects_have_names_of_their_own() -> None:
    assert max(Counter(one.name for one in EFFECTS).values()) == 1
    assert all(len(name) <= 64 for name in EFFECTS_BY_NAME)


def test_everything_is_up_while_the_checks_pass() -> None:
    assert conditions(report_of()) == {}


def test_what_a_tenant_can_cause_is_no_outage_of_the_pool() -> None:
    assert conditions(report_of(*NO_OUTAGES)) == {}


def test_unreadable_nodes_take_all_that_lives_on_the_chain() -> None:
    assert conditions(report_of("nodes_unreadable", "head_late")) == {
        "CHAIN": DOWN,
        "MESSAGES": DOWN,
        "PROVING": DOWN,
        "BLOCKS": DOWN,
        "SEALING": DEGRADED,
    }


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([("web-1", "down"), ("web-2", "running")], {"CONSOLE": DEGRADED}),
        ([("web-1", "down"), ("web-2", "silent")], {"CONSOLE": DOWN, "SEALING": DOWN}),
        ([("blocks", "silent"), ("web-1", "running")], {"BLOCKS": DOWN}),
        ([("follower", "down")], {"MESSAGES": DOWN, "PROVING": DOWN}),
        ([("sealer", "down")], {}),
    ],
)
def test_process_that_is_down_takes_what_it_serves(processes: Any, expected: Any) -> None:
    assert conditions(report_of("processes_down"), data_of(*processes)) == expected


def test_check_that_cannot_be_run_leaves_its_component_unknown() -> None:
    report = report_of("miners_unread")
    broken = tuple(
        replace(one, findings=(Finding(broken_key(one.check.name), "broken"),)) if one.findings else one
        for one in report.results
    )

    assert conditions(replace(report, results=broken)) == {"PROVING": UNKNOWN}


def test_pool_without_a_chain_knows_nothing_but_its_console() -> None:
    found = components_found(report_of(), data_of(follows=False))

    assert {one for one, row in found.items() if row.condition == UNKNOWN} == set(Component) - {"CONSOLE"}


def test_evaluation_of_alerts_counts_the_components() -> None:
    factories.network()
    factories.head()
    alerts_run()

    rows = dict(ComponentStatus.objects.values_list("component", "condition"))
    assert set(rows) == set(Component)
    assert rows["CONSOLE"] == UP
