"""A store is declared again, the whole way: a real host lists it, and looks at each sector once more."""

from __future__ import annotations

import shutil

from django.urls import reverse
from django.utils.timezone import now

from apps.sectors.models import Sector, StoreScan
from apps.sectors.services.stores.redeclarations import redeclarations_follow
from apps.sectors.services.stores.scan_comparison import scans_compare
from apps.users.models import AuditEntry
from tests import people
from tests.integration.stores.conftest import Farm
from tests.page_client import signed_in, text_of


def heads(farm: Farm) -> StoreScan:
    """Let heads come and the host report until nothing of the redeclaration is left."""

    def over() -> bool:
        scans_compare(now=now())
        redeclarations_follow(now=now())
        return StoreScan.objects.order_by("-pk")[0].settled_at is not None

    farm.beats(over)
    return StoreScan.objects.order_by("-pk")[0]


def stores() -> dict[int, str]:
    return dict(Sector.objects.order_by("number").values_list("number", "store"))


def test_rest_has_rows_follow_files_that_are_there_and_those_that_are_not(farm: Farm) -> None:
    name, (first, second) = farm.row.name, farm.sectors
    Sector.objects.filter(pk=first.pk).update(store="")
    shutil.rmtree(farm.path("cache", second))
    farm.path("sealed", second).unlink()
    dry = farm.ask("POST", "redeclare?dry_run=true", json={"drop_missing": True})
    assert (dry.status_code, dry.json()["sectors"]) == (200, 1)
    assert farm.ask("POST", "redeclare", json={"drop_missing": True}).json()["field"] == "confirm"
    assert farm.ask("POST", "redeclare", json={}, perm="write").status_code == 403
    assert not StoreScan.objects.exists()

    # What its rows name is not there at all: a disk that is not mounted would look the same.
    made = farm.ask("POST", "redeclare", json={"drop_missing": True, "confirm": name})
    assert (made.status_code, made.json()["redeclares"]) == (201, True)
    assert "nothing was dropped" in heads(farm).error
    assert stores() == {1: name, 2: name}

    farm.ask("POST", "redeclare", json={"drop_missing": True, "confirm": name})
    assert heads(farm).error == ""
    assert stores() == {1: name, 2: ""}
    assert Sector.objects.get(number=2).is_without_files
    scan = farm.ask("GET", "scans", perm="read").json()["results"][0]
    assert (scan["redeclares"], scan["drops_missing"], scan["settled_at"] is not None) == (True, True, True)
    assert AuditEntry.objects.filter(action="store.redeclare").count() == 2


def test_the_page_shows_what_is_known_and_orders_it(farm: Farm) -> None:
    people.person("ann", of="alice")
    browser, page = signed_in("ann"), reverse("store-redeclare", args=[farm.row.uuid])
    assert page in browser.get(reverse("store", args=[farm.row.uuid])).content.decode()
    assert "Drop missing sectors" in text_of(browser.get(page))
    wrong = browser.post(page, {"drop_missing": "1", "confirm": "other"})
    assert wrong.status_code in (302, 422)
    assert not StoreScan.objects.exists()

    assert browser.post(page, {}).status_code == 302
    heads(farm)

    text = text_of(browser.get(reverse("store", args=[farm.row.uuid])))
    assert "2 sectors as listed; records updated" in text
