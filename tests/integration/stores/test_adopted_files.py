"""Adopted sectors' files, the whole way: a real host lists a real store and compares comm_r."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from apps.sectors.models import Sector, StoreFinding, StoreScan
from apps.sectors.services.adoptions.plans import adoption_begin
from apps.sectors.services.stores import scan_comparison
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from tests.integration.stores.adopted_files import forgotten, heads, is_idle
from tests.integration.stores.conftest import Farm
from tests.unit.apps.sectors.reconcile import work


def test_files_of_adopted_sectors_are_compared_and_named(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_comparison, "FINDINGS_MAX", 1)  # a scan lists one at a time
    monkeypatch.setattr("apps.sectors.services.adoptions.rows.FINDINGS_MAX", 1)
    chain = forgotten(farm)
    adoption_begin(farm.miner, numbers=None, work=work(cast("Any", chain)), by=replace(SYSTEM, actor="ann"))

    row = heads(farm, chain)

    assert (row.written, row.unplaced, row.unread) == (2, 0, [])
    stores = dict(Sector.objects.values_list("number", "store"))
    assert stores == {1: farm.row.name, 2: farm.row.name}
    assert StoreScan.objects.count() == 2, "the second scan lists what the first had no room for"
    orders = AuditEntry.objects.filter(action__in=("store.scan", "store.adopt"))
    assert set(orders.values_list("action", "actor")) == {("store.scan", "ann"), ("store.adopt", "ann")}


def test_files_of_another_replica_are_not_named(farm: Farm) -> None:
    chain = forgotten(farm)
    chain.comm_rs[2] = b"x" * 31 + b"\0"
    adoption_begin(farm.miner, numbers=None, work=work(cast("Any", chain)), by=SYSTEM)

    row = heads(farm, chain)

    assert dict(Sector.objects.values_list("number", "store")) == {1: farm.row.name, 2: ""}
    assert StoreFinding.objects.get(number=2).state == "REFUSED"
    assert row.unplaced == 1


def test_a_store_that_nobody_reads_is_named_and_not_waited_for(farm: Farm) -> None:
    chain = forgotten(farm)
    row = farm.row
    aside = farm.folder / "unplugged"
    farm.root.rename(aside)
    farm.look()
    farm.beats(is_idle)
    adoption_begin(farm.miner, numbers=None, work=work(cast("Any", chain)), by=SYSTEM)

    done = heads(farm, chain)

    assert (done.unread, done.unplaced) == ([row.name], 2)
    assert Sector.objects.filter(store="").count() == 2
