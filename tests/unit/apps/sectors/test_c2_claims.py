"""Who gets a sector's C2: its host, or where that has no slot for it another one of the tenant."""

from __future__ import annotations

import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from apps.core.clock import now
from apps.core.disk import DiskFull
from apps.miners.models import Role
from apps.miners.states import RoleKind, RoleState
from apps.sectors.errors.jobs import C1Missing, LeaseLost
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.jobs import job_assignment
from apps.sectors.selectors.sector_waits import sector_wait
from apps.sectors.services.files.c1_files import is_c1_file_kept
from apps.sectors.services.jobs.c1_outputs import PART_RETENTION, c1_read, c1_store
from apps.sectors.services.jobs.c1_repeats import REPEATS_MAX, c1_repeat
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.steps import job_lock, sector_step
from apps.sectors.tasks import sectors_sweep
from poolsite.wire.jobs import Assignment
from poolsite.wire.pipeline import WORKER_STAGES
from tests import factories
from tests.people import tenant
from tests.unit.apps.sectors.sealing import DIGEST, NOON, claim, host, report

pytestmark = pytest.mark.django_db

NO_C2 = dict.fromkeys(WORKER_STAGES, 9) | {"C2": 0}
C1 = b'{"vanilla": "proofs"}'


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> None:
    settings.C1_DIR = str(tmp_path)


def at_c1(worker: Worker) -> Assignment:
    """A sector whose host has claimed its C1."""
    factories.sector(factories.miner(), state="SEED_ASSIGNED", held_by=worker, seed=DIGEST, seed_epoch=9)
    Job.objects.update(state="READY", worker=None, sticky_worker=worker, stage="C1")
    (job,) = claim(worker)
    return job


def handed_over(worker: Worker) -> Assignment:
    """A sector whose C1 is done, with its output on the console."""
    job = at_c1(worker)
    c1_store(job.id, source=io.BytesIO(C1), token=job.token, tenant_id=tenant("alice").pk)
    answer = report(job, "C1", state="SEED_ASSIGNED")
    assert (answer.seal, answer.is_done) == (None, False)
    return job


