"""C2 of a sector on another host than its C1: the output of C1 goes there through the console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.sectors.models import Job, JobEvent, Sector
from tests.integration.sealing.world import World, fresh, pledged
from workers.config import DEFAULT_SLOTS

ONLY_C2 = dict.fromkeys(DEFAULT_SLOTS, 0) | {"C2": 1}


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """What the console keeps on the way."""
    settings.C1_DIR = str(tmp_path / "c1")
    return tmp_path / "c1"


@pytest.fixture
def begun(world: World) -> Sector:
    """A sector whose host has no slot for C2, and has done C1."""
    world.agent = world.sealer(slots={"C2": 0})
    (sector,) = pledged(world, world.miner_create())
    world.until(lambda: fresh(sector).state == "C1_DONE", epochs=40)
    return sector


def done_by(sector: Sector) -> dict[str, str]:
    """Which host reported which stage."""
    events = JobEvent.objects.filter(job__sector=sector).exclude(worker=None).order_by("pk")
    return dict(events.values_list("event", "worker__name"))


def test_c2_is_done_by_a_host_that_has_none_of_the_sectors_files(
    world: World, begun: Sector, folder: Path
) -> None:
    world.epoch(3)
    assert fresh(begun).state == "C1_DONE", "its own host does not do it"
    (kept,) = folder.iterdir()
    assert kept.stat().st_size > 100_000

    guest = world.sealer("guest", name="guest", slots=ONLY_C2)
    world.others = [guest]
    world.until(lambda: fresh(begun).state == "PROVING", epochs=40)

    by = done_by(begun)
    assert by.pop("C2") == "guest"
    assert set(by.values()) == {"sealer-1"}
    assert Job.objects.get(sector=begun).sticky_worker.name == "sealer-1"  # type: ignore[union-attr]
    assert not guest.journal.jobs()
    assert not [path for path in (world.folder / "guest").rglob("*") if path.name.startswith("s-t0")]


def test_a_guest_that_dies_is_followed_by_another(world: World, begun: Sector) -> None:
    guest = world.sealer("guest", name="guest", slots=ONLY_C2)
    guest.tick()
    assert [job.inputs.stage for job in guest.held.values()] == ["C2"]
    assert fresh(begun).state == "C1_DONE"

    again = world.sealer("guest", name="guest", slots=ONLY_C2)  # another start of the same host
    world.others = [again]
    world.until(lambda: fresh(begun).state == "PROVING", epochs=40)

    for _ in range(5):
        guest.tick()  # the dead one goes on as if nothing had happened
    assert not guest.held
    assert JobEvent.objects.filter(job__sector=begun, event="C2").count() == 1


def test_its_own_host_does_c2_once_it_has_a_slot(world: World, begun: Sector) -> None:
    world.agent = world.sealer(slots={"C2": 1})

    world.until(lambda: fresh(begun).state == "PROVING", epochs=40)

    assert done_by(begun)["C2"] == "sealer-1"
