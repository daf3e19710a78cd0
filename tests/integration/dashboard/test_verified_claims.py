"""Page Verified claims: by client and end, where each lies, and the DataCap that is left."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import reverse

from apps.core.clock import now
from apps.sectors.models import ClaimsEnding
from apps.sectors.onchain.live_sectors import Claim
from apps.sectors.services.verified.claims import claims_write
from tests import factories, verified_rows
from tests.page_client import signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

DAY = 2880


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def rows_of(text: str) -> list[int]:
    """Claim numbers in the order of the page."""
    return [int(number) for number in re.findall(r'id="f-claim-\d+">.*?<th[^>]*>(\d+)</th>', text)]


def test_claims_are_listed_by_their_end_with_their_sector(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    sector = factories.sector(miner, number=5, state="PROVING")
    far, near, over = (
        verified_rows.claim(miner, end_epoch=end, client=client, sector_number=5)
        for end, client in ((1000 + 90 * DAY, 9), (1000 + 10 * DAY, 11), (999, 9))
    )
    foreign = verified_rows.claim(factories.miner(2002, of="bob"))
    browser, page = signed_in(), reverse("claims")

    text = text_of(browser.get(page))

    assert rows_of(text) == [near.number, far.number]
    assert f'href="/sectors/{sector.uuid}/"' in text
    assert str(foreign.piece_cid) not in text
    assert rows_of(text_of(browser.get(page, {"state": "ending"}))) == [near.number]
    assert rows_of(text_of(browser.get(page, {"state": "ended"}))) == [over.number]
    assert rows_of(text_of(browser.get(page, {"client": "f09"}))) == [far.number]
    assert "No matching claims" in text_of(browser.get(page, {"client": "f0100"}))
    assert "must be an f0 address" in text_of(browser.get(page, {"client": "me"}))
    lines = text_of(browser.get(reverse("claims-csv"), {"client": "f09"})).splitlines()
    assert [line.split(",")[0] for line in lines] == ["claim", str(far.number)]


def test_clients_and_the_data_cap_of_our_addresses_are_shown(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    clients = [[11, 3, 3 << 30], [9, 1, 1 << 30]]
    ClaimsEnding.objects.create(miner=miner, clients=clients, due_at=now())
    other = factories.miner(2002, of="bob")
    ClaimsEnding.objects.create(miner=other, clients=[[99, 1, 1 << 40]], due_at=now())
    factories.wallet(actor_id=1010, data_cap=5 << 40, label="client-a")

    text = plain(text_of(signed_in().get(reverse("claims"))))

    assert "No verified data yet" in text
    assert "f011 3 3 GiB f09 1 1 GiB" in text
    assert "f099" not in text
    assert "client-a f01010 5 TiB" in text


def test_a_claim_extended_while_its_list_is_downloaded_stands_in_it_once(
    ann: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.dashboard.csv_export.CHUNK", 1)
    miner = factories.miner(2001, of="alice")
    first, second = (verified_rows.claim(miner, end_epoch=end) for end in (5000, 6000))
    answer: Any = signed_in().get(reverse("claims-csv"))
    lines = iter(answer.streaming_content)
    read = [next(lines), next(lines)]

    claims_write(
        miner,
        claims=[
            Claim(row.number, row.sector_number, row.size, 7000, row.piece_cid, row.client, row.term_start, 1)
            for row in (first, second)
        ],
    )

    found = [line.decode().split(",") for line in (*read, *lines)]
    assert [(line[0], line[-1].strip()) for line in found] == [
        ("claim", "end_epoch"),
        (str(first.number), "5000"),
        (str(second.number), "7000"),
    ]


def test_pages_follow_one_another(ann: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    miner = factories.miner(2001, of="alice")
    numbers = [verified_rows.claim(miner, end_epoch=5000).number for _ in range(3)]
    browser = signed_in()

    first = text_of(browser.get(reverse("claims")))
    [older] = re.findall(r'href="(\?cursor=[^"]*)"', first)

    assert rows_of(first) == numbers[:2]
    assert rows_of(text_of(browser.get(reverse("claims") + older))) == numbers[2:]
