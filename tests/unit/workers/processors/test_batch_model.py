"""Limits of drives for batches, beside the figures of the design's table of hosts."""

from __future__ import annotations

import pytest

from workers.processors.batch_model import drives_allow, layers_bytes, reads_hours

TIB, MILLION = 1 << 40, 1e6


def allowed(sectors, *, reads_s=MILLION, drives=12, room_bytes=200 * TIB, endurance_bytes=0.0):
    return drives_allow(
        sectors, reads_s=reads_s, drives=drives, room_bytes=room_bytes, endurance_bytes=endurance_bytes
    )


@pytest.mark.parametrize(
    ("sectors", "millions", "per_day"),
    [(128, 1, 107), (64, 1, 54), (32, 1, 27), (128, 14.4, 1546), (64, 12, 644), (64, 5.6, 301)],
)
def test_reads_allow_so_many_sectors_a_day(sectors, millions, per_day):
    assert allowed(sectors, reads_s=millions * MILLION).per_day == pytest.approx(per_day, abs=0.6)


@pytest.mark.parametrize(("millions", "hours"), [(13.9 / 7, 14.4), (10.3 / 2, 5.5), (10.1, 2.8), (2.4, 11.9)])
def test_a_batch_takes_the_hours_of_its_reads(millions, hours):
    assert reads_hours(millions * MILLION) == pytest.approx(hours, rel=0.02)


def test_a_sector_is_written_once_in_eleven_layers():
    assert layers_bytes(1) / 1e12 == pytest.approx(0.378, abs=0.0005)
    drives = 12 * 14.016e15  # 7.68 TB, written once a day for five years
    known = allowed(128, reads_s=14.4 * MILLION, endurance_bytes=drives)
    assert known.days is not None
    assert known.days * known.per_day / 1000 == pytest.approx(445, abs=1)
    assert allowed(128).days is None, "not known"


def test_memory_and_room_of_a_batch():
    one = allowed(128)
    assert one.memory_bytes / (1 << 30) == pytest.approx(12.4, abs=0.05)
    assert one.needs_bytes / TIB == pytest.approx(44, rel=0.01)
    assert allowed(128, room_bytes=44 * TIB).per_day == 0.0
    assert allowed(64, room_bytes=44 * TIB).per_day > 0
