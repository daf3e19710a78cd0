"""Where a sector's files lie: by REST and command, in one's own sectors alone."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.core.clock import now
from apps.proving.models import SectorCheck
from apps.sectors.models import SectorCopy
from tests import factories, people

pytestmark = pytest.mark.django_db


def test_files_are_found_by_host_path_and_last_look(client: Client) -> None:
    miner = factories.miner(2001, of="alice")
    prover = factories.worker("prover-1", of="alice")
    store = factories.store(prover, "cold", uid="u-cold")
    path = store.attachments.get().path
    sector = factories.sector(miner, number=5, state="PROVING", active=True, store="cold")
    factories.piece(miner, state="ACTIVE", sector_number=5, offset=0)
    SectorCheck.objects.create(
        miner=miner,
        number=5,
        deadline_index=1,
        store="cold",
        is_good=False,
        reason="p_aux is missing",
        checked_at=now(),
        height=9,
    )

    url = f"/api/v1/sectors/{sector.uuid}/places"
    sealed, piece = client.get(url, headers=people.bearer(people.token("read", of="alice"))).json()["results"]

    assert (sealed["what"], sealed["store"], sealed["host"]) == ("sealed", "cold", "prover-1")
    assert sealed["path"] == f"{path}/sealed/s-t02001-5"
    assert (sealed["condition"], sealed["reason"]) == ("BAD", "p_aux is missing")
    assert (sealed["store_condition"], sealed["is_counted"]) == ("READY", True)
    assert piece["what"] == "piece"
    assert client.get(url, headers=people.bearer(people.token("read", of="bob"))).status_code == 404


def test_a_sector_in_no_store_is_looked_for_in_what_scans_found(client: Client) -> None:
    miner = factories.miner(2001, of="alice")
    sector = factories.sector(miner, number=5, state="PROVING", store="")

    def found() -> object:
        headers = people.bearer(people.token("read", of="alice"))
        return client.get("/api/v1/sectors/f02001-5/places", headers=headers).json()["findings"]

    assert found() == []
    cold = factories.store(factories.worker("sealer-1", of="alice"), "cold")
    cold.findings.create(sector=sector, kind="HALF", name="s-t02001-5", kinds="update")
    assert found() == [{"store": "cold", "kind": "HALF", "kinds": "update"}]
    cold.findings.update(state="REMOVED")
    assert found() == [], "it is no longer there"


def test_what_checks_found_of_each_copy_is_told(client: Client) -> None:
    miner = factories.miner(2001, of="alice")
    prover = factories.worker("prover-1", of="alice")
    cold, other = (factories.store(prover, name, uid=f"u-{name}") for name in ("cold", "other"))
    sector = factories.sector(miner, number=5, state="PROVING", active=True, store="cold")
    look = {"miner": miner, "number": 5, "deadline_index": 1, "store": "cold", "height": 9}
    before = SectorCheck.objects.create(**look, is_good=True, reason="", checked_at=now())
    bad = [{"name": "sealed/s-t02001-5", "state": "DIFFERS", "size": 1}]
    known = {"sector": sector, "found_at": now(), "checked_at": now()}
    SectorCopy.objects.create(**known, store=cold, condition="GOOD")
    SectorCopy.objects.create(**known, store=other, condition="BAD", files=bad)

    url = f"/api/v1/sectors/{sector.uuid}/places"
    reader = people.bearer(people.token("read", of="alice"))
    own, second = client.get(url, headers=reader).json()["results"]
    assert (own["store"], own["is_counted"], own["condition"]) == ("cold", True, "GOOD")
    assert (second["store"], second["is_counted"], second["condition"]) == ("other", False, "BAD")
    assert second["reason"] == "sealed/s-t02001-5 does not match its recorded checksum"
    assert second["path"].endswith("/sealed/s-t02001-5")
    copies = client.get(f"/api/v1/sectors/{sector.uuid}/copies", headers=reader).json()["results"]
    names = ("store", "is_counted", "condition", "checked_at")
    assert [[one[name] for name in names] for one in copies] == [
        [one[name] for name in names] for one in (own, second)
    ]

    before.checked_at, before.is_good, before.reason = now(), False, "unreadable"
    before.save()
    own, _second = client.get(url, headers=reader).json()["results"]
    assert (own["condition"], own["reason"]) == ("BAD", "unreadable"), "a later look that found it bad"


def test_a_sector_under_way_lies_on_its_host(client: Client) -> None:
    sealer = factories.worker("sealer-1", of="alice")
    sector = factories.sector(factories.miner(2001, of="alice"), state="PC1_DONE", held_by=sealer)

    url = f"/api/v1/sectors/{sector.uuid}/places"
    [place] = client.get(url, headers=people.bearer(people.token("read", of="alice"))).json()["results"]

    assert (place["what"], place["host"], place["store"]) == ("work", "sealer-1", "")
