"""Tickets of sectors that wait for PC1: not old when their labels begin, and kept once they have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from apps.chain.selectors.network import network_current
from apps.sectors.models import Job, JobEvent, Sector, Worker
from apps.sectors.selectors.jobs import seal_inputs
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.services.jobs.reports import TICKETS_A_DAY, job_fail
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.tickets import tickets_assign, tickets_check, tickets_renew
from poolsite.filecoin.policy import MAINNET
from poolsite.wire.hosts import Heartbeat, TicketTimes
from poolsite.wire.job_reports import Fail, Level
from tests import factories
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.sealing import NOON, claim, host, report

pytestmark = pytest.mark.django_db

BEGIN = 100_000
QUARTER = 2880 // 4
"""Epochs in which a ticket on mainnet has used a quarter of the day that it lasts."""


def at_height(height: int) -> None:
    """Do what a head does with tickets."""
    facts: dict[str, Any] = {
        "client": cast("Any", SomeSectors()),
        "network": MAINNET,
        "head": factories.head(height),
        "now": NOON + timedelta(seconds=30 * (height - BEGIN)),
    }
    tickets_check(SectorsInProgress.read(), **facts)
    tickets_assign(SectorsInProgress.read(), **facts)
    tickets_renew(SectorsInProgress.read(), **facts)


def queued(worker: Worker) -> Sector:
    """A sector that a host has started, in the queue of its slots for PC1."""
    factories.sector(factories.miner())
    (job,) = claim(worker)
    report(job, "ADD_PIECE", state="ALLOCATED")
    report(job, "BUILD_TREE_D", state="PIECE_ADDED", seq=job.seq + 2)
    at_height(BEGIN)
    return Sector.objects.get(state="TICKET_ASSIGNED", ticket_epoch=BEGIN - MAINNET.ticket_lookback)


def drawn_at(sector: Sector) -> int:
    """The height at which a sector's ticket was drawn."""
    sector.refresh_from_db()
    return (sector.ticket_epoch or 0) + MAINNET.ticket_lookback


def test_a_sector_in_the_queue_of_pc1_gets_another_ticket() -> None:
    sector = queued(worker := host())
    since, before = sector.stage_since, Job.objects.get().lease_token

    at_height(BEGIN + QUARTER)
    assert drawn_at(sector) == BEGIN
    at_height(BEGIN + QUARTER + 1)

    assert (drawn_at(sector), sector.state) == (BEGIN + QUARTER + 1, "TICKET_ASSIGNED")
    assert (sector.stage_since, Job.objects.get().lease_token) == (since, before), "it keeps its place"
    assert JobEvent.objects.filter(event="TICKET_RENEWED").count() == 1
    (job,) = claim(worker)
    assert job.seal is not None
    assert job.seal.ticket_epoch == sector.ticket_epoch


def test_a_sector_with_begun_labels_keeps_its_ticket() -> None:
    sector = queued(worker := host())
    claim(worker)
    leases_sweep(now=NOON + timedelta(hours=1))  # its host is away

    at_height(BEGIN + 2 * QUARTER)

    assert (drawn_at(sector), Job.objects.get().state) == (BEGIN, "READY")


@pytest.mark.parametrize("change", [{"precommit_epoch": 9}, {"paused_at": NOON}])
def test_a_replica_on_chain_or_a_paused_sector_keeps_its_ticket(change: dict[str, Any]) -> None:
    sector = queued(host())
    Sector.objects.update(**change)

    at_height(BEGIN + 2 * QUARTER)

    assert drawn_at(sector) == BEGIN


def test_labels_that_begin_after_two_days_in_the_queue_can_be_used() -> None:
    sector = queued(worker := host())
    for height in range(BEGIN, BEGIN + 2 * 2880, 60):
        at_height(height)

    (job,) = claim(worker)
    at_height(BEGIN + 2 * 2880 + 5 * 120)  # five hours later

    assert job.seal is not None
    assert not JobEvent.objects.filter(event="RETICKET").exists()
    sector.refresh_from_db()
    assert (sector.state, sector.ticket_epoch) == ("TICKET_ASSIGNED", job.seal.ticket_epoch)


