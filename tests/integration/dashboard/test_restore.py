"""Restoring a given-up sector by page, REST and command: the same refusals, rights, in the audit log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.clock import now
from apps.sectors.models import Sector
from apps.sectors.services.sealing.steps import sector_abort
from apps.users.models import AuditEntry
from tests import factories, people
from tests.page_client import signed_in, text_of
from tests.unit.apps.sectors.adoptions import at_head
from tests.unit.apps.sectors.restore import DATA, Known

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Known:
    """A chain that has none of the sectors of alice's miner."""
    made = Known()
    for place in (
        "apps.api.v1.sector_restore",
        "apps.dashboard.pages.sectors.restore",
    ):
        monkeypatch.setattr(f"{place}.sealing_context_read", lambda **_: at_head(made))
    return made


def aborted(number: int, **facts: Any) -> Sector:
    miner = factories.miner(1000, of="alice", sector_size=2048, seal_proof=5) if number == 7 else None
    miner = miner or Sector.objects.get(number=7).miner
    sector = factories.sector(miner, number=number, state="PC1_DONE", **facts)
    return sector_abort(sector, actor="ann", reason="disk lost", now=now())


def rest(sector: Sector, body: Any, *, query: str = "", perm: str = "write", of: str = "alice") -> Any:
    path = f"/api/v1/sectors/{sector.uuid}/restore{query}"
    headers = people.bearer(people.token(perm, of=of))
    return Client().post(path, json.dumps(body), content_type="application/json", headers=headers)


def states() -> list[str]:
    return list(Sector.objects.order_by("number").values_list("state", flat=True))


def test_rest_says_where_it_would_go_and_brings_it_back(chain: Known) -> None:
    sector = aborted(7, pieces=DATA)
    refused = rest(sector, {}, query="?dry_run=true").json()
    assert (refused["state"], "without the data" in refused["refusal"]) == ("", True)
    assert rest(sector, {}).json()["code"] == "restore_refused"
    dry = rest(sector, {"force": True}, query="?dry_run=true").json()
    assert (dry["state"], dry["refusal"], dry["has_files"]) == ("ALLOCATED", "", False)
    assert states() == ["ABORTED"]
    assert rest(sector, {"force": True}, of="bob").status_code == 404
    assert rest(sector, {"force": True}, perm="read").status_code == 403

    done = rest(sector, {"force": True, "reason": "a mistake"})

    assert (done.status_code, states()) == (200, ["ALLOCATED"])
    entry = AuditEntry.objects.get(action="sector.restore")
    assert (entry.target, entry.after) == (
        "f01000 / 7",
        {"state": "ALLOCATED", "paused": False, "reason": "a mistake"},
    )


def test_the_page_shows_what_the_chain_allows_first(chain: Known) -> None:
    people.person("ann", of="alice")
    sector = aborted(7)
    browser, page = signed_in("ann"), reverse("sector-restore", args=[sector.uuid])
    assert page in browser.get(reverse("sector", args=[sector.uuid])).content.decode()
    asked = browser.get(page)
    assert "Its number is unused on chain" in text_of(asked)
    assert asked.content.decode().count(f'href="{reverse("sector", args=[sector.uuid])}"') == 2, (
        "crumb, cancel"
    )
    chain.used = {7}
    assert "its number was used up" in text_of(browser.get(page))
    refused = browser.post(page, {"sure": "yes"})
    assert (refused.status_code, states()) == (422, ["ABORTED"])
    chain.used = set()

    assert browser.post(page, {"sure": "yes", "reason": "a mistake"}).status_code == 302

    assert states() == ["ALLOCATED"]
    shown = text_of(browser.get(reverse("sector", args=[sector.uuid])))
    assert "Restored: sealing starts over" in shown
    assert "a mistake" in shown
    assert AuditEntry.objects.filter(action="sector.restore", actor__contains="ann").count() == 1


def test_a_stranger_and_a_reader_cannot(chain: Known) -> None:
    page = reverse("sector-restore", args=[aborted(7).uuid])
    people.person("bill", of="bob")
    people.person("anna", of="alice", role="AUDITOR")
    for name in ("bill", "anna"):
        assert signed_in(name).post(page, {"sure": "yes"}).status_code in (403, 404)
    assert states() == ["ABORTED"]
