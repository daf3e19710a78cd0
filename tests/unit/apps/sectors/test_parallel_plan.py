"""How many sectors a host seals at once: the division of each bound, the tightest first."""

from __future__ import annotations

from typing import Any

from apps.sectors.selectors.parallel_plan import Bound, parallel_plan

GIB = 1 << 30
HARDWARE: dict[str, Any] = {"cpus": 64, "ram_bytes": 1000 * GIB, "disk_total_bytes": 2000 * GIB}
ROOM = {"sector_room_bytes": str(520 * GIB)}


def test_two_thousand_by_five_hundred_and_twenty_is_three() -> None:
    disk, memory, cores = parallel_plan(HARDWARE, ROOM, sector_bytes=32 * GIB)

    assert disk == Bound("disk", 3, 2000 * GIB, 520 * GIB)
    assert memory == Bound("memory", 14, 900 * GIB, 64 * GIB)
    assert cores == Bound("cores", 1024, 64, 16)


def test_the_tightest_bound_is_the_first() -> None:
    small = HARDWARE | {"ram_bytes": 128 * GIB}

    assert parallel_plan(small, ROOM, sector_bytes=32 * GIB)[0].by == "memory"
    settings = ROOM | {"sectors_max": "1"}
    assert parallel_plan(HARDWARE, settings, sector_bytes=32 * GIB)[0] == Bound("settings", 1, 1, 1)


def test_slots_bound_what_is_labelled_and_not_what_is_under_way() -> None:
    found = parallel_plan(HARDWARE, ROOM | {"slots.PC1": "2"}, sector_bytes=32 * GIB)

    assert {one.by: one.count for one in found if one.is_of_labels} == {
        "slots": 2,
        "memory": 14,
        "cores": 1024,
    }
    assert [one.by for one in found if not one.is_of_labels] == ["disk"]


def test_several_sealing_disks_add_up_and_one_counts_once() -> None:
    def disk(folder: str, size: int, free: int) -> dict[str, Any]:
        return {"folder": folder, "total_bytes": size * GIB, "free_bytes": free, "sealing": {"sectors": 0}}

    disks = [
        disk("/a", 1100, 1),
        disk("/a/b", 1100, 1),
        disk("/c", 600, 2),
        {**disk("/d", 9999, 3), "sealing": None},
    ]

    found = parallel_plan(HARDWARE | {"disks": disks}, ROOM, sector_bytes=32 * GIB)

    assert found[0] == Bound("disk", 3, 1700 * GIB, 520 * GIB), "two on /a, one on /c"


def test_threads_that_begin_sectors_bound_them() -> None:
    threads = {"threads.1.plan": "sealer", "threads.2.plan": "snapup", "threads.1.location": "/a"}
    disks = [{"folder": "/a", "total_bytes": 600 * GIB, "free_bytes": 1}]

    found = parallel_plan(HARDWARE | {"disks": disks}, ROOM | threads, sector_bytes=32 * GIB)

    assert {one.by: one.count for one in found} == {"disk": 1, "threads": 1, "memory": 14, "cores": 1024}


def test_a_host_that_has_told_nothing_has_no_plan() -> None:
    assert parallel_plan({}, {}, sector_bytes=2048) == ()
    assert parallel_plan(HARDWARE, ROOM, sector_bytes=0) == ()
