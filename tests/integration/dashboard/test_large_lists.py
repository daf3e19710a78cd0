"""Pages Hosts and Storage: a page at a time, by the states that each row shows."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.core.clock import now
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.state import worker_label
from apps.dashboard.pages.storage.listing import checked_rows
from apps.sectors.models import SectorCopy, Store, Worker
from apps.sectors.selectors.host_speed import host_speeds
from apps.sectors.selectors.host_states import host_marks, hosts_stated
from apps.sectors.selectors.hosts import workers_visible
from apps.sectors.selectors.store_states import RANKS, stores_by_state, stores_stated
from apps.sectors.selectors.stores import stores_visible
from apps.users.rules.principals import SYSTEM
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import person, principal

pytestmark = pytest.mark.django_db
FULL = {"disk_free_bytes": 1 << 30, "disk_total_bytes": 1 << 40}
LOW = {"disk_free_bytes": 1 << 36, "disk_total_bytes": 1 << 40}
DISK = {"folder": "/b", "sealing": {"reason": ""}, "free_bytes": 1, "total_bytes": 1 << 40}
STATES = {
    "run": "working",
    "ok": "idle",
    "bad": "trouble",
    "warn": "trouble",
}


def hosts() -> None:
    """One host in each state, some in several at once."""
    factories.network()
    factories.head(1000)
    miner = factories.miner(1000)
    factories.worker("away", seen_at=now() - timedelta(hours=1), hardware=FULL)
    factories.worker("full", hardware=FULL, is_paused=True)
    factories.worker("low", hardware=LOW)
    factories.worker("sealing-low", hardware={**FULL, "disk_free_bytes": 1 << 39, "disks": [DISK]})
    factories.worker("paused", is_paused=True)
    factories.worker("draining", is_draining=True)
    factories.worker("unable", hardware={"parameters_error": "no file"})
    factories.worker("warming", hardware={"kernels_done": 1, "kernels_total": 2})
    factories.worker("idle")
    factories.worker("no-size", hardware={"disks": [{"sealing": {"reason": "gone", "total_bytes": 0}}]})
    working = factories.worker("working", hardware={"parameters_error": "no file"})
    factories.sector(miner, held_by=working)
    for name, span_s in (("quick", 2.0), ("quicker", 2.0), ("slow", 9.0)):
        host = factories.worker(name)
        for _ in range(3):
            factories.events(factories.sector(miner), [("PC1", "PC1", span_s)], worker=host)


@pytest.mark.parametrize("who", ["pool", "bob", "a miner"])
def test_the_database_states_each_host_as_its_row_does(who: str) -> None:
    viewer = {"pool": SYSTEM, "bob": principal("bob"), "a miner": principal(miners=(77,))}[who]
    hosts()
    at, speeds = now(), host_speeds(viewer)
    slow = [pk for pk, speed in speeds.items() if speed.slow is not None]

    stated = {row.name: row for row in hosts_stated(viewer, host_marks(viewer, slow=slow, now=at), now=at)}

    visible = list(workers_visible(viewer))
    assert set(stated) == {worker.name for worker in visible}
    for worker in visible:
        label = worker_label(worker, now=at, pace=speeds.get(worker.pk))
        word = "paused" if label.icon == "pause" else STATES[label.tone]
        row: Any = stated[worker.name]
        assert (row.state, row.rank) == (word, RANKS.get(label.tone, 2)), (worker.name, label.word)


def stores() -> None:
    """Stores in each condition, with and without provers, silent hosts and damaged copies."""
    prover = factories.worker("prover", kinds=[str(JobKind.WINDOW_POST)])
    sealer, other = factories.worker("sealer"), factories.worker("other")
    gone = factories.worker("gone", seen_at=now() - timedelta(hours=1))
    for condition in StoreCondition:
        factories.store(prover, f"of-{condition}", condition=condition)
    factories.store(prover, "set", condition=StoreCondition.READ_ONLY, rules={"is_read_only": True})
    factories.store(sealer, "unproven")
    factories.store(sealer, "empty", sectors=0)
    factories.store(gone, "silent", sectors=0)
    factories.store(sealer, "mixed", condition=StoreCondition.AWAY)
    factories.store(other, "mixed", condition=StoreCondition.FULL)
    factories.store(prover, "mixed", condition=StoreCondition.BAD_MARK)
    factories.store(prover, "damaged")
    Store.objects.create(tenant=prover.tenant, uid="alone", name="alone")
    Store.objects.filter(name__in=["set", "empty"]).update(labels=["cold"])
    row = factories.sector(factories.miner(), state=SectorState.PROVING, active=True, store="damaged")
    bad = Store.objects.get(name="damaged")
    SectorCopy.objects.create(sector=row, store=bad, condition="BAD", files=[], found_at=now())


def test_the_database_gives_each_store_the_tone_of_its_row() -> None:
    stores()
    at = now()

    stated: dict[str, Any] = {row.name: row for row in stores_stated(stores_visible(SYSTEM, now=at), now=at)}

    rows = checked_rows(list(stores_visible(SYSTEM, now=at)), now=at)
    assert {row.row.name: row.tone for row in rows} == {name: row.tone for name, row in stated.items()}
    assert stores_by_state(stores_stated(stores_visible(SYSTEM, now=at), now=at))[""] == len(rows)
    assert stores_by_state(stores_stated(stores_visible(principal("bob"), now=at), now=at))[""] == 0


def test_stores_have_pages_and_filters_in_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.dashboard.pagination.ROWS", 3)
    stores()
    person()
    browser, here = signed_in(), reverse("stores")
    pages, query = [], "?"
    while query:
        answer = browser.get(here + query)
        pages.append(names_in(answer))
        older = re.search(r'rel="next" href="([^"]+)"', answer.content.decode())
        query = older[1].replace("&amp;", "&") if older is not None else ""

    shown = [name for page in pages for name in page]
    assert {len(page) for page in pages[:-1]} == {3}
    assert sorted(shown) == sorted(Store.objects.values_list("name", flat=True))
    tones = {row.row.name: row.tone for row in checked_rows(stores_visible(SYSTEM, now=now()), now=now())}
    ranks = [{"bad": 0, "warn": 1}.get(tones[name], 2) for name in shown]
    assert ranks == sorted(ranks)
    assert names_in(browser.get(here, {"label": "cold"})) == ["empty", "set"]
    assert names_in(browser.get(here, {"state": "readonly"})) == ["of-READ_ONLY", "set"]
    assert names_in(browser.get(here, {"q": "of-read_"})) == ["of-READ_ONLY"]
    assert browser.get(here, {"state": "nonsense"}).status_code == 422
    assert "No matching stores" in text_of(browser.get(here, {"label": "hot"}))


def names_in(answer: Any) -> list[str]:
    """The stores of a page, as they stand."""
    return re.findall(r'<a href="/storage/[0-9a-f-]{36}/">([^<]+)</a>', answer.content.decode())


@pytest.mark.parametrize("page", ["hosts", "stores", "today", "store-attach", "sealing"])
def test_a_page_asks_as_much_of_many_hosts_and_stores(page: str) -> None:
    person()
    hosts()
    stores()
    browser = signed_in()
    browser.get(reverse(page))
    few = asked(browser, page)
    for number in range(60):
        factories.store(factories.worker(f"more-{number}"), f"more-{number}")

    many = asked(browser, page)

    assert len(many) <= len(few), sorted(set(many) - set(few))
    assert Worker.objects.count() > 60


def asked(browser: Any, page: str) -> list[str]:
    """The statements of a page."""
    with CaptureQueriesContext(connection) as made:
        assert browser.get(reverse(page)).status_code == 200
    return [one["sql"] for one in made]


def test_no_page_reads_all_hosts_or_stores_as_rows() -> None:
    """What checks and pages share has no list of them."""
    assert not hasattr(PageData, "workers")
    assert not hasattr(PageData, "stores")
