"""Lists that grow with a pool have pages: each row once, in the list's order, whatever the address says."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urljoin

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.gateway.selectors.connections import connections_open
from apps.miners.states import RoleKind
from apps.sectors.models import SectorAdoption, StoreCheck, StoreMove, StoreScan
from apps.users.models import User
from poolsite.wire.pipeline import SectorState
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db
MODULES = (
    *("pagination", "pages.wallets.records", "pages.storage.move_list"),
    "pages.hosts.listing",
)


@pytest.fixture(autouse=True)
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages of two rows."""
    for module in MODULES:
        monkeypatch.setattr(f"apps.dashboard.{module}.ROWS", 2, raising=False)
    monkeypatch.setattr("apps.dashboard.pages.miners.role_matrix.MINERS_SHOWN", 2)


def pages(browser: Client, here: str, row: str, *, field: str = "after") -> list[list[str]]:
    """What a pattern finds on each page, from the first to the last."""
    found = []
    while True:
        text = text_of(browser.get(here))
        found.append(re.findall(row, text))
        older = [
            href.replace("&amp;", "&")
            for href in re.findall(r'rel="next" href="([^"]+)"', text)
            if re.search(rf"[?;]{field}=[^;]+$", href.replace("&amp;", ";"))
        ]
        if not older:
            return found
        here = urljoin(here, *older)


def test_connections(ann: None) -> None:
    for number in range(3):
        factories.signer_connection(factories.bls(number), created_at=now() + timedelta(seconds=number))
    for number in range(2):
        factories.prover_connection(2000 + number)
    browser = signed_in()

    found = pages(browser, reverse("gateway"), r'id="f-connection-[0-9a-f-]+"')

    assert [len(page) for page in found] == [2, 2, 1]
    assert len({row for page in found for row in page}) == 5
    assert "3 signers and 2 provers connected." in text_of(browser.get(reverse("gateway")))


def test_a_later_page_of_connections_stays_when_somebody_comes(ann: None) -> None:
    for number in range(3):
        factories.signer_connection(factories.bls(number), created_at=now() + timedelta(seconds=number))
    text = text_of(signed_in().get(reverse("gateway")))
    [query] = re.findall(r'rel="next" href="\?after=([^"]+)"', text)
    newcomer = factories.signer_connection(factories.bls(3), created_at=now() + timedelta(minutes=1))

    shown = fragments_render({("signer", "1")}, viewer=people.principal(), page=f"gateway:{unquote(query)}")

    assert shown.count("<tbody") == 2
    assert f"f-connection-{newcomer.pk}" in shown


def test_several_connections_are_read_as_one_is(ann: None) -> None:
    keys = [str(factories.signer_connection(factories.bls(number)).pk) for number in range(3)]
    keys += [str(factories.prover_connection(2000 + number).pk) for number in range(3)]
    counts = []
    for wanted in (keys[2:4], keys):
        with CaptureQueriesContext(connection) as queries:
            found = list(connections_open(people.principal(), keys=wanted))
        assert {str(row.pk) for row in found} == {*wanted}
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_people_and_the_sentence_above_counts_those_of_all_pages() -> None:
    people.operator_person()
    for number in range(4):
        people.person(f"person-{number}")
    people.person("gone")
    User.objects.filter(username="gone").update(is_active=False)
    browser = signed_in("olga")

    found = pages(browser, reverse("people"), r'<th scope="row" class="c-name">([\w-]+)</th>', field="cursor")

    names = [name for page in found for name in page]
    assert names == ["gone", "olga", *(f"person-{number}" for number in range(4))]
    text = text_of(browser.get(reverse("people")))
    assert "5 active accounts." in text
    assert "5 have no second factor." in text


def test_miners_by_power(ann: None) -> None:
    for number in range(5):
        factories.miner(2000 + number, qa_power=number << 30)

    found = pages(signed_in(), reverse("miners"), r'<tbody id="f-miner-(\d+)"', field="cursor")
    names = pages(signed_in(), reverse("miners"), r'id="name-\d+" href="/miners/(f0\d+)/"', field="cursor")

    assert [len(page) for page in found] == [2, 2, 1]
    assert [name for page in names for name in page] == ["f02004", "f02003", "f02002", "f02001", "f02000"]


def test_hosts_and_miners_of_the_role_matrix(ann: None) -> None:
    miners = [factories.miner(2000 + number) for number in range(5)]
    for number, miner in enumerate(miners[:3]):
        factories.role(miner, f"rack-{number}", RoleKind.SEAL)
    browser, here = signed_in(), reverse("roles")

    hosts = pages(browser, here, r'class="c-name">(rack-\d)<')
    heads = pages(browser, here, r'<th scope="col"><a href="[^"]+">(f0\d+)</a>', field="miners")
    others = pages(browser, here, r'data-size="s" href="/miners/(f0\d+)/roles/"', field="without")

    assert hosts == [["rack-0", "rack-1"], ["rack-2"]]
    assert heads == [["f02000", "f02001"], ["f02002"]]
    assert others == [["f02003", "f02004"]]
    text = text_of(browser.get(here))
    last = re.findall(r'href="(\?miners=[^"]+)"', text)[0]
    both = text_of(browser.get(here + last))
    assert "f02002" in both
    assert "rack-0" in both


