"""Checks of files are deleted after a month, and their jobs with them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.core import clock
from apps.proving.models import CheckRun, Deadline, Recovery
from apps.proving.services import jobs
from apps.proving.services.checks import RETENTION_DAYS, checks_begin
from apps.proving.states import CheckKind
from apps.sectors.models import DamoclesSector, Job
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner

pytestmark = pytest.mark.django_db

CUTOFF, OPENS = 960, 975
OLD = timedelta(days=RETENTION_DAYS + 1)
RECENT = timedelta(days=RETENTION_DAYS - 1)


@pytest.fixture(autouse=True)
def due() -> None:
    """A miner with one deadline, of which a check is due, and a host that does it."""
    of = miner()
    Deadline.objects.all().delete()
    row = factories.deadline(of, live=1, open_epoch=OPENS, faulty=0)
    factories.partition(row, all_sectors=[1], live=[1], faulty=[])
    factories.worker("p", kinds=[JobKind.WINDOW_POST, JobKind.SECTOR_CHECK], stores=["store-1"])


def job_made(ago: timedelta, *, kind: JobKind = JobKind.SECTOR_CHECK, state: str = JobState.DONE) -> Job:
    """A job that expired so long ago."""
    return Job.objects.create(
        kind=kind,
        state=state,
        miner=Deadline.objects.get().miner,
        expires_at=clock.now() - ago,
        lease_s=15,
    )


def check_made(ago: timedelta) -> Job:
    """The job of a check that was begun so long ago."""
    deadline, job = Deadline.objects.get(), job_made(ago)
    run = CheckRun.objects.create(
        miner=deadline.miner,
        kind=CheckKind.AHEAD,
        deadline_index=deadline.index,
        open_epoch=1,
        job=job,
    )
    CheckRun.objects.filter(pk=run.pk).update(created_at=clock.now() - ago)
    return job


def begun() -> set[int]:
    """The jobs that are left once the next check has begun, without its own."""
    checks_begin(look(OneDeadline(), CUTOFF - 20))
    rows = Job.objects.filter(sector=None).exclude(check_run__open_epoch=OPENS)
    return set(rows.values_list("pk", flat=True))


def test_jobs_of_old_checks_are_deleted_with_them() -> None:
    recent = check_made(RECENT)
    check_made(OLD)

    assert begun() == {recent.pk}
    assert CheckRun.objects.count() == 2


def test_jobs_whose_checks_were_deleted_earlier_are_deleted() -> None:
    job_made(OLD)
    job_made(OLD, kind=JobKind.WINDOW_POST, state=JobState.FAILED)

    assert begun() == set()


def test_old_jobs_that_run_or_that_a_row_refers_to_are_kept() -> None:
    sector = factories.sector(Deadline.objects.get().miner)
    checked, recovered = job_made(OLD), job_made(OLD, kind=JobKind.WINDOW_POST)
    DamoclesSector.objects.create(sector=sector, files_check=checked)
    place = {"deadline_index": 3, "partition_index": 0, "open_epoch": 1, "cutoff_epoch": 1}
    Recovery.objects.create(miner=sector.miner, job=recovered, **place)
    running = job_made(OLD, state=JobState.LEASED)

    assert begun() == {checked.pk, recovered.pk, running.pk}


def test_old_jobs_are_deleted_in_parts_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "EXPIRED_MAX", 2)
    last = [job_made(OLD) for _ in range(3)][-1]

    assert begun() == {last.pk}
