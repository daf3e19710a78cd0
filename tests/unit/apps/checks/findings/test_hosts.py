"""The check of silent hosts says what does not go on without them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.users.rules.principals import SYSTEM
from poolsite.wire.jobs import JobKind
from tests import factories

pytestmark = pytest.mark.django_db


def reason() -> str:
    [result] = evaluate_some(["hosts_away"], CheckData(SYSTEM)).results
    [finding] = result.findings
    return finding.reason


def prover(name: str, *, is_away: bool = False, **values: Any) -> None:
    seen = now() - timedelta(hours=1) if is_away else now()
    factories.worker(name, kinds=[JobKind.WINDOW_POST, JobKind.SECTOR_CHECK], seen_at=seen, **values)


def test_silent_prover_that_was_the_only_one_is_not_replaced() -> None:
    prover("gone", is_away=True)
    prover("paused", is_paused=True)
    prover("bobs", of="bob")
    factories.worker("sealer")

    assert reason() == "last seen 1 h 00 ago; no window is proven without gone: restart it"


def test_jobs_of_a_silent_prover_go_to_another() -> None:
    prover("gone", is_away=True)
    prover("here")

    assert reason().endswith("no sector depends on it; its other jobs go to other hosts")


def test_silent_host_with_the_only_slots_for_c2_is_not_replaced() -> None:
    factories.worker("prover-7", slots={"C2": 1}, seen_at=now() - timedelta(hours=1))
    factories.worker("sealer", slots={"PC1": 4, "C2": 0})

    assert reason().endswith("no other host has a slot for C2: restart prover-7, or give another host one")


def test_drained_host_says_how_many_sectors_end_there() -> None:
    host = factories.worker("leaving", is_draining=True)
    for state in ("PC1_DONE", "COMMIT_SENT", "PROVING"):
        factories.sector(factories.miner(), state=state, held_by=host)

    [result] = evaluate_some(["hosts_paused"], CheckData(SYSTEM)).results

    assert "2 sectors in progress there: a drained host finishes those" in result.findings[0].reason
