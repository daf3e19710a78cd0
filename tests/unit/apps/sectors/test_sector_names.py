"""A sector is named by its uuid, or by miner and number in any form in which people and programs write it."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.core.errors import DomainError
from apps.sectors.rules.sector_names import sector_name_parse
from apps.sectors.selectors.sector_filters import SectorFilters
from apps.sectors.selectors.sectors import sector_get, sectors_picked, sectors_visible
from apps.users.rules.principals import SYSTEM
from tests import factories
from tests.people import bearer, token

NAMES = (
    "f02001-12",
    "t02001-12",
    "f02001 / 12",
    "f02001/12",
    "f02001 12",
    "s-t02001-12",
    "F02001-12",
    "S-T02001-12",
    " f02001 - 12 ",
    "f02001\u201312",
    "f02001\uff0f12",
    "f02001\u300012",
    "f02001:12",
    "f02001 #12",
    "f02001,12",
    "/mnt/store/sealed/s-t02001-12",
)


@pytest.mark.parametrize("text", ["12", "f02001", "f1abc-12", "f02001-", "f02001-12-13", "f02001--12", ""])
def test_other_text_names_no_sector(text: str) -> None:
    assert sector_name_parse(text) is None


@pytest.mark.django_db
@pytest.mark.parametrize("name", NAMES)
def test_each_form_finds_the_sector(name: str) -> None:
    sector = factories.sector(factories.miner(2001), number=12)
    factories.sector(factories.miner(2002), number=12)

    assert sector_get(SYSTEM, name) == sector
    assert sectors_picked(SYSTEM, [name, sector.uuid, str(sector.uuid).upper()]) == [sector]
    assert list(SectorFilters({"q": name}, sectors_visible(SYSTEM), viewer=SYSTEM).rows()) == [sector]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["f02001-13", "f02002-12", "x", "00000000-0000-4000-8000-000000000000"])
def test_a_name_without_a_sector_is_named(name: str) -> None:
    sector = factories.sector(factories.miner(2001), number=12)

    with pytest.raises(DomainError, match=name):
        sectors_picked(SYSTEM, [sector.uuid, name])


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["sector-changes", "sectors:remove-files", "sectors:snap-up"])
def test_rest_takes_names_of_many_sectors(client: Client, path: str) -> None:
    factories.sector(factories.miner(2001), number=12)
    key = token("sign")

    def answer(name: str) -> tuple[int, str]:
        body = {"sectors": [name]} | ({"kind": "TERMINATE"} if path == "sector-changes" else {})
        got = client.post(
            f"/api/v1/{path}?dry_run=true", body, content_type="application/json", headers=bearer(key)
        )
        return got.status_code, got.json().get("field", "")

    unread, (unknown, _) = answer("twelve"), answer("f02001-13")
    assert (unread[0], unread[1].startswith("sectors")) == (400, True)
    assert unknown == 404
    assert answer("f02001-12")[0] not in (400, 404)