def test_sign_records(ann: None) -> None:
    at = now()
    own = factories.wallet(factories.bls(1), label="worker")
    for number in range(5):
        refused = {"error": "no rule allows it"} if number % 2 else {}
        moment = at + timedelta(seconds=number // 2)
        factories.sign_record(own.address, what=f"record-{number}", at=moment, **refused)
    factories.sign_record(factories.bls(2), what="record-9", at=at - timedelta(days=2))
    browser, here = signed_in(), reverse("sign-records")

    def shown(query: str) -> list[list[str]]:
        return pages(browser, f"{here}?{query}", r">(record-\d)<", field="cursor")

    assert shown("") == [["record-4", "record-3"], ["record-2", "record-1"], ["record-0", "record-9"]]
    assert shown("state=refused") == [["record-3", "record-1"]]
    assert shown("wallet=Worker&state=signed") == [["record-4", "record-2"], ["record-0"]]
    assert shown(f"wallet={factories.bls(2)}") == shown(f"until={at - timedelta(days=1):%Y-%m-%d}")
    assert shown("tenant=bob") == [[]]
    assert "no rule allows it" in browser.get(f"{here[:-1]}.csv?state=refused").getvalue().decode()
    assert f"{here}?tenant=alice" in text_of(browser.get(f"{reverse('wallets')}?tenant=alice"))
    assert f'<a href="{reverse("wallets")}">Wallets</a>' in text_of(browser.get(here))


def moved() -> Any:
    """A store with five moves."""
    box = factories.worker("box")
    store, other = factories.store(box, "disk"), factories.store(box, "other")
    miner = factories.miner(2001)
    for number in range(5):
        StoreMove.objects.create(
            sector=factories.sector(miner, number=number, state=SectorState.PROVING),
            worker=box,
            from_store=store,
            to_store=other,
        )
    return store


def test_moves_of_a_store(ann: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.pages.storage.move_list.NEWEST", 2)
    store, other = moved(), StoreMove.objects.all()[0].to_store
    factories.store(factories.worker("den", of="bob"), "disk")
    last = StoreMove.objects.get(sector__number=0)
    StoreMove.objects.filter(pk=last.pk).update(state="FAILED", error="disk full")
    browser, here = signed_in(), reverse("store-moves")

    def shown(query: str) -> list[list[str]]:
        return pages(browser, f"{here}?{query}", r"f02001 / (\d)", field="cursor")

    assert shown(f"store={store.uuid}") == [["4", "3"], ["2", "1"], ["0"]]
    assert shown(f"store={other.name}&state=FAILED&miner=f02001&tenant=alice") == [["0"]]
    assert "disk full" in text_of(browser.get(f"{here}?state=FAILED"))
    assert shown("tenant=bob") == [[]]
    unknown = browser.get(f"{here}?store=nowhere")
    assert (unknown.status_code, "store: there is no store nowhere here" in text_of(unknown)) == (422, True)
    assert f'<a href="{reverse("stores")}">Storage</a>' in text_of(unknown)
    assert ",disk,other,box,FAILED,disk full," in browser.get("/storage/moves.csv").getvalue().decode()
    text = text_of(browser.get(reverse("store", args=[store.uuid])))
    assert f"{here}?store={store.uuid}" in text
    assert re.findall(r"f02001 / (\d)", text) == ["4", "3"]


@pytest.mark.parametrize("kind", ["moves", "store-moves", "checks", "scans", "adoptions"])
def test_over_rest_a_cursor_leads_to_all(client: Client, kind: str) -> None:
    store = moved()
    miner = StoreMove.objects.all()[0].sector.miner
    box = store.attachments.get().worker
    for _ in range(5):
        StoreCheck.objects.create(store=store, worker=box, state="DONE", bytes_s=1)
        StoreScan.objects.create(store=store, worker=box, state="DONE")
        SectorAdoption.objects.create(miner=miner, runs=[0, 1], total=1, state="DONE", actor="ann")
    headers = people.bearer(people.token("read"))
    heres = {"adoptions": f"/api/v1/miners/f02001/{kind}", "store-moves": f"/api/v1/{kind}"}
    here = heres.get(kind, f"/api/v1/stores/{store.uuid}/{kind}")

    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get(f"{here}?limit=2&cursor={cursor}", headers=headers).json()
        found += [one["uuid"] for one in page["results"]]
        cursor = page["next"]

    assert len(found) == len(set(found)) == 5
    assert client.get(here, {"cursor": "forged"}, headers=headers).status_code == 400
