"""The tenant and the miner in the address: chosen once, on every page, taken away by a click."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.urls import reverse

from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.messages.models import Message
from apps.proving.models import Deadline
from apps.sectors.models import ClaimsEnding, Sector, Store, StoreMove, Worker
from poolsite.filecoin.address import id_address
from tests import factories
from tests.demo_data import busy_pool
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person, principal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("contexts")]


@pytest.fixture
def two(db: None) -> tuple[Any, Any]:
    """Two tenants with a miner each."""
    operator_person()
    return busy_pool(), busy_pool("bob", key=2, actor_id=2002)


def links(shown: str) -> set[str]:
    """Return the addresses of the navigation."""
    return {html.unescape(one) for one in re.findall(r'class="nav-item"\s+href="([^"]*)"', shown)}


def test_what_is_chosen_comes_back_to_the_page_in_its_address(two: Any) -> None:
    browser, here = signed_in("olga"), reverse("scope")
    after = f"{reverse('sectors')}?state=active&miner=f02001&cursor=x"

    form = text_of(browser.get(here, {"next": after}))
    answer = browser.get(here, {"next": after, "go": "1", "tenant": "bob", "miner": "t02002"})

    assert 'name="tenant"' in form
    assert answer.headers["Location"] == f"{reverse('sectors')}?state=active&tenant=bob&miner=f02002"
    assert browser.get(here, {"next": after, "go": "1"}).headers["Location"] == (
        f"{reverse('sectors')}?state=active"
    )
    assert browser.get(here, {"next": "https://elsewhere.example/", "go": "1"}).headers["Location"] == "/"


def test_a_wrong_choice_is_refused_beside_its_field_and_stays(two: Any) -> None:
    browser, here = signed_in("olga"), reverse("scope")

    for given, reason in (
        ({"tenant": "carol"}, "there is no such tenant"),
        ({"miner": "f09999"}, "f09999"),
        ({"tenant": "alice", "miner": "f02002"}, "is a miner of another tenant"),
    ):
        answer = browser.get(here, {"next": "/gas/", "go": "1", **given})
        assert answer.status_code == 422
        assert reason in text_of(answer)


@pytest.mark.parametrize("name", ["sectors", "pieces", "messages", "deals"])
def test_a_list_shows_the_tenants_rows_alone(two: Any, name: str) -> None:
    shown = text_of(signed_in("olga").get(reverse(name), {"tenant": "bob"}))

    rows = "".join(re.findall(r"<tbody.*?</tbody>", shown, re.DOTALL))
    assert ("f02002" in rows or "bob" in rows) or name == "deals"
    assert "f02001" not in rows
    assert "alice" not in rows
    assert "Tenant bob" in shown
    assert "not used here" not in shown


@pytest.mark.parametrize(
    "name", ["sectors", "pieces", "deals", "sealing", "proving", "sectors-expirations", "messages"]
)
def test_a_page_of_miners_shows_the_chosen_one(two: Any, name: str) -> None:
    answer = signed_in("olga").get(reverse(name), {"miner": "f02002", "tenant": "bob"})

    shown = text_of(answer)
    assert answer.status_code == 200
    assert "Miner f02002" in shown
    assert "miner=f02002" in html.unescape(shown)


def test_each_page_of_the_navigation_opens_in_the_scope_and_keeps_it(two: Any) -> None:
    browser, scope = signed_in("olga"), "tenant=bob&miner=f02002"
    first = links(text_of(browser.get(f"{reverse('sectors')}?{scope}&state=active")))

    assert len(first) > 20
    assert {one.partition("?")[2] for one in first} == {scope}
    for href in sorted(first):
        answer = browser.get(href, follow=True)
        assert answer.status_code == 200, href
        shown = text_of(answer)
        assert {one.partition("?")[2] for one in links(shown)} == {scope}, href
        assert "Miner f02002" in shown, href
    assert "not used here" in text_of(browser.get(f"{reverse('chain')}?{scope}"))


def test_one_click_takes_it_away_and_leaves_the_rest(two: Any) -> None:
    shown = text_of(
        signed_in("olga").get(reverse("sectors"), {"tenant": "bob", "miner": "f02002", "state": "active"})
    )

    off = [html.unescape(one) for one in re.findall(r'class="scope-off"\s+href="([^"]*)"', shown)]
    assert off == [
        f"{reverse('sectors')}?state=active&miner=f02002",
        f"{reverse('sectors')}?state=active&tenant=bob",
    ]


def test_a_list_without_the_filter_keeps_the_scope_in_its_links(two: Any) -> None:
    shown = html.unescape(text_of(signed_in("olga").get(reverse("wallets"), {"miner": "f02002"})))

    chips = re.findall(r'class="facet"\s+href="([^"]*)"', shown)
    assert chips
    assert all("miner=f02002" in one for one in chips)
    assert '<input type="hidden" name="miner" value="f02002">' in shown


def test_somebody_of_a_tenant_has_only_his_own(two: Any) -> None:
    person("bill", of="bob")
    browser = signed_in("bill")

    form = text_of(browser.get(reverse("scope")))
    refused = browser.get(reverse("scope"), {"go": "1", "miner": "f02001"})
    foreign = text_of(browser.get(reverse("sectors"), {"tenant": "alice"}))

    assert 'name="tenant"' not in form
    assert "f02001" not in form
    assert refused.status_code == 422
    assert browser.get(reverse("scope"), {"go": "1", "tenant": "alice"}).status_code == 422
    assert "f02001" not in foreign[foreign.index("<main") :]


def test_chips_count_the_rows_of_the_scope(two: Any) -> None:
    browser, here = signed_in("olga"), reverse("pieces")

    def counts(**scope: str) -> dict[str, str]:
        found = browser.get(here, scope).context["bar"]["facets"]
        return {one.key: one.count for one in found if one.count not in (None, "0")}

    whole, of_bob = counts(), counts(tenant="bob")
    assert set(whole.values()) == {"2"}
    assert of_bob == dict.fromkeys(whole, "1")
    assert counts(miner="f02002") == of_bob
    assert counts(tenant="bob", state="FAILED") == of_bob


def test_a_sentence_of_all_rows_says_so_on_a_narrowed_page(two: Any) -> None:
    browser = signed_in("olga")

    for name in ("sectors", "pieces", "deals", "messages"):
        assert "Without this filter:" in text_of(browser.get(reverse(name), {"tenant": "bob"})), name
        assert "Without this filter:" not in text_of(browser.get(reverse(name))), name
    assert "Without this filter:" in text_of(browser.get(reverse("proving"), {"miner": "f02002"}))


def test_proving_shows_the_chosen_miner_alone_and_keeps_to_it(two: Any) -> None:
    browser, here = signed_in("olga"), reverse("proving")

    def rows(shown: str) -> set[str]:
        return {f"f0200{one}" for one in re.findall(r"/proving/f0200(\d)/", shown)}

    assert rows(text_of(browser.get(here))) == {"f02001", "f02002"}
    for spelling in ("f02002", "t02002"):
        assert rows(text_of(browser.get(here, {"miner": spelling}))) == {"f02002"}
    frame = fragments_render(
        {("deadline", str(row.pk)) for row in Deadline.objects.all()},
        viewer=principal("pool", is_operator=True),
        page="proving:f02002",
    )
    assert rows(frame) == {"f02002"}
    assert browser.get(here, {"miner": "f09999"}).status_code == 404


def test_money_of_one_miner_does_not_claim_to_be_of_another(two: Any) -> None:
    browser, here = signed_in("olga"), reverse("miner-money", args=["f02001"])

    assert "not used here" in text_of(browser.get(here, {"miner": "f02002"}))
    assert "not used here" not in text_of(browser.get(here, {"miner": "f02001"}))


def test_the_clients_of_claims_are_those_of_the_scope(two: Any) -> None:
    for pool in two:
        ClaimsEnding.objects.create(miner=pool.miner, clients=[[1010, 1, 1 << 20]], due_at=now())
    browser, here = signed_in("olga"), reverse("claims")

    def claims(**scope: str) -> list[str]:
        return [one.count for one in browser.get(here, scope).context["clients"]]

    assert claims() == ["2"]
    assert claims(tenant="bob") == claims(miner="t02002") == claims(tenant="bob", miner="f02002") == ["1"]
    assert claims(tenant="alice", miner="f02002") == []
    [row] = browser.get(here, {"tenant": "bob"}).context["clients"]
    assert row.href.startswith(f"{here}?tenant=bob&client=")


def test_the_cards_of_today_lead_to_the_lists_in_the_scope(two: Any) -> None:
    lists = {reverse(name) for name in ("miners", "sectors", "messages", "wallets", "hosts")}

    def leading(shown: str) -> set[str]:
        return {html.unescape(one) for one in re.findall(r'<a class="push s" href="([^"]*)"', shown)}

    page = text_of(signed_in("olga").get("/?tenant=bob&miner=f02002"))
    pushed = fragments_render(
        {(kind, "1") for kind in ("head", "sector", "message", "wallet", "job")},
        viewer=principal("pool", is_operator=True),
        page="today:tenant=bob&miner=f02002",
    )

    assert leading(page) == leading(pushed) == {f"{one}?tenant=bob&miner=f02002" for one in lists}
    assert "page=today%3Atenant%3Dbob%26miner%3Df02002" in page
    assert leading(text_of(signed_in("olga").get("/"))) == lists


def test_all_in_progress_is_all_of_the_chosen_miner(two: Any) -> None:
    for number in (2001, 2002):
        factories.message(to=str(id_address(number)), from_addr=factories.bls(101))
    browser, given = signed_in("olga"), {"miner": "f02002"}

    shown = browser.get(reverse("messages"), given)
    bar = shown.context["bulk"]
    review = browser.post(
        reverse("messages-bulk", args=["mark-bad"]), {**dict(bar.filter), "all": "1"}, follow=True
    )

    keys = [text for name, text in review.context["fields"] if name == "id"]
    reviewed = Message.objects.filter(pk__in=keys)
    assert ("miner", "f02002") in bar.filter
    assert {row.to for row in reviewed} == {"f02002"}
    assert "miner=f02002" in review.context["back"]
    assert browser.get(reverse("messages"), {"miner": "x"}).status_code == 422


def test_a_search_on_a_page_keeps_the_scope(two: Any) -> None:
    browser = signed_in("olga")
    for name in (
        *("gas", "chain", "multisigs", "planner", "sealing"),
        *("host-settings", "search"),
    ):
        shown = html.unescape(text_of(browser.get(reverse(name), {"tenant": "bob", "miner": "f02002"})))

        forms = [form for form in re.findall(r"<form.*?</form>", shown, re.DOTALL) if 'method="get"' in form]
        assert len(forms) == 3, name  # the palette, the search of the bar, the page's own
        for form in forms:
            parts = form + "".join(re.findall(rf'<select[^>]* form="f-{name}"[^>]*>', shown))
            is_kept = all(f'name="{one}"' in parts for one in ("tenant", "miner"))
            assert is_kept or 'id="palette-q"' in form, form
        chips = re.findall(r'class="facet"\s+href="([^"]*)"', shown)
        assert all("tenant=bob" in chip and "miner=f02002" in chip for chip in chips), chips


def test_links_to_all_of_a_card_keep_the_scope(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, scope = signed_in("olga"), "tenant=bob&miner=f02002"
    monkeypatch.setattr("apps.dashboard.pages.storage.move_list.NEWEST", 1)
    monkeypatch.setattr("apps.dashboard.pages.approvals.page.SHOWN_MAX", 0)
    factories.message(needs_approval=True)
    store, other = Store.objects.filter(tenant__name="bob").order_by("pk")[:2]
    worker = Worker.objects.filter(tenant__name="bob")[0]
    for sector in Sector.objects.filter(miner__tenant__name="bob")[:2]:
        StoreMove.objects.create(sector=sector, actor="ann", from_store=store, to_store=other, worker=worker)

    def to(name: str, page: str, *args: Any) -> set[str]:
        shown = html.unescape(text_of(browser.get(f"{reverse(page, args=args)}?{scope}")))
        return set(re.findall(rf'href="({reverse(name)}\?[^"]*)"', shown))

    moves = {f"{reverse('store-moves')}?store={store.uuid}&{scope}"}
    assert to("sign-records", "wallets") == {f"{reverse('sign-records')}?{scope}"}
    assert to("store-moves", "store", store.uuid) == moves
    pushed = fragments_render(
        {("store", str(store.uuid))},
        viewer=principal("pool", is_operator=True),
        page=f"store:{store.uuid}?{scope}",
    )
    assert f'href="{moves.pop()}"' in html.unescape(pushed)
    assert f"{reverse('messages')}?state=approval&{scope}" in html.unescape(
        text_of(browser.get(f"{reverse('approvals')}?{scope}"))
    )
