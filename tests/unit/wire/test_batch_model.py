"""Limits of drives and cores for batches, beside the figures of the design's table of hosts."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite.filecoin.porep.parameters import parameters_of_size
from poolsite.wire.batch_model import (
    BEST,
    CORES,
    LEAST,
    MEMORY,
    READS,
    ROOM,
    SIZES,
    UNMEASURED,
    BatchMachine,
    batch_choose,
    batch_figures,
    batch_table,
    layers_bytes,
    reads_hours,
)
from poolsite.wire.hardware import DrivesMeasured, PagesMeasured

GIB, TIB, MILLION = 1 << 30, 1 << 40, 1e6


def allowed(
    sectors, *, reads_s=MILLION, nodes_s=0, read_ns=0, room_bytes=200 * TIB, endurance_bytes=0, **more
):
    page = PagesMeasured(sectors=sectors, reads_s=int(reads_s), nodes_s=nodes_s, read_ns=read_ns)
    return batch_figures(
        sectors,
        page,
        drives=12,
        room_bytes=room_bytes,
        machine=BatchMachine(**more),
        endurance_bytes=endurance_bytes,
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
    assert known.per_day is not None
    assert known.days * known.per_day / 1000 == pytest.approx(445, abs=1)
    assert allowed(128).days is None, "not known"


def test_memory_and_room_of_a_batch():
    one = allowed(128)
    assert one.memory_bytes / GIB == pytest.approx(12.4, abs=0.05)
    assert one.needs_bytes / TIB == pytest.approx(44, rel=0.01)
    card = allowed(128, has_card=True)
    assert (card.memory_bytes - one.memory_bytes) / GIB == pytest.approx(2.75, abs=0.01), "pieces for a card"
    none = allowed(128, room_bytes=44 * TIB)
    assert (none.per_day, none.binds) == (0.0, ROOM)
    per_day = allowed(64, room_bytes=44 * TIB).per_day
    assert per_day is not None
    assert per_day > 0
    assert allowed(128, ram_bytes=13 * GIB).binds == MEMORY, "nine tenths of it are for sealing"
    assert allowed(128, ram_bytes=14 * GIB).per_day == one.per_day


@pytest.mark.parametrize(
    ("sectors", "nodes_s", "millions", "hours", "needed", "per_day"),
    [
        (128, 1_161_000, 14.4, 2.8, 10.1, 1_087),
        (128, 705_000, 14.4, 4.7, 6.15, 661),
        (64, 602_000, 12.0, 5.4, 5.25, 282),
    ],
)
def test_cores_bind_where_drives_could_feed_more(sectors, nodes_s, millions, hours, needed, per_day):
    found = allowed(sectors, reads_s=millions * MILLION, nodes_s=nodes_s)

    assert found.binds == CORES
    assert found.hours == pytest.approx(hours, abs=0.06)
    assert found.reads_needed_s / MILLION == pytest.approx(needed, abs=0.05)
    assert found.per_day == pytest.approx(per_day, abs=2)


def test_reads_bind_where_drives_are_slow_and_take_cores_too():
    found = allowed(32, reads_s=2.4 * MILLION, nodes_s=300_000)
    assert (found.binds, round(found.per_day or 0)) == (READS, 64)
    shared = allowed(32, reads_s=2.4 * MILLION, nodes_s=300_000, read_ns=600, cpus=8)
    assert shared.binds == CORES, "eight cores spend a sixth of their time on reads"
    assert shared.reads_needed_s == pytest.approx(8.72 * 300_000 / (1 + 8.72 * 300_000 * 600e-9 / 8))


def told(**more: Any) -> dict[str, Any]:
    """A host of 64 cores with twelve drives of 15.36 TB."""
    return {
        "cpus": 64,
        "ram_bytes": 512 * GIB,
        "drives_measured": {
            "drives": [f"/mnt/{number}" for number in range(12)],
            "at": 1_790_000_000,
            "room_bytes": 12 * 15_360_000_000_000,
            "pages": [
                {"sectors": size, "reads_s": 12_000_000, "read_ns": 300, "nodes_s": 900_000}
                for size in (16, 32, 64, 128)
            ],
            **more,
        },
    }


def test_a_host_that_was_measured_has_figures_of_every_size():
    table = batch_table(told(endurance_bytes=12 * 28 * 10**15))

    assert tuple(size.sectors for size in table) == SIZES
    paces = [size.per_day or 0.0 for size in table]
    assert paces == sorted(paces)
    one, _four, sixteen = table[:3]
    assert one.per_day == pytest.approx(paces[2] / 16), "its pages are those of sixteen"
    assert (one.needs_bytes, one.days) == (sixteen.needs_bytes, sixteen.days)
    assert all(size.days is not None for size in table)
    assert {size.days for size in batch_table(told())} == {None}


def test_a_host_that_was_not_measured_has_needs_only():
    table = batch_table({"cpus": 8, "ram_bytes": 64 * GIB})

    assert all(size.memory_bytes > 0 and size.needs_bytes > 0 for size in table)
    for size in table:
        figures = (size.reads_needed_s, size.reads_s, size.hours, size.per_day, size.days)
        assert figures == (None,) * 5
        assert size.binds == ""
    small = batch_table({"ram_bytes": 12 * GIB})
    assert (small[-1].per_day, small[-1].binds) == (0.0, MEMORY), "that needs no measuring"


def test_a_size_whose_labels_were_not_measured_is_bound_by_nothing_known():
    pages = [{"sectors": 128, "reads_s": 1_000_000}]
    table = batch_table(told(pages=pages))

    assert [size.per_day is None for size in table] == [True] * 5 + [False]
    assert table[-1].binds == ""


DRIVES = ("/mnt/a", "/mnt/b")


def chosen(rates, *, slots=128, room_bytes=200 * TIB, within_s=0.0, size=32 << 30, drives=DRIVES, **more):
    """The choice of a host: by size of batch its reads and nodes a second."""
    pages = tuple(
        PagesMeasured(sectors=sectors, reads_s=reads_s, nodes_s=nodes_s)
        for sectors, (reads_s, nodes_s) in rates.items()
    )
    measured = DrivesMeasured(drives=DRIVES, room_bytes=room_bytes, pages=pages) if rates else None
    found = batch_choose(
        measured,
        parameters=parameters_of_size(size),
        drives=drives,
        slots=slots,
        machine=BatchMachine(**more),
        within_s=within_s,
    )
    return found.sectors, found.why


BY_READS = dict.fromkeys((16, 32, 64, 128), (1_000_000, 10_000_000))
BY_CORES = {
    16: (9_000_000, 800_000),
    32: (9_000_000, 400_000),
    64: (9_000_000, 200_000),
    128: (9_000_000, 99_000),
}


def test_batches_are_as_large_as_reads_need_and_as_small_as_cores_allow():
    assert chosen(BY_READS) == (128, BEST), "each read is of all sectors"
    assert chosen(BY_CORES) == (16, BEST), "all sizes make as many a day: the smallest is full first"
    faster = BY_CORES | {64: (9_000_000, 240_000)}
    assert chosen(faster) == (64, BEST)


def test_batches_fit_into_room_memory_slots_and_tickets():
    assert chosen(BY_READS, room_bytes=30 * TIB) == (64, BEST)
    assert chosen(BY_READS, ram_bytes=11 * GIB) == (32, BEST)
    assert chosen(BY_READS, slots=50) == (32, BEST)
    assert chosen(BY_READS, within_s=3600) == (16, LEAST)
    assert chosen(BY_READS, room_bytes=TIB) == (16, LEAST)
    assert chosen(BY_READS, room_bytes=TIB, size=8 << 20) == (128, BEST), "small sectors take little room"


def test_without_a_trial_batches_are_as_large_as_memory_and_slots_hold():
    assert chosen({}) == (128, UNMEASURED)
    assert chosen({}, ram_bytes=11 * GIB, slots=64) == (32, UNMEASURED)
    assert chosen(BY_CORES, drives=("/mnt/c",)) == (128, UNMEASURED), "others were measured"