def test_output_of_c1_is_refused_by_the_disk_that_would_store_it(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DISK_RESERVE_BYTES = 1 << 30
    job = at_c1(host("u1", slots=NO_C2))
    rooms, usage = {tmp_path: 1 << 20}, lambda free: Mock(total=1 << 40, free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(rooms.get(folder, 1 << 39)))
    monkeypatch.setattr("apps.core.disk._device", lambda folder: 2 if folder == tmp_path else 1)

    with pytest.raises(DiskFull, match=f"1 MiB free on the disk of {tmp_path}"):
        c1_store(job.id, source=io.BytesIO(C1), token=job.token, tenant_id=tenant("alice").pk)


def test_a_host_without_a_slot_hands_its_output_over_and_another_goes_on() -> None:
    first, second = host("u1", slots=NO_C2), host("u2")

    handed_over(first)
    (taken,) = claim(second, new_sectors=0)

    assert taken.seal is not None
    assert (taken.seal.stage, taken.seal.c1_travels) == ("C2", True)
    given = c1_read(taken.id, token=taken.token, tenant_id=tenant("alice").pk)
    assert (given.size, b"".join(given.chunks)) == (len(C1), C1)
    row = Job.objects.get()
    assert (row.worker, row.sticky_worker) == (second, first)


def test_with_roles_a_dead_guests_c2_is_found_before_any_sweep() -> None:
    first, dead, third = host("u1", slots=NO_C2), host("u2"), host("u3")
    handed_over(first)
    claim(dead, new_sectors=0)
    Role.objects.create(
        miner=Job.objects.get().miner, host="x", kind=RoleKind.WINDOW, state=RoleState.STANDBY, since=NOON
    )

    assert claim(third, new_sectors=0, at=NOON + timedelta(seconds=60)) == ()
    assert len(claim(third, new_sectors=0, at=NOON + timedelta(seconds=120))) == 1
    assert Job.objects.get().worker == third


def test_with_roles_a_lapsed_sector_that_lies_nowhere_is_found() -> None:
    sector = factories.sector(factories.miner(), held_by=host("u1"))
    Job.objects.update(sticky_worker=None, lease_until=NOON)
    Role.objects.create(
        miner=sector.miner, host="x", kind=RoleKind.WINDOW, state=RoleState.STANDBY, since=NOON
    )

    assert len(claim(host("u2"), at=NOON + timedelta(seconds=1))) == 1


def test_a_c2_whose_files_lie_nowhere_travels_to_who_does_it() -> None:
    handed_over(host("u1", slots=NO_C2))
    Job.objects.update(sticky_worker=None)

    (taken,) = claim(host("u2"))

    assert taken == job_assignment(Job.objects.get())
    assert taken.seal is not None
    assert taken.seal.c1_travels


def test_a_host_with_a_slot_goes_on_by_itself() -> None:
    worker = host("u1")
    job = at_c1(worker)
    assert job.seal is not None
    assert not job.seal.c1_travels

    answer = report(job, "C1", state="SEED_ASSIGNED")

    assert answer.seal is not None
    assert (answer.seal.stage, answer.seal.c1_travels) == ("C2", False)
    assert not Job.objects.get().is_portable


@pytest.mark.parametrize(
    ("of", "change"),
    [
        ("bob", {}),
        ("alice", {"stages": NO_C2}),
        ("alice", {"kinds": ()}),
    ],
)
def test_nobody_gets_it_who_may_not_or_cannot(of: str, change: dict[str, Any]) -> None:
    handed_over(host("u1", slots=NO_C2))

    assert claim(host("u2", of=of), new_sectors=0, **change) == ()


def test_after_c2_the_sector_is_its_own_hosts_again(django_capture_on_commit_callbacks: Any) -> None:
    first, second = host("u1", slots=NO_C2), host("u2")
    handed_over(first)
    (taken,) = claim(second, new_sectors=0)

    with django_capture_on_commit_callbacks(execute=True):
        report(taken, "C2", state="C1_DONE")

    job, sector = job_lock(Sector.objects.get().pk)
    assert (sector.state, job.is_portable, is_c1_file_kept(job, sector=sector)) == ("C2_DONE", False, False)
    sector_step(sector, event="SEND_COMMIT", job=job, now=NOON)
    sector_step(sector, event="LAND_COMMIT", job=job, now=NOON)
    assert claim(second, new_sectors=0) == ()
    assert [one.seal.stage for one in claim(first) if one.seal is not None] == ["FINALIZE"]


def test_another_seed_takes_it_back_from_the_guest(django_capture_on_commit_callbacks: Any) -> None:
    first, second = host("u1", slots=NO_C2), host("u2")
    handed_over(first)
    (taken,) = claim(second, new_sectors=0)

    job, sector = job_lock(Sector.objects.get().pk)
    with django_capture_on_commit_callbacks(execute=True):
        sector_step(sector, event="RESEED", job=job, now=NOON, seed=None, seed_epoch=None)
        sector_step(sector, event="ASSIGN_SEED", job=job, now=NOON, seed=bytes(32), seed_epoch=12)

    (again,) = claim(first)
    assert again.seal is not None
    assert again.seal.stage == "C1"
    with pytest.raises(LeaseLost):
        report(taken, "C2", state="C1_DONE")
    with pytest.raises(LeaseLost):
        c1_read(taken.id, token=taken.token, tenant_id=tenant("alice").pk)


def test_a_lost_file_is_said_to_the_guest(tmp_path: Path) -> None:
    handed_over(host("u1", slots=NO_C2))
    (taken,) = claim(host("u2"), new_sectors=0)
    for path in tmp_path.iterdir():
        path.unlink()

    with pytest.raises(C1Missing):
        c1_read(taken.id, token=taken.token, tenant_id=tenant("alice").pk)


def test_a_sector_says_that_any_host_may_go_on() -> None:
    handed_over(host("u1", slots=NO_C2))
    sector = Sector.objects.select_related("job__sticky_worker").get()

    wait = sector_wait(sector, height=10, challenge_delay=150, seed_confidence=5, now=NOON)

    assert wait is not None
    assert wait.what == "any host with a free slot: the console has all its inputs"


def stranded(worker: Worker) -> None:
    """A sector whose C1 ran while its host had a slot for C2, which is taken away then."""
    report(at_c1(worker), "C1", state="SEED_ASSIGNED")
    Job.objects.update(state="READY", worker=None, lease_until=None)
    type(worker).objects.filter(pk=worker.pk).update(slots=NO_C2)


def repeat() -> int:
    return c1_repeat(SectorsInProgress.read(), now=NOON)


def test_c1_runs_again_and_travels_once_its_host_has_no_slot_for_c2() -> None:
    first, second = host("u1"), host("u2")
    stranded(first)

    assert claim(second, new_sectors=0) == ()
    assert (repeat(), repeat()) == (1, 0)
    (again,) = claim(host("u1", slots=NO_C2))
    assert again.seal is not None
    assert (again.seal.stage, again.seal.c1_travels) == ("C1", True)
    c1_store(again.id, source=io.BytesIO(C1), token=again.token, tenant_id=tenant("alice").pk)
    report(again, "C1", state="SEED_ASSIGNED")
    assert repeat() == 0
    assert [one.seal.stage for one in claim(second, new_sectors=0) if one.seal is not None] == ["C2"]


def test_what_still_can_be_done_is_not_set_back() -> None:
    worker = host("u1")
    report(at_c1(worker), "C1", state="SEED_ASSIGNED")
    Job.objects.update(state="READY", worker=None, lease_until=None)

    assert repeat() == 0, "its host has a slot"
    type(worker).objects.update(slots=NO_C2 | {"C1": 0})
    assert repeat() == 0, "nobody would do C1 either"


def test_a_host_that_hands_nothing_over_is_not_asked_for_ever() -> None:
    worker = host("u1", slots=NO_C2)
    at_c1(worker)
    for _ in range(REPEATS_MAX):
        Sector.objects.update(state="C1_DONE")
        Job.objects.update(state="READY", stage="C2", worker=None, lease_until=None)
        assert repeat() == 1
    Sector.objects.update(state="C1_DONE")
    Job.objects.update(state="READY", stage="C2", worker=None, lease_until=None)

    assert repeat() == 0
    assert "never reached the console" in Sector.objects.get().error


def test_what_killed_uploads_have_left_is_deleted_after_a_day(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("new.1.part", "old.2.part", "whole")]
    for file in files:
        file.write_bytes(C1)
    written_at = (now() - PART_RETENTION - timedelta(minutes=1)).timestamp()
    for file in files[1:]:
        os.utime(file, (written_at, written_at))

    sectors_sweep(height=1, key="")

    assert sorted(tmp_path.iterdir()) == [files[0], files[2]]
