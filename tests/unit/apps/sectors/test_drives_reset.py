"""A host begins anew on its drives for layers: nobody orders it without knowing what is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.core.clock import now
from apps.messages.models import Recovery
from apps.sectors.models import Worker, WorkerCommand
from apps.sectors.services.hosts.commands import commands_open
from apps.sectors.services.hosts.drives import (
    ORDER_LASTS,
    DrivesNotReset,
    drives_reset,
    drives_reset_plan,
)
from apps.users.models import AuditEntry
from poolsite.wire.commands import Operation
from tests import factories, people
from tests.page_client import left_open, signed_in, text_of
from tests.people import bearer

pytestmark = pytest.mark.django_db

SYNTHETIC = 10
"""RegisteredSealProof StackedDrg2KiBV1_1_Feat_SyntheticPoRep."""


def sealer(**data: Any) -> Worker:
    """A host whose file names drives."""
    hardware = factories.measured_hardware() | {"batch_size": {"sectors": 64, "why": "set"}}
    return factories.worker(hardware=hardware, **data)


def orders() -> list[WorkerCommand]:
    return list(WorkerCommand.objects.filter(op=Operation.RESET_DRIVES))


def test_sectors_that_need_their_layers_are_counted_named_and_confirmed() -> None:
    worker, miner = sealer(), factories.miner()
    states = ("TICKET_ASSIGNED", "PC1_DONE", "SEED_ASSIGNED", "TREE_D_BUILT", "C1_DONE", "PROVING", "ABORTED")
    sectors = {state: factories.sector(miner, state=state, held_by=worker) for state in states}
    factories.sector(miner, state="PC1_DONE", held_by=factories.worker("other"))
    stored = factories.sector(miner, state="PC2_DONE", seal_proof=SYNTHETIC, held_by=worker)
    early = factories.sector(miner, state="PC1_DONE", seal_proof=SYNTHETIC, held_by=worker)

    lost = drives_reset_plan(worker, now=now())

    assert lost.labelling == (sectors["TICKET_ASSIGNED"],)
    assert lost.labelled == (sectors["PC1_DONE"], sectors["SEED_ASSIGNED"], early)
    assert stored not in lost.labelled
    with pytest.raises(DrivesNotReset, match="4 sectors may lose layers now, not 3"):
        drives_reset(worker, by=people.principal("alice"), now=now(), count=3)
    assert orders() == []

    drives_reset(worker, by=people.principal("alice"), now=now(), count=4, reason="swapped")

    entry = AuditEntry.objects.get(action="worker.reset_drives")
    names = [f"{miner} / {one.number}" for one in (*lost.labelling, *lost.labelled)]
    assert entry.after == {"sectors": names, "reason": "swapped"}
    with pytest.raises(DrivesNotReset, match="yet to carry out the last order"):
        drives_reset(worker, by=people.principal("alice"), now=now())


def test_an_order_is_repeated_for_ten_minutes_only() -> None:
    worker = sealer()
    drives_reset(worker, by=people.principal("alice"), now=now())

    with transaction.atomic():
        (command,) = commands_open(worker, now=now() + ORDER_LASTS - timedelta(minutes=1))
        assert (command.op, command.args) == ("reset_drives", {})
        assert commands_open(worker, now=now() + ORDER_LASTS + timedelta(minutes=1)) == ()
    assert orders() == []


def test_hosts_without_drives_or_offline_and_after_a_restore_are_refused() -> None:
    other = factories.worker(hardware=factories.measured_hardware())
    with pytest.raises(DrivesNotReset, match=r"names no drives in \[layers\]"):
        drives_reset_plan(other, now=now())
    worker = sealer()
    with pytest.raises(DrivesNotReset, match="the host is offline"):
        drives_reset_plan(worker, now=now() + timedelta(hours=1))
    Recovery.objects.update_or_create(defaults={"sectors_since": now(), "restored_at": now()})
    with pytest.raises(DrivesNotReset, match="read back after a restore"):
        drives_reset_plan(worker, now=now())


def test_the_page_tells_what_is_lost_and_wants_the_number_typed() -> None:
    people.person("ann")
    worker = sealer()
    sector = factories.sector(factories.miner(), state="PC1_DONE", held_by=worker)
    page, client = reverse("host-drives", args=[worker.uuid]), signed_in()
    typed = {"sure": "yes", "count": "1", "confirm": "reset 1", "reason": "swapped"}

    assert page in text_of(client.get(reverse("host", args=[worker.uuid])))
    shown = text_of(client.get(page))
    assert "1 sector" in shown
    assert reverse("sector", args=[sector.uuid]) in shown
    refused = client.post(page, typed | {"confirm": "reset 2"})
    assert refused.status_code == 422
    assert "type &quot;reset 1&quot; to confirm" in text_of(refused)
    assert "Confirm your identity" in text_of(left_open().post(page, typed))
    assert orders() == []

    assert client.post(page, typed).status_code == 302

    assert [one.actor for one in orders()] == ["ann"]
    host_page = text_of(client.get(reverse("host", args=[worker.uuid])))
    assert "begins anew on its drives" in host_page
    assert "has yet to carry out the last order" in text_of(client.get(page))


def test_the_same_over_rest(client: Client) -> None:
    worker = sealer()
    sector = factories.sector(factories.miner(), state="TICKET_ASSIGNED", held_by=worker)
    address = f"/api/v1/workers/{worker.uuid}/drives:reset"
    expected = {"sectors": 1, "labelling": [str(sector.uuid)], "labelled": []}

    def post(body: dict[str, int], *, query: str = "", perm: str = "sign") -> Any:
        headers = bearer(people.token(perm, of="alice"))
        return client.post(address + query, body, content_type="application/json", headers=headers)

    assert post({}, query="?dry_run=true").json() == expected
    assert post({}, perm="write").status_code == 403
    few = post({"sectors": 0})
    assert (few.status_code, few.json()["field"]) == (409, "sectors")
    assert post({"sectors": -1}).status_code == 400
    assert orders() == []
    assert post({"sectors": 1}).json() == expected
    assert len(orders()) == 1
