"""A noun's filters: read in the same way from an address, a form and a request, and refused by name."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from apps.core.clock import now
from apps.core.errors import BadValue
from apps.dashboard.live_fragments import fragments_render
from apps.dashboard.pages.senders.rows import SenderList
from apps.miners.errors import MinerUnknown
from apps.sectors.selectors.sector_filters import SectorFilters
from apps.sectors.selectors.sectors import sectors_visible
from apps.users.models import Tenant, Token
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline import STATE_OF_STAGE, SectorState
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]
WRONG = (
    ("colour=red", "colour", "there is no such filter"),
    ("state=asleep", "state", "there is no such state"),
    ("stage=PC9", "stage", "there is no such stage"),
    ("active=perhaps", "active", "must be true or false"),
    ("number=-1", "number", "must be a whole number of at least 0"),
    ("store=a&store=b", "store", "is given more than once"),
)


def numbers(query: str) -> set[int]:
    found = SectorFilters(QueryDict(query), sectors_visible(SYSTEM), viewer=SYSTEM)
    return {row.number for row in found.rows()}


@pytest.mark.parametrize(("query", "field", "reason"), WRONG)
def test_what_is_no_filter_is_refused_by_page_csv_and_rest_alike(
    ann: None, query: str, field: str, reason: str
) -> None:
    with pytest.raises(BadValue) as refusal:
        numbers(query)
    assert (refusal.value.field, refusal.value.reason) == (field, reason)
    browser = signed_in()

    page, taken = browser.get(f"/sectors/?{query}"), browser.get(f"/sectors.csv?{query}")
    told = browser.get(f"/api/v1/sectors?{query}")

    assert page.status_code == taken.status_code == 422
    assert told.status_code == 400
    assert reason in text_of(page)
    assert "Show all" in text_of(page)
    assert 'id="f-page"' not in text_of(page), "a refusal is not fetched again"
    assert taken.content == f"{field}: {reason}".encode()
    assert (told.json()["field"], told.json()["message"]) == (field, reason)


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("", {1, 2, 3}),
        ("state=active", {1}),
        ("state=active&state=PC1_DONE", {1, 2}),
        ("state=work", {2, 3}),
        ("stage=PC2", {2}),
        ("stage=PC2&state=PROVING", {1, 2}),
        ("paused=true", {3}),
        ("paused=0&active=false", {2}),
        ("miner=f02001&number=2", {2}),
        ("store=disk-1&q= f02001-1 ", {1}),
        ("q=disk-1", {1}),
        ("state=", {1, 2, 3}),
    ],
)
def test_a_page_its_csv_rest_and_live_rows_have_the_same_rows(ann: None, query: str, fits: set[int]) -> None:
    miner = factories.miner(2001)
    rows = {
        1: factories.sector(miner, number=1, state=SectorState.PROVING, active=True, store="disk-1"),
        2: factories.sector(miner, number=2, state=SectorState.PC1_DONE),
        3: factories.sector(miner, number=3, state=SectorState.ALLOCATED, paused_at=now()),
    }
    browser = signed_in()

    page = {line.row.row.number for line in browser.get(f"/sectors/?{query}").context["lines"]}
    told = {row["number"] for row in browser.get(f"/api/v1/sectors?{query}").json()["results"]}
    lines = text_of(browser.get(f"/sectors.csv?{query}")).splitlines()[1:]
    keys = {("sector", str(row.uuid)) for row in rows.values()}
    frame = fragments_render(keys, viewer=people.principal(), page=f"sectors:{query}")
    live = {number for number, row in rows.items() if f'{row.uuid}" data-order' in frame}

    assert numbers(query) == page == told == live == {int(line.split(",")[2]) for line in lines} == fits


def test_a_miner_that_the_viewer_does_not_see_is_named() -> None:
    with pytest.raises(MinerUnknown):
        numbers("miner=f02001")


def test_filters_of_a_page_ask_nothing_that_it_has_read_already(ann: None) -> None:
    factories.head(1000)
    browser, counts = signed_in(), []
    browser.get("/sectors/")
    for query in ("", "state=expiring", "state=changing", "state=active&store=x"):
        with CaptureQueriesContext(connection) as queries:
            browser.get(f"/sectors/?{query}")
        counts.append(len(queries))

    assert len({*counts}) == 1, counts


def test_several_states_go_along_to_further_pages_chips_and_acts(
    ann: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = factories.miner(2001)
    for number, stage in enumerate(("PC1", "PC2") * 2):
        factories.sector(miner, number=number, state=STATE_OF_STAGE[stage])
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    browser, query, found = signed_in(), "?stage=PC1&stage=PC2", []
    while query:
        page = browser.get(f"/sectors/{query}")
        found += [line.row.row.number for line in page.context["lines"]]
        query = page.context["pager"].older
    text = text_of(page)

    assert found == [3, 2, 1, 0]
    assert 'href="/sectors/?state=active&amp;stage=PC1&amp;stage=PC2"' in text
    for stage in ("PC1", "PC2"):
        assert f'<input type="hidden" name="stage" value="{stage}">' in text[text.index('id="selection"') :]


def test_a_change_of_what_a_viewer_does_not_see_lays_out_no_row(
    ann: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SenderList, "rows", lambda _list, rows: pytest.fail(f"laid out {rows}"))

    assert fragments_render({("sender", "999")}, viewer=people.principal(), page="senders")


def test_a_list_that_is_read_whole_is_put_in_order_by_its_heads(ann: None) -> None:
    for number, faulty, active in ((2001, 1, 7), (2002, 3, 5), (2003, 2, 6)):
        factories.miner(number, qa_power=number, faulty_sectors=faulty, active_sectors=active)
    browser = signed_in()

    def order(query: str) -> list[str]:
        return re.findall(r'id="name-\d+" href="/miners/(f0\d+)/"', text_of(browser.get(f"/miners/{query}")))

    assert order("") == ["f02003", "f02002", "f02001"]
    assert order("?sort=faults") == order("?sort=-sectors") == ["f02001", "f02003", "f02002"]
    text = text_of(browser.get("/miners/?sort=-faults"))
    assert '<a href="?sort=faults">Faults</a>' in text
    assert text.count('aria-sort="descending"') == 1


@pytest.mark.parametrize("path", ["/miners/?colour=red", "/senders/?state=paused", "/senders.csv?q=x"])
def test_a_list_without_filters_refuses_them_all(ann: None, path: str) -> None:
    answer = signed_in().get(path)

    assert answer.status_code == 422
    assert "there is no such filter" in text_of(answer)


@pytest.mark.parametrize(
    "query", ["sort=colour", "sort=-host", "sort=number&sort=state", "hide=colour", "hide=number"]
)
def test_an_order_or_a_column_that_a_list_has_not_is_refused(ann: None, query: str) -> None:
    browser = signed_in()

    page, taken = browser.get(f"/sectors/?{query}"), browser.get(f"/sectors.csv?{query}")

    assert page.status_code == taken.status_code == 422
    assert "Show all" in text_of(page)


def test_a_list_without_end_is_put_in_order_page_by_page(ann: None, monkeypatch: pytest.MonkeyPatch) -> None:
    miner = factories.miner(2001)
    for number, expiration in enumerate((30, None, 10, 20, None)):
        factories.sector(miner, number=number, expiration=expiration)
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    browser = signed_in()
    found: dict[str, list[int]] = {}
    for sort in ("expires", "-expires"):
        query, found[sort] = f"?sort={sort}", []
        while query:
            page = browser.get(f"/sectors/{query}")
            found[sort] += [line.row.row.number for line in page.context["lines"]]
            query = page.context["pager"].older
    taken = text_of(browser.get("/sectors.csv?sort=expires")).splitlines()[1:]

    assert found == {"expires": [2, 3, 0, 4, 1], "-expires": [0, 3, 2, 4, 1]}
    assert [int(line.split(",")[2]) for line in taken] == found["expires"]
    assert page.context["pager"].span == "5 of 5"
    assert page.context["oldest"] is None, "what is new is not above a list in another order"


def test_more_rows_than_are_counted_are_not_put_in_order(ann: None, monkeypatch: pytest.MonkeyPatch) -> None:
    miner, other = factories.miner(2001), factories.miner(2002)
    for number in range(3):
        factories.sector(miner, number=number)
    factories.sector(other)
    monkeypatch.setattr("apps.dashboard.list_page.COUNT_MAX", 2)
    browser = signed_in()

    refused = browser.get("/sectors/?sort=number")

    assert refused.status_code == 422
    assert "sort: more than 2 rows fit: narrow the list, then sort it" in text_of(refused)
    assert browser.get("/sectors/?sort=number&miner=f02002").status_code == 200


def test_chips_count_their_rows_beside_the_other_filters_up_to_a_limit(
    ann: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.dashboard.pagination.CHIP_MAX", 2)
    for miner, many in ((factories.miner(2001), 1), (factories.miner(2002), 3)):
        for number in range(many):
            factories.sector(miner, number=number, state=SectorState.PROVING, active=True)
    browser = signed_in()

    def count(query: str) -> dict[str, str | None]:
        facets = browser.get(f"/sectors/{query}").context["bar"]["facets"]
        return {one.key: one.count for one in facets if one.key in ("active", "sealed")}

    assert count("") == {"active": "2+", "sealed": "0"}
    assert count("?miner=f02001&state=sealed") == {"active": "1", "sealed": "0"}


def test_after_is_a_time_and_was_the_place_in_the_list(ann: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 2)
    rows = [factories.message(f"m{number}") for number in range(4)]
    query = urlencode({"after": rows[0].created_at.isoformat()})
    browser = signed_in()

    first = browser.get(f"/messages/?{query}")
    second = browser.get(f"/messages/{first.context['pager'].older}")
    told = browser.get(f"/api/v1/messages?{query}").json()["results"]
    # A page that was open before the cursor got a name of its own.
    older = parse_qs(browser.get("/messages/").context["pager"].older[1:])["cursor"][0]
    third = browser.get("/messages/", {"after": older})
    wrong = browser.get("/messages/?after=yesterday")

    shown = [line.row.row.push_id for page in (first, second) for line in page.context["lines"]]
    assert shown == [row["id"] for row in told] == ["m3", "m2", "m1"]
    assert [line.row.row.push_id for line in third.context["lines"]] == ["m1", "m0"]
    assert wrong.status_code == 422
    assert "after: not a valid time" in text_of(wrong)


@pytest.mark.parametrize(
    ("typed", "fits"),
    [
        ("77", {"by allocation"}),
        ("88", {"by deal", "by sector"}),
        ("f01010", {"by allocation"}),
        ("{cid}", {"by sector"}),
        ("{uuid}", {"by deal"}),
        ("f1nonsense", set()),
        ("9" * 30, set()),
    ],
)
def test_a_piece_is_found_by_what_is_typed(ann: None, typed: str, fits: set[str]) -> None:
    miner = factories.miner(2001, of="alice")
    rows = {
        "by allocation": factories.piece(miner, client=1010, allocation=77),
        "by deal": factories.piece(miner, deal=88),
        "by sector": factories.piece(miner, state="PACKED", sector_number=88, offset=0),
    }
    query = urlencode({"q": typed.format(cid=rows["by sector"].piece_cid, uuid=rows["by deal"].uuid)})
    browser = signed_in()

    page = {line.row.row.uuid for line in browser.get(f"/pieces/?{query}").context["lines"]}
    told = {row["uuid"] for row in browser.get(f"/api/v1/pieces?{query}").json()["results"]}

    assert page == {rows[name].uuid for name in fits}
    assert told == {str(rows[name].uuid) for name in fits}


def test_tokens_and_tenants_are_found_by_a_part_of_their_name(db: None) -> None:
    people.operator_person()
    people.token(of="alice")
    people.token("read", of="bob")
    Tenant.objects.filter(name="bob").update(comment="the East farm")
    browser = signed_in("olga")

    def names(noun: str, typed: str) -> list[set[str]]:
        query = urlencode({"q": typed})
        lines = browser.get(f"/{noun}/?{query}").context["lines"]
        told = browser.get(f"/api/v1/{noun}?{query}&limit=10&offset=0").json()["results"]
        return [
            {str(getattr(line.row, "row", line.row).name) for line in lines},
            {row["name"] for row in told},
        ]

    [hint] = Token.objects.filter(name="bob-read").values_list("hint", flat=True)
    for noun, typed, fits in (
        ("tokens", "READ", "bob-read"),
        ("tokens", "alic", "alice-write"),
        ("tokens", f"…{hint}", "bob-read"),
        ("tenants", "BO", "bob"),
        ("tenants", "east", "bob"),
    ):
        assert names(noun, typed) == [{fits}, {fits}], (noun, typed)
    assert "No matching tokens" in text_of(browser.get("/tokens/?q=nobody"))
    assert browser.get("/tenants/?colour=red").status_code == 422
    assert browser.get("/api/v1/tokens?colour=red").status_code == 400
