"""Room on the console's disk: levels, the time left, and what does not begin without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.cache import cache
from django.http import HttpRequest

from apps.checks.findings.console import console_disk
from apps.checks.selectors.data import CheckData
from apps.core import disk
from apps.core.disk import DiskFull, DiskLevel, disk_require, disk_sample, disk_space, hours_left
from apps.core.health import database_unavailable
from apps.pieces.data.files import room_require
from apps.users.rules.principals import SYSTEM

GIB = 2**30


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Any:
    """Sets the free room of a disk of 100 GiB, with the product's reserve."""
    settings.DISK_RESERVE_BYTES = 2 * GIB
    settings.DISK_LOW_SHARE = 0.1
    cache.clear()

    def room(size: float) -> None:
        usage = Usage(100 * GIB, 0, int(size))
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)

    return room


@pytest.mark.parametrize(
    ("size", "level"),
    [
        (11 * GIB, DiskLevel.OK),
        (9.9 * GIB, DiskLevel.LOW),
        (2 * GIB, DiskLevel.LOW),
        (1.9 * GIB, DiskLevel.FULL),
    ],
)
def test_levels_are_a_tenth_of_the_disk_and_the_reserve(free: Any, size: float, level: DiskLevel) -> None:
    free(size)

    assert disk_space().level is level


def test_new_work_is_refused_below_the_reserve_with_what_to_do(free: Any) -> None:
    free(3 * GIB)
    disk_require()

    free(1 * GIB)
    with pytest.raises(DiskFull, match=r"1024 MiB free .* free up space"):
        disk_require()


def test_time_left_follows_the_samples_and_ignores_what_was_freed() -> None:
    hour = 3600.0
    samples = [(0.0, 10 * GIB), (hour, 8 * GIB), (hour + 60, 10 * GIB), (2 * hour, 8 * GIB)]

    assert hours_left(samples, free=8 * GIB) == pytest.approx(4.0)
    assert hours_left(samples[:1], free=8 * GIB) is None
    assert hours_left([(0.0, GIB), (hour, GIB)], free=GIB) is None


def test_samples_are_taken_once_a_minute_and_kept_for_hours(free: Any) -> None:
    for minute in range(61):
        free(20 * GIB - minute * GIB / 10)
        disk_sample(at=minute * 60.0)
        disk_sample(at=minute * 60.0 + 1)

        if minute == 50:
            assert disk_space().hours_left is None, "less than an hour says nothing of the next"

    assert disk_space().hours_left == pytest.approx(14 / 6, rel=0.01)
    disk_sample(at=40_000.0)
    assert len(cache.get(disk.SAMPLES_KEY)) == 1
    disk_sample(at=11_200.0)
    assert [at for at, _ in cache.get(disk.SAMPLES_KEY)] == [11_200.0], "the clock was set back"


def test_a_database_on_a_full_disk_is_answered_with_what_to_do(free: Any) -> None:
    free(1 << 20)

    answer = database_unavailable(HttpRequest())

    assert answer.status_code == 503
    assert "is full" in answer.content.decode()
    assert "Free up space" in answer.content.decode()


def test_browser_gets_a_page_that_asks_again_unless_it_sent_a_form(free: Any, rf: Any) -> None:
    free(50 << 30)
    asked = database_unavailable(rf.get("/sectors/?state=paused", HTTP_ACCEPT="text/html")).content.decode()
    sent = database_unavailable(rf.post("/send/", HTTP_ACCEPT="text/html")).content.decode()
    fragment = database_unavailable(rf.get("/sectors/", HTTP_ACCEPT="text/html", HTTP_HX_REQUEST="true"))

    assert "The database is restarting" in asked
    assert 'http-equiv="refresh"' in asked
    assert 'href="/sectors/?state=paused"' in asked
    assert 'http-equiv="refresh"' not in sent
    assert "may not have been carried out" in sent
    assert "<html" not in fragment.content.decode()


def test_disk_of_client_data_is_named_where_it_is_another(
    db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR, settings.DISK_RESERVE_BYTES, settings.DISK_LOW_SHARE = tmp_path, 2 * GIB, 0.1
    settings.PIECES_DIR, settings.C1_DIR = str(tmp_path / "mnt" / "pieces"), str(tmp_path / "c1")
    for folder in (settings.PIECES_DIR, settings.C1_DIR):
        Path(folder).mkdir(parents=True)

    def is_on_mount(folder: Path) -> bool:
        return "mnt" in Path(folder).parts

    def usage(folder: Path) -> Usage:
        return Usage(100 * GIB, 0, GIB if is_on_mount(folder) else 50 * GIB)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(disk, "_device", lambda folder: 2 if is_on_mount(folder) else 1)

    [finding] = console_disk(CheckData(SYSTEM))
    assert finding.say == f"the disk of {settings.PIECES_DIR} is full"
    with pytest.raises(DiskFull, match=rf"1024 MiB free on the disk of {settings.PIECES_DIR}; 2048 MiB must"):
        room_require(0)
    disk_require()


def test_piece_that_does_not_fit_is_refused_with_what_is_free(
    free: Any, settings: Any, tmp_path: Path
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    free(20 * GIB)

    with pytest.raises(DiskFull, match=r"^20480 MiB free .* 2048 MiB must stay free"):
        room_require(32 * GIB)
