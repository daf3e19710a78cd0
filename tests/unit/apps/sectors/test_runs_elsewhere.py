"""Runs and unsealing whose hosts go on no more: who gets them, and when nobody does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.miners.models import Miner
from apps.sectors.models import Job, PipelineRun, Sector, Worker
from apps.sectors.services.runs.elsewhere import missing_host_runs_follow
from poolsite.wire.jobs import STAGED, JobKind
from tests import factories

pytestmark = pytest.mark.django_db

AWAY_S = 60


def followed() -> int:
    return missing_host_runs_follow(silent_since=now() - timedelta(seconds=AWAY_S), now=now())


def host(name: str, **data: Any) -> Worker:
    facts: dict[str, Any] = {"stores": ["store-1"], "kinds": [str(kind) for kind in STAGED]}
    return factories.worker(name, **facts | data)


def job(kind: JobKind, *, offered: list[Worker], **data: Any) -> Job:
    """A job that was free for two minutes, over a sector in store-1."""
    miner = factories.miner()
    sector = factories.sector(miner, state="PROVING", active=True, store="store-1")
    facts: dict[str, Any] = {
        "kind": kind,
        "state": "READY",
        "lease_until": None,
        "offered_to": [one.pk for one in offered],
        "inputs": {"sector": str(sector.uuid), "piece": "one"},
    }
    row = factories.proof_job(miner, worker=None, **facts | data)
    Job.objects.filter(pk=row.pk).update(updated_at=now() - timedelta(seconds=2 * AWAY_S))
    return row


def run(offered: list[Worker], **data: Any) -> PipelineRun:
    row = job(JobKind.REBUILD, offered=offered, stage="REBUILD_TREE_D")
    facts: dict[str, Any] = {"state": "REBUILD_TREE_D_BUILT", "state_since": now(), "actor": "ann"}
    sector = Sector.objects.get(uuid=row.inputs["sector"])
    return PipelineRun.objects.create(sector=sector, job=row, kind=JobKind.REBUILD, **facts | data)


def test_a_run_begins_again_where_another_host_has_the_store() -> None:
    other = host("other")
    row = run([host("gone", retired_at=now())])
    before = row.job.uuid

    assert followed() == 1

    row.refresh_from_db()
    again = Job.objects.get(pk=row.job_id)
    assert again.uuid != before
    assert (row.state, again.offered_to, again.state) == ("LOST", [other.pk], "READY")
    assert followed() == 0


@pytest.mark.parametrize("away", [{}, {"seen_at": now() - timedelta(hours=2)}])
def test_a_run_waits_for_a_host_that_may_come_back(away: Any) -> None:
    host("other")
    row = run([host("kept", **away)])

    assert followed() == 0
    row.refresh_from_db()
    assert row.state == "REBUILD_TREE_D_BUILT"


def test_a_run_that_somebody_has_to_decide_on_or_nobody_can_do_stays() -> None:
    gone = host("gone", retired_at=now(), kinds=[])
    run([gone])
    paused = run([gone], paused_at=now())

    assert followed() == 0, "no host of the tenant rebuilds"
    host("other")
    assert followed() == 1
    paused.refresh_from_db()
    assert paused.state == "REBUILD_TREE_D_BUILT"


@pytest.mark.parametrize("gone", [{"retired_at": now()}, {"seen_at": now() - timedelta(hours=2)}])
def test_unsealing_waits_for_no_silent_host(gone: Any) -> None:
    other = host("other")
    row = job(JobKind.UNSEAL, offered=[host("gone", **gone)], stage="UPLOAD", seq=1)

    assert followed() == 1

    again = Job.objects.get(pk=row.pk)
    assert (again.stage, again.state) == ("UNSEAL", "READY")
    assert other.pk in (again.offered_to or ())
    assert again.uuid != row.uuid


def test_unsealing_that_no_host_can_do_ends_with_the_reason() -> None:
    row = job(JobKind.UNSEAL, offered=[host("gone", retired_at=now())], stage="UNSEAL")
    waits = job(JobKind.UNSEAL, offered=[host("away", seen_at=now() - timedelta(hours=2), stores=[])])

    assert followed() == 2

    row.refresh_from_db()
    waits.refresh_from_db()
    assert {row.state, waits.state} == {"FAILED"}
    assert "no host here has its store store-1" in row.error


def test_while_the_pool_is_young_no_host_is_silent() -> None:
    host("other")
    job(JobKind.UNSEAL, offered=[host("away", seen_at=now() - timedelta(hours=2))], stage="UPLOAD")

    assert missing_host_runs_follow(silent_since=None, now=now()) == 0


def test_unsealing_waits_where_every_host_is_silent() -> None:
    row = job(JobKind.UNSEAL, offered=[host("away", seen_at=now() - timedelta(hours=2))], stage="UPLOAD")

    assert followed() == 0
    row.refresh_from_db()
    assert (row.state, row.stage) == ("READY", "UPLOAD")


@pytest.mark.parametrize("kind", [JobKind.REBUILD, JobKind.UNSEAL])
def test_what_a_transferred_miner_began_goes_on_with_hosts_of_its_tenant(kind: JobKind) -> None:
    before = host("before")
    job_id = run([before]).job_id if kind == JobKind.REBUILD else job(kind, offered=[before]).pk
    assert followed() == 0
    after = host("after", of="bob")
    Miner.objects.update(tenant_id=after.tenant_id)

    assert followed() == 1
    assert Job.objects.get(pk=job_id).offered_to == [after.pk]
    assert followed() == 0
