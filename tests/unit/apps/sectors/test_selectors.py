"""Lists of sectors: by a number alone."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.sectors.selectors.sector_pages import SectorFilter, sectors_page
from tests import factories, people

pytestmark = pytest.mark.django_db


def test_a_number_alone_is_looked_up_in_the_viewers_miners() -> None:
    mine = [factories.miner(number, of="alice") for number in (2001, 2002)]
    other = factories.miner(2003, of="bob")
    for of in (*mine, other):
        factories.sector(of, number=7)
        factories.sector(of, number=8)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = sectors_page(people.principal("alice"), SectorFilter(number=7), limit=10)

    assert {(row.miner_id, row.number) for row in found} == {(of.pk, 7) for of in mine}
    keys = ", ".join(str(of.pk) for of in mine)
    assert any(f'"miner_id" IN ({keys})' in query["sql"] for query in queries), "as one_sector_per_number"
