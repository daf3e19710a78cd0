"""Checks of files the whole way: asked for over REST, read by a real host from a real store, shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from apps.checks.findings.stores import copies_bad
from apps.checks.selectors.data import CheckData
from apps.sectors.models import SectorCopy, StoreCheck, WorkerCommand
from apps.sectors.services.stores import check_results
from apps.sectors.services.stores import checks as store_checks
from apps.users.models import AuditEntry
from tests.integration.stores.conftest import Farm
from tests.page_client import signed_in, text_of
from tests.people import bearer, person, principal, token


def begun(farm: Farm, key: str = "", **body: Any) -> dict[str, Any]:
    """Ask for a check."""
    answer = farm.ask("POST", "checks", json=body, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def is_over() -> bool:
    return not StoreCheck.objects.filter(state="RUNNING").exists()


def flip(path: Path) -> None:
    """Change one bit of a file."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def test_good_files_are_good_and_asking_twice_is_asking_once(farm: Farm) -> None:
    first = begun(farm, "k1")
    assert (first["state"], first["total"], first["bad"]) == ("RUNNING", 2, 0)
    assert begun(farm, "k1") == first, "asked again with its key"
    assert begun(farm)["uuid"] == first["uuid"], "a second click"
    farm.beats(is_over)

    check = StoreCheck.objects.get()
    assert (check.state, check.done, check.bad, check.unread, check.error) == ("DONE", 2, 0, 0, "")
    assert check.read_bytes > 2 * 2048
    assert set(SectorCopy.objects.values_list("condition", flat=True)) == {"NOTED"}, "t_aux had no sum"
    begun(farm)
    farm.beats(is_over)
    assert set(SectorCopy.objects.values_list("condition", flat=True)) == {"GOOD"}


def test_every_bad_file_is_named_wherever_somebody_looks(farm: Farm) -> None:
    one, other = farm.sectors
    unsealed = farm.path("unsealed", one)
    unsealed.parent.mkdir(exist_ok=True)
    unsealed.write_bytes(bytes(2048))
    begun(farm)
    farm.beats(is_over)
    for path in (farm.path("sealed", one), unsealed):
        flip(path)
    farm.path("cache", other, "p_aux").write_bytes(bytes(64))
    farm.path("cache", other, "t_aux").unlink()
    begun(farm)
    farm.beats(is_over)

    newest = StoreCheck.objects.latest("pk")
    assert (newest.state, newest.done, newest.bad) == ("DONE", 2, 2)
    page = farm.ask("GET", "copies", params={"condition": "BAD", "limit": 1}).json()
    rest = farm.ask("GET", "copies", params={"condition": "BAD", "limit": 1, "cursor": page["next"]}).json()
    assert rest["next"] is None
    found = {
        row["number"]: {file["name"]: file["state"] for file in row["files"]}
        for row in page["results"] + rest["results"]
    }
    assert found == {
        1: {"sealed/s-t01000-1": "DIFFERS", "unsealed/s-t01000-1": "DIFFERS"},
        2: {"cache/s-t01000-2/p_aux": "WRONG_COMM_R", "cache/s-t01000-2/t_aux": "MISSING"},
    }
    name = farm.row.name
    [finding] = copies_bad(CheckData(principal("alice")))
    assert (finding.say, finding.count) == (f"2 sectors in {name} with bad files", 2)
    person("ann", of="alice")
    text = text_of(signed_in("ann").get(reverse("store", args=[farm.row.uuid])))
    for words in ("sealed/s-t01000-1 does not match its recorded checksum", "2 with bad files"):
        assert words in text, words
    text = text_of(signed_in("ann").get(reverse("sector", args=[other.uuid])))
    assert "cache/s-t01000-2/p_aux does not match the comm_r of the sector" in text
    assert AuditEntry.objects.filter(action="store.check").count() == 2
    assert not WorkerCommand.objects.filter(op="check_sector").exists()


def test_a_store_that_goes_away_in_between_makes_nothing_bad(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_checks, "AT_ONCE", 1)
    monkeypatch.setattr(check_results, "AGAIN_AFTER", timedelta())
    begun(farm)
    for _ in range(2):  # told of the first, it has read it
        farm.beat()
    farm.look()
    aside = farm.folder / "unplugged"
    farm.root.rename(aside)
    farm.leases.heartbeat()  # with the first sector, and the host does not know yet: it is told of the second
    for _ in range(4):
        farm.beat()

    check = StoreCheck.objects.get()
    assert (check.state, check.done, check.bad, check.unread) == ("RUNNING", 1, 0, 0)
    assert check.queue == [[farm.sectors[1].pk, 1]], "tried once, and not lost"
    assert "is its disk mounted?" in check.error
    told = farm.ask("GET", f"checks/{check.uuid}", perm="read").json()
    assert told["waits"] == f"waiting until box can read {farm.row.name} again"

    aside.rename(farm.root)
    farm.beats(is_over)
    check.refresh_from_db()
    assert (check.state, check.done, check.bad, check.unread, check.error) == ("DONE", 2, 0, 0, "")


def test_a_host_that_dies_or_repeats_itself_counts_each_sector_once(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(farm)
    monkeypatch.setattr(farm.watch.orders, "order", lambda _command: None)  # it reads, and never ends
    farm.leases.heartbeat()
    assert WorkerCommand.objects.filter(op="check_sector", done_at=None).count() == 2

    farm.start()
    real = farm.leases.console.heartbeat

    def twice(*args: Any) -> Any:
        real(*args)  # its answer is lost on the way
        return real(*args)

    monkeypatch.setattr(farm.leases.console, "heartbeat", twice)
    farm.beats(is_over)

    check = StoreCheck.objects.get()
    assert (check.state, check.done, check.bad, check.unread) == ("DONE", 2, 0, 0)


def test_one_sector_is_checked_and_strangers_may_not(farm: Farm, client: Any) -> None:
    one = farm.sectors[0]
    check = begun(farm, sector=str(one.uuid), bytes_s=5 << 20)
    assert (check["total"], check["sector"]) == (1, str(one.uuid))
    farm.beats(is_over)
    assert SectorCopy.objects.get().sector == one

    ends = ("checks", f"checks/{check['uuid']}", "copies")
    paths = [f"/api/v1/stores/{farm.row.uuid}/{end}" for end in ends]
    stranger = bearer(token("admin", of="bob"))
    for path in (*paths, f"/api/v1/sectors/{one.uuid}/copies"):
        assert client.get(path, headers=stranger).status_code == 404, path
    asked = client.post(paths[0], {}, content_type="application/json", headers=stranger)
    assert asked.status_code == 404
    assert client.delete(paths[1], headers=bearer(token("write", of="alice"))).status_code == 403
    over = client.delete(paths[1], headers=bearer(token("sign", of="alice")))
    assert (over.status_code, over.json()["message"]) == (409, "the check has already ended")
