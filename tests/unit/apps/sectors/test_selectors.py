"""Lists of sectors: by a number alone; numbers that no sector of a miner has."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.sectors.models import ActiveSectors
from apps.sectors.selectors.sector_filters import SectorFilters
from apps.sectors.selectors.sectors import sector_is_unknown, sectors_listed
from tests import factories, people

pytestmark = pytest.mark.django_db


def test_a_number_alone_is_looked_up_in_the_viewers_miners() -> None:
    mine = [factories.miner(number, of="alice") for number in (2001, 2002)]
    other = factories.miner(2003, of="bob")
    for of in (*mine, other):
        factories.sector(of, number=7)
        factories.sector(of, number=8)

    viewer = people.principal("alice")
    with CaptureQueriesContext(connection) as queries:
        found = list(SectorFilters({"number": "7"}, sectors_listed(viewer), viewer=viewer).rows())

    assert {(row.miner_id, row.number) for row in found} == {(of.pk, 7) for of in mine}
    keys = ", ".join(str(of.pk) for of in mine)
    assert any(f'"miner_id" IN ({keys})' in query["sql"] for query in queries), "as one_sector_per_number"


@pytest.mark.parametrize("active", [[], [[], []]])
def test_no_sector_is_unknown_while_nothing_was_read_of_its_miner(active: list[list[int]]) -> None:
    ActiveSectors.objects.create(miner=factories.miner(2001), numbers=active)

    assert not sector_is_unknown(actor_id=2001, number=7)
    assert not sector_is_unknown(actor_id=2002, number=7)


def test_no_sector_is_unknown_while_live_ones_have_no_row() -> None:
    of = factories.miner(2001, unlisted_sectors=1)
    ActiveSectors.objects.create(miner=of, numbers=[[5, 3]])

    assert not sector_is_unknown(actor_id=2001, number=9), "it may be the one, and be faulty"


def test_a_sector_sealed_elsewhere_is_known_once_the_chain_has_it() -> None:
    of = factories.miner(2001, unlisted_sectors=0)
    factories.sector(of, number=3, active=True)
    ActiveSectors.objects.create(miner=of, numbers=[[], [5, 3]])  # 5, 6 and 7

    known = [number for number in range(10) if not sector_is_unknown(actor_id=2001, number=number)]
    assert known == [3, 5, 6, 7]
