"""`manage.py hosts`: what the hosts' pages and REST do, on the console's machine."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.core.clock import now
from apps.sectors.models import HostReport, Job, SharedSettings, Worker, WorkerCommand
from apps.users.models import AuditEntry
from tests import factories
from tests.people import bearer, token

pytestmark = pytest.mark.django_db


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def host() -> Worker:
    return factories.worker("sealer-9")


def test_hosts_are_listed_and_shown_with_their_log(host: Worker) -> None:
    HostReport.objects.create(worker=host, log=["sealed 7"], log_at=now())
    listed = said("hosts", "list")

    assert f"{host.uuid} alice sealer-9 on" in listed
    assert listed.rstrip().endswith(": here, 0 jobs")
    assert "name: sealer-9" in said("hosts", "show", "sealer-9")
    assert said("hosts", "log", str(host.uuid)) == "sealed 7\n"


@pytest.mark.parametrize("act", ["pause", "resume", "drain", "upgrade", "measure"])
def test_an_order_waits_for_the_next_heartbeat(host: Worker, act: str) -> None:
    assert f"ordered: sealer-9 {act}, order " in said("hosts", act, "sealer-9")

    assert WorkerCommand.objects.get().op == act
    assert AuditEntry.objects.filter(action=f"worker.{act}").exists()


def test_a_host_is_retired_once_drained_or_at_once(host: Worker) -> None:
    said("hosts", "retire", "sealer-9", "--yes")
    host.refresh_from_db()
    assert (host.retire_asked_at is None, host.retired_at) == (False, None)

    assert said("hosts", "retire", "sealer-9", "--now", "--yes") == "retired: sealer-9\n"
    host.refresh_from_db()
    assert host.retired_at is not None


def begun_on(host: Worker) -> None:
    """A sector whose layers lie on a host alone."""
    sector = factories.sector(factories.miner(2001, of="alice"), state="PC1_DONE")
    facts = {"kind": "seal", "state": "READY", "stage": "PC2", "lease_s": 60}
    Job.objects.update_or_create(
        sector=sector, defaults={"miner": sector.miner, "sticky_worker": host, **facts}
    )


@pytest.mark.parametrize("by_rest", [True, False])
def test_an_online_host_with_work_is_retired_at_once_by_force_alone(
    host: Worker, client: Client, by_rest: bool
) -> None:
    begun_on(host)
    path, headers = f"/api/v1/workers/{host.uuid}", bearer(token("write", of="alice"))

    if by_rest:
        refused = client.delete(path, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "worker_busy")
    else:
        with pytest.raises(CommandError, match="online with 1 sector in progress"):
            said("hosts", "retire", "sealer-9", "--now", "--yes")
    host.refresh_from_db()
    assert (host.retired_at, AuditEntry.objects.filter(action="worker.retire").exists()) == (None, False)

    if by_rest:
        assert client.delete(f"{path}?force=true", headers=headers).status_code == 204
    else:
        said("hosts", "retire", "sealer-9", "--now", "--force", "--yes")
    host.refresh_from_db()
    assert host.retired_at is not None
    assert (AuditEntry.objects.get(action="worker.retire").after or {})["unfinished"] == "1 sector"


def test_a_host_that_is_away_needs_no_force(host: Worker) -> None:
    begun_on(host)
    Worker.objects.update(seen_at=now() - timedelta(days=1))

    assert said("hosts", "retire", "sealer-9", "--now", "--yes") == "retired: sealer-9\n"


def test_nothing_is_retired_without_the_words(host: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _question: "retire another")

    with pytest.raises(CommandError, match="nothing was done"):
        said("hosts", "retire", "sealer-9", "--now")
    host.refresh_from_db()
    assert (host.retired_at, host.retire_asked_at) == (None, None)


def test_settings_of_a_host_a_group_and_all(host: Worker) -> None:
    assert "host.slots.PC1: 3" in said("hosts", "set", "sealer-9", "slots.PC1=3")
    said("hosts", "group", "sealer-9", "cellar")
    said("hosts", "set-shared", "slots.PC2=2", "--tenant", "alice", "--group", "cellar")
    assert said("hosts", "set-shared", "sectors_max=8") == "sectors_max: 8\n"

    host.refresh_from_db()
    assert (host.settings, host.group) == ({"slots.PC1": 3}, "cellar")
    shared = {(row.tenant and row.tenant.name, row.group): row.values for row in SharedSettings.objects.all()}
    assert shared == {("alice", "cellar"): {"slots.PC2": 2}, (None, ""): {"sectors_max": 8}}
    assert "slots.PC1" not in said("hosts", "set", "sealer-9", "slots.PC1=null")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("pause",), "name a host"),
        (("pause", "nobody"), "no host is called nobody: `manage.py hosts list` lists them"),
        (("pause", "twin"), "2 hosts are called twin: use the ID"),
        (("set", "sealer-9", "slots.PC1"), "slots.PC1 is not name=value"),
        (("set", "sealer-9", "slots.PC9=1"), "PC9"),
        (("set-shared", "slots.PC1=1", "--group", "cellar"), "specify --tenant"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(host: Worker, words: tuple[str, ...], reason: str) -> None:
    for uid in ("one", "two"):
        factories.worker("twin", uid=uid)

    with pytest.raises(CommandError, match=reason):
        said("hosts", *words)

    host.refresh_from_db()
    assert (host.settings, WorkerCommand.objects.count(), SharedSettings.objects.count()) == ({}, 0, 0)
