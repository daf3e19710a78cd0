"""Deals and a miner's market over REST and on their pages: what is shown to whom, set and imported."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.core import clock
from apps.market.models import Deal, MinerMarket
from apps.market.rules import ulid_decode
from apps.market.services.follow import deals_advance
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.pieces.selectors import headers_decode
from apps.users.models import AuditEntry
from tests import factories, people
from tests.mk20 import sized
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

CLIENT, OTHER = factories.secp(5), factories.secp(6)
DATA = bytes(number % 251 for number in range(1500))


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    factories.head(1000)
    return factories.miner(2001)


def deal(of: Miner, **changes: Any) -> Deal:
    return factories.deal(of, sized(DATA), **changes)


def get(client: Client, path: str, *, of: str = "alice") -> Any:
    return client.get(f"/api/v1/{path}", headers=people.bearer(people.token("read", of=of)))


def test_deals_are_listed_to_the_tenant_of_their_miner(client: Client, miner: Miner) -> None:
    first, second = deal(miner), deal(miner, state="FAILED", reason="the source answered 404")
    deal(factories.miner(2002, of="bob"))

    rows = get(client, "deals").json()["results"]
    page = get(client, "deals?limit=1").json()

    assert [row["uuid"] for row in rows] == [str(second.uuid), str(first.uuid)]
    assert (rows[0]["state"], rows[0]["reason"]) == ("FAILED", "the source answered 404")
    assert ulid_decode(rows[0]["ulid"]) == second.uuid
    assert [row["uuid"] for row in get(client, f"deals?cursor={page['next']}").json()["results"]] == [
        str(first.uuid)
    ]
    assert [row["uuid"] for row in get(client, "deals?state=FAILED").json()["results"]] == [str(second.uuid)]
    assert len(get(client, f"deals?client={first.client}&miner=f02001").json()["results"]) == 2
    assert get(client, "deals?state=x").status_code == 400


def test_how_far_the_data_of_a_deal_are_is_shown(client: Client, miner: Miner) -> None:
    piece = factories.piece(miner, state="FETCHING", payload_size=1500, received=500, rate=100)
    one = deal(miner, state="TRANSFERRING", piece=piece)

    told = get(client, f"deals/{one.uuid}").json()["transfer"]
    people.person("ann")
    page = text_of(signed_in("ann").get(f"/deals/{one.uuid}/"))
    Piece.objects.update(error="the source answered 503", rate=None)
    cut = get(client, f"deals/{one.uuid}").json()["transfer"]

    ends_at = piece.updated_at + timedelta(seconds=10)
    assert (told["received"], told["rate"], told["error"]) == (500, 100, "")
    assert datetime.fromisoformat(told["ends_at"]) == ends_at
    assert "500 B of 1.46 KiB" in page
    assert "100 B/s" in page
    assert (cut["received"], cut["ends_at"], cut["error"]) == (500, None, "the source answered 503")
    assert "the source answered 503" in text_of(signed_in("ann").get(f"/deals/{one.uuid}/"))
    deal(miner)
    assert get(client, f"deals/{deal(miner).uuid}").json()["transfer"] is None


def test_a_deal_of_another_tenant_does_not_exist(client: Client, miner: Miner) -> None:
    one = deal(miner)

    assert get(client, f"deals/{one.uuid}").json()["client"] == one.client
    for path in (f"deals/{one.uuid}", f"deals/{uuid4()}", "deals/x"):
        assert get(client, path, of="bob").status_code == 404
    answer = client.post(
        f"/api/v1/deals/{one.uuid}/data",
        DATA,
        content_type="application/octet-stream",
        headers=people.bearer(people.token("write", of="bob")),
    )
    assert answer.status_code == 404
    people.person("bea", of="bob")
    assert signed_in("bea").get(f"/deals/{one.uuid}/").status_code == 404


def test_the_data_of_an_offline_deal_are_imported(client: Client, miner: Miner) -> None:
    one = deal(miner, source="offline")
    path = f"/api/v1/deals/{one.uuid}/data"
    headers = people.bearer(people.token("write"))
    kind = "application/octet-stream"

    wrong = client.post(path, bytes(1500), content_type=kind, headers=headers)
    right = client.post(path, DATA, content_type=kind, headers=headers)
    again = client.post(path, DATA, content_type=kind, headers=headers)
    deals_advance(height=1000, now=clock.now())

    assert (wrong.status_code, wrong.json()["code"]) == (400, "piece_mismatch")
    assert (right.status_code, right.json()["state"]) == (200, "TRANSFERRING")
    assert again.status_code == 409
    assert get(client, f"deals/{one.uuid}").json()["state"] == "VERIFIED"
    entry = AuditEntry.objects.get(action="deal.import")
    assert (entry.target, entry.after) == (str(one.uuid), {"bytes": 1500})


def test_a_deal_is_ended_by_rest_and_page_until_it_is_published(client: Client, miner: Miner) -> None:
    first, second, gone = (factories.deal(miner, sized(name * 999)) for name in (b"a", b"b", b"c"))
    Deal.objects.filter(pk=gone.pk).update(state="PUBLISHING")

    def post(deal: Deal, perm: str = "write") -> Any:
        return client.post(f"/api/v1/deals/{deal.uuid}/end", headers=people.bearer(people.token(perm)))

    assert post(first, "read").status_code == 403
    answer = post(first)
    assert (answer.status_code, answer.json()["state"]) == (200, "FAILED")
    assert answer.json()["reason"] == "its miner's people ended it"
    assert (post(first).status_code, post(gone).json()["code"]) == (409, "deal_goes_on")

    people.person("ann")
    page = signed_in("ann")
    where = f"/deals/{second.uuid}/"
    assert f"{where}end/" in text_of(page.get(where))
    assert f"/deals/{gone.uuid}/end/" not in text_of(page.get(f"/deals/{gone.uuid}/"))
    assert "has to propose another one" in text_of(page.post(f"{where}end/"))
    assert Deal.objects.get(pk=second.pk).state == "ACCEPTED"
    for _ in range(2):
        assert page.post(f"{where}end/", {"sure": "yes"}).status_code == 302
    assert "only a deal that is not published" in text_of(page.get(where))
    assert set(Deal.objects.values_list("state", flat=True)) == {"FAILED", "PUBLISHING"}
    lines = AuditEntry.objects.filter(action="deal.end").order_by("pk")
    assert [line.target for line in lines] == [str(first.uuid), str(second.uuid)]


def test_data_of_an_offline_deal_are_downloaded_by_rest_and_page(client: Client, miner: Miner) -> None:
    first, second = (factories.deal(miner, sized(name * 999), source="offline") for name in (b"a", b"b"))
    path, url = f"/api/v1/deals/{first.uuid}/data:fetch", "https://data.example/x.car?key=k"

    def post(values: dict[str, Any], perm: str = "write") -> Any:
        headers = people.bearer(people.token(perm))
        return client.post(path, values, content_type="application/json", headers=headers)

    for values, field in (({"url": "ftp://x"}, "url"), ({"url": url, "headers": ["x"]}, "headers")):
        answer = post(values)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert post({"url": url}, perm="read").status_code == 403
    answer = post({"url": url, "headers": ["Authorization: Bearer t"]})
    assert (answer.status_code, answer.json()["state"]) == (200, "TRANSFERRING")
    assert post({"url": url}).status_code == 409

    people.person("ann")
    page = signed_in("ann")
    wrong = page.post(f"/deals/{second.uuid}/", {"url": "ftp://x", "headers": ""})
    assert (wrong.status_code, "must be an http:// or https:// URL" in text_of(wrong)) == (422, True)
    answer = page.post(f"/deals/{second.uuid}/", {"url": url, "headers": "A: b\r\n\r\nC: d"})
    assert answer.status_code == 302
    piece = Deal.objects.get(pk=second.pk).piece
    assert piece is not None
    assert (piece.state, piece.source_url) == ("FETCHING", url)
    assert headers_decode(piece) == (("A", "b"), ("C", "d"))
    lines = AuditEntry.objects.filter(action="deal.fetch").order_by("pk")
    assert [line.target for line in lines] == [str(first.uuid), str(second.uuid)]


def test_a_market_is_closed_until_its_people_open_it(client: Client, miner: Miner) -> None:
    assert get(client, "miners/f02001/market").json()["is_open"] is False
    assert not MinerMarket.objects.exists()

    def patch(perm: str, values: dict[str, Any]) -> Any:
        return client.patch(
            "/api/v1/miners/f02001/market",
            values,
            content_type="application/json",
            headers=people.bearer(people.token(perm)),
        )

    values = {
        "is_open": True,
        "verified_price": "5",
        "clients_rule": "only",
        "clients": [CLIENT.replace("f1", "t1", 1)],
    }
    assert patch("write", values).status_code == 403
    found = patch("sign", values).json()

    assert (found["is_open"], found["verified_price"], found["clients"]) == (True, "5", [CLIENT])
    assert patch("sign", {"is_open": True}).json() == found
    entry = AuditEntry.objects.get(action="market.set")
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["is_open"], entry.after["is_open"]) == (False, True)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"least_size": 100}, "least_size"),
        ({"most_size": 3 << 30}, "most_size"),
        ({"least_size": 2048, "most_size": 1024}, "least_size"),
        ({"clients": ["nobody"]}, "clients"),
        ({"clients_rule": "some"}, "clients_rule"),
        ({"price": "-1"}, "price"),
        ({"prize": "1"}, "prize"),
    ],
)
def test_a_market_that_cannot_be_is_refused_by_its_field(
    client: Client, miner: Miner, values: dict[str, Any], field: str
) -> None:
    answer = client.patch(
        "/api/v1/miners/f02001/market",
        values,
        content_type="application/json",
        headers=people.bearer(people.token("sign")),
    )

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not MinerMarket.objects.exists()


def test_the_pages_show_how_far_a_deal_is_and_why_not_further(miner: Miner) -> None:
    people.person()
    browser = signed_in()
    assert "No deals yet" in text_of(browser.get("/deals/"))
    one = deal(miner, start_epoch=1500)
    failed = deal(miner, state="FAILED", reason="the source answered 404")

    listed, filtered = text_of(browser.get("/deals/")), text_of(browser.get("/deals/?state=FAILED"))

    assert "1 deal in progress" in listed
    assert "the source answered 404" in listed
    assert "waiting for its data" in listed
    assert "waiting for its data" not in filtered
    shown = text_of(browser.get(f"/deals/{one.uuid}/"))
    assert one.client in shown
    assert "1 500, in" in shown.replace("\u202f", " ")
    assert "Data may come until" in shown
    assert "the source answered 404" in text_of(browser.get(f"/deals/{failed.uuid}/"))


def test_a_state_that_is_none_is_refused(miner: Miner) -> None:
    people.person()
    shown = deal(miner)

    page = signed_in().get("/deals/?state=nonsense")

    assert page.status_code == 422
    assert "state: there is no such state" in text_of(page)
    assert str(shown.uuid) not in text_of(page)


@pytest.mark.usefixtures("contexts")
@pytest.mark.parametrize(
    ("query", "fits"),
    [("", {0, 1}), ("state=FAILED", {1}), ("state=FAILED&state=ACTIVE", {1}), ("miner=f02001", {0, 1})],
)
def test_the_list_and_rest_have_the_same_deals(
    client: Client, miner: Miner, query: str, fits: set[int]
) -> None:
    people.person()
    keys = [deal(miner).uuid, deal(miner, state="FAILED").uuid]

    page = signed_in().get(f"/deals/?{query}")
    told = get(client, f"deals?{query}").json()["results"]

    assert {line.row.row.uuid for line in page.context["lines"]} == {keys[number] for number in fits}
    assert {row["uuid"] for row in told} == {str(keys[number]) for number in fits}
    assert {one.key: one.count for one in page.context["bar"]["facets"]}["FAILED"] == "1"


def test_the_market_page_sets_what_it_shows(miner: Miner) -> None:
    people.person()
    browser = signed_in()
    assert "every proposal is refused." in text_of(browser.get("/miners/f02001/market/"))
    sent = {
        "is_open": "1",
        "price": "0.5",
        "least_size": "128 B",
        "most_size": "1 KiB",
        "clients_rule": "except",
        "clients": f"{CLIENT}\n{OTHER}",
        "waiting_deals": "7",
        "client_deals": "3",
        "publish_most": "4",
        "publish_base_fee": "2",
        "takes_put": "1",
        "libp2p_port": "24001",
    }

    assert browser.post("/miners/f02001/market/", sent).status_code == 302

    row = MinerMarket.objects.get()
    assert (row.is_open, row.price, row.most_size, row.clients) == (
        True,
        10**18 // 2,
        1024,
        [CLIENT, OTHER],
    )
    assert (row.takes_put, row.takes_http, row.waiting_deals, row.verified_price) == (True, False, 7, 0)
    assert (row.client_deals, row.publish_most, row.publish_wait, row.publish_base_fee) == (
        3,
        4,
        0,
        2 * 10**9,
    )
    assert "clients can propose deals." in text_of(browser.get("/miners/f02001/market/"))
    wrong = browser.post("/miners/f02001/market/", sent | {"clients": "nobody", "least_size": "3 KiB"})
    assert "nobody is not an address" in text_of(wrong)
    assert MinerMarket.objects.get().clients == [CLIENT, OTHER]
