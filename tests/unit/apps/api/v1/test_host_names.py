"""Hosts and stores over REST by their names, and a host that is retired with work."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from apps.core.clock import now
from apps.sectors.models import Job, Worker, WorkerCommand
from apps.users.models import AuditEntry
from tests import factories
from tests.people import bearer, token

pytestmark = pytest.mark.django_db


@pytest.fixture
def host() -> Worker:
    return factories.worker("sealer-9")


def test_a_name_that_one_has_is_as_good_as_its_id(client: Client, host: Worker) -> None:
    headers = bearer(token("admin", of="alice"))
    path = "/api/v1/workers/sealer-9/commands"
    store = factories.store(host, "disk")

    ordered = client.post(path, {"op": "pause"}, content_type="application/json", headers=headers)

    assert (ordered.status_code, WorkerCommand.objects.get().worker) == (201, host)
    shown = client.get("/api/v1/stores/disk", headers=headers).json()
    assert shown["uuid"] == str(store.uuid)
    stranger = bearer(token("admin", of="bob"))
    for other in ("workers/sealer-9", "stores/disk"):
        assert client.get(f"/api/v1/{other}", headers=stranger).status_code == 404


def test_a_name_of_several_is_refused_with_their_ids(client: Client) -> None:
    headers = bearer(token("read", of="pool", is_operator=True))
    twins = [factories.worker("twin", of=name) for name in ("alice", "bob")]
    stores = [factories.store(one, "disk") for one in twins]

    for path, rows in (("workers/twin", twins), ("stores/disk", stores)):
        answer = client.get(f"/api/v1/{path}", headers=headers)
        assert answer.status_code == 400
        assert all(str(one.uuid) in answer.json()["message"] for one in rows)


def begun_on(host: Worker) -> None:
    """A sector whose layers lie on a host alone."""
    sector = factories.sector(factories.miner(2001, of="alice"), state="PC1_DONE")
    facts = {"kind": "seal", "state": "READY", "stage": "PC2", "lease_s": 60}
    Job.objects.update_or_create(
        sector=sector, defaults={"miner": sector.miner, "sticky_worker": host, **facts}
    )


def test_an_online_host_with_work_is_retired_at_once_by_force_alone(client: Client, host: Worker) -> None:
    begun_on(host)
    path, headers = f"/api/v1/workers/{host.uuid}", bearer(token("write", of="alice"))

    refused = client.delete(path, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "worker_busy")
    host.refresh_from_db()
    assert (host.retired_at, AuditEntry.objects.filter(action="worker.retire").exists()) == (None, False)

    assert client.delete(f"{path}?force=true", headers=headers).status_code == 204
    host.refresh_from_db()
    assert host.retired_at is not None
    assert (AuditEntry.objects.get(action="worker.retire").after or {})["unfinished"] == "1 sector"


def test_a_host_that_is_away_needs_no_force(client: Client, host: Worker) -> None:
    begun_on(host)
    Worker.objects.update(seen_at=now() - timedelta(days=1))
    headers = bearer(token("write", of="alice"))

    assert client.delete(f"/api/v1/workers/{host.uuid}", headers=headers).status_code == 204