@pytest.mark.parametrize(("precommit_epoch", "state"), [(None, "TREE_D_BUILT"), (9, "TICKET_ASSIGNED")])
def test_a_sector_whose_labels_would_be_too_late_gets_another_ticket(
    precommit_epoch: int | None, state: str
) -> None:
    """That of one whose pre-commit the chain has is kept: another one would be another replica."""
    sector = queued(worker := host())
    Sector.objects.update(precommit_epoch=precommit_epoch)
    (job,) = claim(worker)
    assert job.seal is not None
    assert (job.seal.ticket_epoch is None) is (precommit_epoch is not None)
    fail = Fail(token=job.token, level=Level.TEMPORARY, stage="PC1", error="too late", needs_ticket=True)

    job_fail(job.id, fail=fail, tenant_id=worker.tenant_id, now=NOON)

    sector.refresh_from_db()
    assert (sector.state, sector.ticket is None) == (state, precommit_epoch is None)
    if precommit_epoch is None:
        assert (sector.attempts, Job.objects.get().state) == (0, "WAITING")
        assert JobEvent.objects.get(event="RETICKET").note == "too late"
        at_height(BEGIN + 10)
        assert drawn_at(sector) == BEGIN + 10
        (again,) = claim(worker)
        assert (again.id, again.token > job.token) == (job.id, True)


def late(worker: Worker, *, now: datetime = NOON) -> None:
    """Claim the sector, and say that its ticket is too old for its labels."""
    (job,) = claim(worker, at=now)
    fail = Fail(token=job.token, level=Level.TEMPORARY, stage="PC1", error="too late", needs_ticket=True)
    job_fail(job.id, fail=fail, tenant_id=worker.tenant_id, now=now)


def test_a_sector_whose_pre_commit_was_sent_keeps_its_ticket() -> None:
    """A person may set one back whose message is on the way: another replica would be a lost deposit."""
    sector = queued(worker := host())
    Sector.objects.update(precommit_batch=factories.batch(sector.miner))

    late(worker)

    assert drawn_at(sector) == BEGIN
    assert (sector.state, sector.attempts, sector.ticket is None) == ("TICKET_ASSIGNED", 1, False)
    assert seal_inputs(sector).ticket_epoch is None, "no host finds it too old"
    (job,) = claim(worker, at=NOON + timedelta(hours=1))
    assert job.seal is not None
    assert job.seal.ticket_epoch is None


def test_a_host_with_a_wrong_clock_does_not_draw_tickets_for_ever() -> None:
    sector = queued(worker := host())
    for drawn in range(TICKETS_A_DAY):
        late(worker)
        at_height(BEGIN + 10 + drawn)

    late(worker)

    sector.refresh_from_db()
    assert (sector.state, sector.attempts, sector.error) == ("TICKET_ASSIGNED", 1, "too late")
    assert JobEvent.objects.filter(event="RETICKET").count() == TICKETS_A_DAY


def test_a_host_is_told_how_long_tickets_last() -> None:
    heads = factories.head(BEGIN)
    factories.network()
    worker = host()

    def told() -> TicketTimes | None:
        beat = Heartbeat(boot_id=worker.boot_id)
        return worker_heartbeat(worker, heartbeat=beat, now=NOON).tickets

    found = told()

    assert found is not None
    network = network_current()
    assert found.genesis_s == heads.timestamp - BEGIN * network.epoch_s
    assert found.fresh_s == (network.max_precommit_randomness_lookback - 60 - found.lookback) * found.epoch_s
    assert found.end_s(BEGIN - found.lookback) == heads.timestamp + found.fresh_s
    assert told() == found
