"""Scans the whole way: a real host lists a real store, what was lost is found again, leftovers go."""

from __future__ import annotations

import shutil
from threading import Event
from typing import Any

import pytest
from django.urls import reverse

from apps.sectors.models import Sector, StoreFinding, StoreScan, WorkerCommand
from apps.users.models import AuditEntry
from tests.integration.stores.conftest import Farm
from tests.integration.stores.store_scans import found, no_chain
from tests.page_client import signed_in, text_of
from tests.people import bearer, person, token
from workers.storage import store_orders
from workers.storage.store_scan import sectors_scan


def is_over() -> bool:
    return not WorkerCommand.objects.filter(done_at=None).exists()


def test_what_was_lost_is_found_and_adopted_and_leftovers_go(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_chain(monkeypatch)
    one, other = farm.sectors
    Sector.objects.filter(pk=one.pk).update(store="")
    for kind in ("sealed", "cache"):
        shutil.move(farm.path(kind, other), farm.folder / f"lost-{kind}")
    half = farm.root / "cache" / "s-t01000-700"
    half.mkdir()
    (half / "p_aux").write_bytes(bytes(64))
    (farm.root / "cache" / "notes.txt").write_text("what")
    assert farm.ask("POST", "scans").json()["state"] == "RUNNING"
    farm.beats(is_over)

    rows = found(farm)
    assert {name: row["kind"] for name, row in rows.items()} == {
        "s-t01000-1": "ELSEWHERE",
        "s-t01000-2": "MISSING",
        "s-t01000-700": "HALF",
        "cache/notes.txt": "OTHER",
    }
    assert rows["s-t01000-700"]["bytes"] > 0
    person("ann", of="alice")
    text = text_of(signed_in("ann").get(reverse("store", args=[farm.row.uuid])))
    for words in ("Contents", "cache/notes.txt", "Adopt…", "Remove leftovers…", "missing"):
        assert words in text, words

    p_aux = farm.path("cache", one, "p_aux")
    real = p_aux.read_bytes()
    p_aux.write_bytes(bytes(64))
    [planned] = farm.ask("POST", "findings:adopt", json={}).json()["results"]
    assert planned["refusal"] == ""
    farm.beats(is_over)
    refused = StoreFinding.objects.get(sector=one)
    assert (refused.state, Sector.objects.get(pk=one.pk).store) == ("REFUSED", "")
    assert refused.error == "cache/s-t01000-1/p_aux: wrong comm r"
    p_aux.write_bytes(real)
    farm.ask("POST", "findings:adopt", json={"findings": [str(refused.uuid)]})
    farm.beats(is_over)
    assert Sector.objects.get(pk=one.pk).store == farm.row.name

    ids = [row["uuid"] for row in rows.values() if row["kind"] in ("HALF", "MISSING")]
    dry = farm.ask("POST", "findings:remove", params={"dry_run": "true"}, json={"findings": ids})
    refusals = {row["kind"]: row["refusal"] for row in dry.json()["results"]}
    assert refusals == {"HALF": "", "MISSING": "it is missing"}
    assert half.exists()
    done = farm.ask("POST", "findings:remove", json={"findings": ids, "reason": "full"})
    assert done.status_code == 200, done.text
    farm.beats(is_over)
    assert not half.exists()
    entry = AuditEntry.objects.get(action="store.remove_leftovers")
    assert entry.after is not None
    assert (entry.after["sectors"], entry.after["reason"]) == (["s-t01000-700"], "full")
    assert farm.path("sealed", one).exists()
    assert StoreFinding.objects.get(number=700).state == "REMOVED"


def test_on_the_page_leftovers_go_once_their_number_was_typed(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_chain(monkeypatch)
    half = farm.root / "sealed" / "s-t01000-700"
    half.write_bytes(bytes(2048))
    person("ann", of="alice")
    browser = signed_in("ann")
    browser.post(reverse("store-scan", args=[farm.row.uuid]), {"sure": "yes"})
    farm.beats(is_over)

    page = reverse("store-leftovers", args=[farm.row.uuid])
    text = text_of(browser.get(page))
    for words in ("Remove 1 leftover", "remove 1", "s-t01000-700", "incomplete sector"):
        assert words in text, words
    sure = {"id": str(StoreFinding.objects.get().uuid), "sure": "yes", "count": "1", "reason": ""}
    assert browser.post(page, {**sure, "confirm": "yes"}).status_code == 422
    assert half.exists()
    assert browser.post(page, {**sure, "confirm": "remove 1"}).status_code == 302
    farm.beats(is_over)
    assert not half.exists()
    assert AuditEntry.objects.filter(action="store.remove_leftovers").count() == 1


def test_a_host_that_dies_in_a_scan_is_told_again_when_it_is_back(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.ask("POST", "scans")
    monkeypatch.setattr(farm.watch.orders, "order", lambda _command: None)  # it dies over it
    farm.leases.heartbeat()
    assert StoreScan.objects.get().state == "RUNNING"

    farm.start()
    farm.beats(is_over)
    scan = StoreScan.objects.get()
    assert (scan.state, scan.known, scan.counts) == ("DONE", 2, {})


def test_a_store_that_goes_away_is_not_called_empty(farm: Farm) -> None:
    farm.ask("POST", "scans")
    aside = farm.folder / "unplugged"
    farm.root.rename(aside)
    farm.beats(is_over)
    aside.rename(farm.root)

    scan = StoreScan.objects.get()
    assert (scan.state, bool(scan.error)) == ("FAILED", True)
    assert not StoreFinding.objects.exists()


def test_a_scan_is_cancelled_by_rest_and_by_the_page(farm: Farm, client: Any) -> None:
    path = f"scans/{farm.ask('POST', 'scans').json()['uuid']}"
    stranger, weak = bearer(token("admin", of="bob")), bearer(token("write", of="alice"))
    full = f"/api/v1/stores/{farm.row.uuid}/{path}"
    assert client.delete(full, headers=stranger).status_code == 404
    assert client.delete(full, headers=weak).status_code == 403
    assert farm.ask("DELETE", path).json()["state"] == "CANCELLED"
    again = farm.ask("DELETE", path)
    assert (again.status_code, again.json()["message"]) == (409, "the scan has already ended")

    person("ann", of="alice")
    browser = signed_in("ann")
    store = reverse("store", args=[farm.row.uuid])
    assert "Cancel…" not in text_of(browser.get(store))
    farm.ask("POST", "scans")
    assert "Cancel…" in text_of(browser.get(store))
    page = reverse("store-scan-cancel", args=[farm.row.uuid, StoreScan.objects.latest("pk").uuid])
    assert "Cancel the scan of" in text_of(browser.get(page))
    assert browser.post(page, {"sure": "yes"}).headers["Location"] == store
    assert "cancelled" in text_of(browser.get(store))

    farm.beats(is_over)
    assert set(StoreScan.objects.values_list("state", flat=True)) == {"CANCELLED"}
    assert AuditEntry.objects.filter(action="store.scan_cancel").count() == 2
    assert not StoreFinding.objects.exists()


def test_a_host_stops_a_cancelled_scan(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    began, goes_on = Event(), Event()

    def slow(*args: Any, **named: Any) -> Any:
        began.set()
        assert goes_on.wait(60)
        return sectors_scan(*args, **named)

    monkeypatch.setattr(store_orders, "sectors_scan", slow)
    uuid = farm.ask("POST", "scans").json()["uuid"]
    farm.leases.heartbeat()
    assert began.wait(60)
    farm.leases.heartbeat()  # it is still ordered: the host goes on
    assert farm.ask("DELETE", f"scans/{uuid}").json()["state"] == "CANCELLED"
    farm.leases.heartbeat()
    goes_on.set()
    farm.beats(lambda: None not in farm.watch.orders._orders.values())

    assert list(farm.watch.orders._orders.values()) == ["the scan was cancelled"]
    assert (farm.watch.orders._withdrawn, farm.watch.orders._scanned) == (set(), {})


def test_what_a_cancelled_scan_has_found_is_forgotten(farm: Farm) -> None:
    uuid = farm.ask("POST", "scans").json()["uuid"]
    farm.beat()  # ordered and carried out; the next heartbeat would tell it
    assert len(farm.watch.orders._scanned) == 1
    farm.ask("DELETE", f"scans/{uuid}")
    farm.beat()

    assert farm.watch.orders._scanned == {}
    assert not StoreFinding.objects.exists()


def test_strangers_neither_scan_nor_adopt_nor_remove(farm: Farm, client: Any) -> None:
    path, stranger = f"/api/v1/stores/{farm.row.uuid}", bearer(token("admin", of="bob"))
    named: dict[str, Any] = {"findings": [str(farm.row.uuid)]}
    for end, body in {"scans": {}, "findings:adopt": named, "findings:remove": named}.items():
        sent = client.post(f"{path}/{end}", body, content_type="application/json", headers=stranger)
        assert sent.status_code == 404, end
        weak = bearer(token("write", of="alice"))
        sent = client.post(f"{path}/{end}", body, content_type="application/json", headers=weak)
        assert sent.status_code == 403, end
    assert client.get(f"{path}/findings", headers=stranger).status_code == 404
