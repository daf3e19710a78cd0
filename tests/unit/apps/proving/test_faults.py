"""Bad files: what no later check can withdraw ends with its sector, or once another store has it good."""

from __future__ import annotations

import pytest

from apps.core import clock
from apps.miners.models import Miner
from apps.proving.models import CheckRun, Deadline, Partition, SectorCheck
from apps.proving.selectors.faults import sectors_bad
from apps.proving.services.checks import checks_begin
from apps.proving.states import CheckState
from apps.sectors.models import Sector
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner

pytestmark = pytest.mark.django_db

BAD_AT = 900


@pytest.fixture
def of() -> Miner:
    """A miner with two sectors in a store, and a host that checks those of another."""
    row = miner()
    Deadline.objects.all().delete()
    deadline = factories.deadline(row, live=2, open_epoch=975)
    factories.partition(deadline, all_sectors=[1, 2], live=[1, 2])
    for number in (1, 2):
        factories.sector(row, number=number, state="PROVING", store="old")
    factories.worker("p", kinds=["window_post", "sector_check"], stores=["new"])
    return row


def found(of: Miner, store: str, *, is_good: bool, height: int = BAD_AT) -> None:
    """What a check found of sector 2."""
    facts = {"deadline_index": 0, "is_good": is_good, "checked_at": clock.now(), "height": height}
    SectorCheck.objects.create(
        miner=of, number=2, store=store, **facts, bad_since=None if is_good else height
    )


def bad(of: Miner) -> list[int]:
    """The sectors that the pages and checks name."""
    return [row.number for row in sectors_bad([of.pk])]


def begun(of: Miner) -> None:
    """The deadline's sectors are to be checked again."""
    Sector.objects.filter(miner=of, number=1).update(store="new")
    checks_begin(look(OneDeadline(), 940))
    assert CheckRun.objects.filter(miner=of, state=CheckState.RUNNING).exists()


def test_a_terminated_sector_has_no_bad_files(of: Miner) -> None:
    found(of, "old", is_good=False)
    assert bad(of) == [2]

    Partition.objects.update(live=[1])

    assert bad(of) == []
    begun(of)
    assert not SectorCheck.objects.exists()


def test_the_last_sector_of_a_deadline_that_is_terminated_has_no_bad_files(of: Miner) -> None:
    found(of, "old", is_good=False)

    Partition.objects.all().delete()

    assert bad(of) == []


def test_a_sector_rebuilt_in_another_store_is_good(of: Miner) -> None:
    found(of, "old", is_good=False)
    Sector.objects.filter(miner=of, number=2).update(store="new")
    assert bad(of) == [2], "nobody has checked it there"

    found(of, "new", is_good=True, height=BAD_AT + 1)

    assert bad(of) == []
    begun(of)
    assert [(row.store, row.is_good) for row in SectorCheck.objects.all()] == [("new", True)]


@pytest.mark.parametrize(("store", "height"), [("old", BAD_AT + 1), ("new", BAD_AT - 1)])
def test_a_good_copy_hides_neither_the_own_stores_loss_nor_a_later_one(
    of: Miner, store: str, height: int
) -> None:
    """By where the sector lies, and when its copy was found good."""
    found(of, "old", is_good=False)
    found(of, "copy", is_good=True, height=height)
    Sector.objects.filter(miner=of, number=2).update(store=store)

    assert bad(of) == [2]
    begun(of)
    assert SectorCheck.objects.filter(is_good=False).count() == 1
