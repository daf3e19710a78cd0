"""What a dry run of a deadline finds: nothing is good that was not proved."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core import clock
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.proving.check_rows import CHECKS, check_rows
from apps.proving.models import CheckRun, SectorCheck
from apps.proving.services import check_results
from apps.proving.services.check_results import checks_collect
from apps.proving.services.jobs import BadProof
from apps.proving.services.trials import deadline_dry_run
from apps.proving.states import CheckState
from apps.sectors.services.jobs.reports import job_complete
from poolsite.wire.job_reports import BadSector, Complete
from tests.people import principal, tenant
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.hanging import prover, takes
from tests.unit.apps.proving.rescues import look, miner

pytestmark = pytest.mark.django_db


def tried(**result: Any) -> CheckRun:
    """A dry run of sectors 1 and 2 that a host has ended."""
    deadline_dry_run(miner(), index=0, principal=principal(), context=look(OneDeadline()))
    told = Complete(token=(job := takes(prover("p"))).token, **{"proof": b"proof", **result})
    job_complete(job.id, complete=told, tenant_id=tenant("alice").pk, now=clock.now())
    checks_collect(look(OneDeadline()))
    return CheckRun.objects.get()


def found() -> dict[int, bool]:
    return dict(SectorCheck.objects.values_list("number", "is_good"))


@pytest.fixture
def right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every proof is right."""
    monkeypatch.setattr(check_results, "proof_check", lambda _job: None)


@pytest.mark.usefixtures("right")
def test_sectors_of_a_store_that_is_away_are_not_called_good() -> None:
    run = tried(faults=(2,), unreachable=(2,))

    assert (run.bad, run.error) == ([], "sectors [2] may be in a store that is unavailable")
    assert found() == {1: True}
    [row] = check_rows([run], PageData(principal()))
    assert (row.word, row.why) == (CHECKS[CheckState.FAILED].word, run.error)


@pytest.mark.usefixtures("right")
def test_beside_bad_sectors_neither() -> None:
    run = tried(
        faults=(1, 2), unreachable=(2,), proof=b"", bad=(BadSector(number=1, path="/s/1", reason="x"),)
    )

    assert [one["number"] for one in run.bad] == [1]
    assert found() == {1: False}


@pytest.mark.usefixtures("right")
def test_with_all_files_there_all_are_good() -> None:
    run = tried()

    assert (run.error, found()) == ("", {1: True, 2: True})
    [row] = check_rows([run], PageData(principal()))
    assert row.word == CHECKS[CheckState.DONE].word


def test_a_wrong_proof_is_not_shown_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_job: object) -> None:
        raise BadProof("one sector too many")

    monkeypatch.setattr(check_results, "proof_check", refuse)

    run = tried()

    assert (run.error, found()) == ("the proof is invalid: one sector too many", {})
    [row] = check_rows([run], PageData(principal()))
    assert row.word == CHECKS[CheckState.FAILED].word
