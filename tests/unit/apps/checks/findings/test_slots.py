"""Sectors that wait for a slot which no host gives are named while their deposit is not yet lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.checks.findings.results import Finding
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.sectors.models import Job, Worker
from apps.users.rules.principals import SYSTEM
from tests import factories

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def waiting(at: str, host: Worker, *, since: timedelta = HOUR, **job: Any) -> None:
    """A sector with its files on a host, free for its next stage since so long."""
    row = factories.sector(factories.miner(), state=at)
    Job.objects.filter(pk=row.job.pk).update(sticky_worker=host, updated_at=now() - since, **job)


def found() -> list[Finding]:
    factories.head()
    [result] = evaluate_some(["slots_missing"], CheckData(SYSTEM)).results
    return list(result.findings)


def test_a_farm_without_its_only_host_for_c2_is_told_of_it() -> None:
    waiting("C1_DONE", factories.worker("sealer", slots={"C2": 0}), is_portable=True)
    factories.worker("prover-7", slots={"C2": 1}, seen_at=now() - HOUR)

    [one] = found()

    assert one.say == "1 sector waiting for C2, for which no host has a slot"
    assert one.reason.startswith("prover-7 has slots for it, but claims no work: restart or resume it")


def test_a_host_that_has_the_files_and_no_slot_is_named() -> None:
    waiting("PC1_DONE", factories.worker("sealer", slots={"PC1": 4, "PC2": 0}))
    factories.worker("other", slots={"PC2": 1})

    [one] = found()

    assert (one.say[:24], one.reason[:22]) == ("1 sector waiting for PC2", "sealer has their files")


@pytest.mark.parametrize(
    ("host", "job"),
    [
        ({"slots": {"PC2": 1}}, {}),
        ({"slots": {"PC2": 0}, "seen_at": now() - HOUR}, {}),
        ({"slots": {"PC2": 0}, "is_paused": True}, {}),
        ({"slots": {}, "kinds": ["damocles"]}, {}),
        ({"slots": {"PC2": 0}}, {"since": timedelta()}),
        ({"slots": {"PC2": 0}}, {"state": "LEASED"}),
    ],
)
def test_what_waits_for_its_turn_or_for_a_host_that_is_away_is_not_named(
    host: dict[str, Any], job: dict[str, Any]
) -> None:
    waiting("PC1_DONE", factories.worker(**host), **job)

    assert found() == []
