"""A host is short of disk by the disks on which it seals."""

from __future__ import annotations

from typing import Any

import pytest

from apps.sectors.rules.hardware import disk_share, disk_space, is_short_of_disk, sealing_disks

ALMOST_FULL: dict[str, Any] = {"disk_free_bytes": 5, "disk_total_bytes": 100}
FREE: dict[str, Any] = {"disk_free_bytes": 60, "disk_total_bytes": 100}


def disk(free: int, total: int, *, is_sealing: bool = True) -> dict[str, Any]:
    """A disk as a host reports it; one that is away has no size."""
    sealing = {"sectors": 0, "total_bytes": total, "free_bytes": free} if is_sealing else None
    return {"folder": "/a", "free_bytes": free, "total_bytes": total, "sealing": sealing}


@pytest.mark.parametrize(
    ("own", "disks", "is_short"),
    [
        (ALMOST_FULL, [], True),
        (FREE, [], False),
        (ALMOST_FULL, [disk(500, 1000)], False),
        (FREE, [disk(10, 1000), disk(11, 1000)], True),
        (FREE, [disk(10, 1000), disk(500, 1000)], False),
        (ALMOST_FULL, [disk(0, 0), disk(900, 1000, is_sealing=False)], True),
        ({"disk_free_bytes": 1, "disk_total_bytes": 100}, [disk(500, 1000)], True),
        ({}, [], False),
    ],
)
def test_a_host_is_short_of_the_disks_on_which_it_seals(
    own: dict[str, Any], disks: list[dict[str, Any]], is_short: bool
) -> None:
    assert is_short_of_disk({**own, "disks": disks}) is is_short


def test_sealing_stores_on_one_disk_count_once() -> None:
    hardware = {**FREE, "disks": [disk(300, 1000), disk(300, 1000), disk(700, 1000)]}

    assert sealing_disks(hardware) == [(300, 1000), (700, 1000)]
    assert disk_space(hardware) == (1000, 2000)
    assert disk_share(hardware) == 0.5


def test_a_named_disk_counts_once_and_one_alike_by_itself() -> None:
    one = [{**disk(free, 1000), "disk": "64769"} for free in (300, 250, 290)]  # reserves, a moment later
    alike = {**disk(300, 1000), "disk": "64770"}

    hardware = {**FREE, "disks": [*one, alike]}
    assert sealing_disks(hardware) == [(300, 1000), (300, 1000)]
    assert disk_space(hardware) == (600, 2000)


def test_host_is_short_of_the_disks_of_its_sealing_threads() -> None:
    location = {**disk(10, 1000, is_sealing=False), "is_location": True}

    assert is_short_of_disk({**FREE, "disks": [disk(900, 1000, is_sealing=False), location]})
    assert not is_short_of_disk({**FREE, "disks": [location, {**location, "free_bytes": 500}]})


def test_locations_of_sealing_threads_count_where_settings_are_known() -> None:
    hardware = {**FREE, "disks": [{**disk(300, 1000, is_sealing=False), "folder": "/thread"}]}

    assert sealing_disks(hardware, {"threads.1.location": "/thread", "threads.1.plan": "sealer"}) == [
        (300, 1000)
    ]
    assert sealing_disks(hardware) == [(60, 100)]


@pytest.mark.parametrize(
    "away", [disk(0, 0), {"folder": "/away", "sealing": {"weight": 1}}], ids=["zeros", "left-out"]
)
def test_a_sealing_store_that_is_away_has_no_bytes(away: dict[str, Any]) -> None:
    hardware = {**FREE, "disks": [away]}

    assert sealing_disks(hardware) == [(0, 0)], "nothing is sealed in the host's own folder meanwhile"
    assert disk_space(hardware) == (60, 100), "it is not short of disk for that"
