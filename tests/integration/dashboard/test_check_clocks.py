"""Checks of what runs out: windows' cutoffs, faulty sectors, tickets, and the clock of this machine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse

from apps.chain.models import Head
from apps.chain.selectors.network import network_current
from apps.checks.findings.results import Finding
from apps.checks.report.evaluate import evaluate_some
from apps.checks.selectors.data import CheckData
from apps.core.clock import now
from apps.miners.models import Miner
from apps.proving.models import SectorCheck
from apps.sectors.models import JobEvent, Sector
from apps.users.rules.principals import SYSTEM
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.integration.dashboard.check_scenes import (
    auto_terminations,
    cutoffs_missed,
    network_is_public,
    worker_change_pending,
)
from tests.integration.dashboard.check_scenes_sealing import tickets_expiring
from tests.page_client import signed_in, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]


def found_by(name: str) -> list[Finding]:
    result = evaluate_some([name], CheckData(SYSTEM)).result(name)
    assert result is not None
    return list(result.findings)


def test_the_end_of_a_faulty_sector_says_what_of_its_pledge_is_lost() -> None:
    auto_terminations(None)
    data = CheckData(SYSTEM)

    [found] = found_by("auto_terminations")

    assert found.at_risk == 85 * 10**15, "8.5 % of the pledge, as the chain takes of a sector of full age"
    assert data.clock is not None
    assert data.network is not None
    assert found.due_s == pytest.approx(data.clock.starts_at(7_700 + data.network.fault_max_age), abs=3)
    assert found.reason.startswith("sector 4, deadline 1: faulty since epoch 7")


@pytest.mark.parametrize(("since", "is_told"), [(7_900, True), (7_901, False)])
def test_seven_proving_periods_before_its_end_a_faulty_sector_is_named(since: int, is_told: bool) -> None:
    factories.head(10_000)
    miner = factories.miner(faulty_sectors=2, live_sectors=2)
    row = factories.deadline(miner, 1, live=2, faulty=2, open_epoch=10_020, faulty_since=7_800)
    factories.partition(row, live=[4, 5], faulty=[4, 5], faulty_since={"4": since, "5": 9_000})

    assert [found.count for found in found_by("auto_terminations")] == ([1] if is_told else [])


def test_fault_without_an_epoch_counts_as_the_oldest_of_its_deadline() -> None:
    auto_terminations(None)
    row = Miner.objects.get().deadlines.get()
    row.partitions.update(faulty_since={})

    assert [found.count for found in found_by("auto_terminations")] == [1]


def test_a_recovery_that_missed_its_cutoff_costs_a_part_of_the_faults() -> None:
    cutoffs_missed(None)

    [found] = found_by("cutoffs_missed")

    assert found.is_part
    assert "deadline 1: 1 sector stay" in found.reason


@pytest.mark.parametrize(
    "change",
    [
        {"open_epoch": 1020, "close_epoch": 1030, "cutoff_epoch": 1005},
        {"open_epoch": 985, "close_epoch": 995, "cutoff_epoch": 970},
    ],
    ids=["before the cutoff", "after the close"],
)
def test_outside_of_the_window_no_cutoff_was_missed(change: dict[str, int]) -> None:
    cutoffs_missed(None)
    Miner.objects.get().deadlines.update(**change)

    assert found_by("cutoffs_missed") == []


def test_lost_files_and_new_faults_miss_no_recovery() -> None:
    cutoffs_missed(None)
    row = Miner.objects.get().deadlines.get()
    bad(row.miner, 4)
    assert found_by("cutoffs_missed") == []
    SectorCheck.objects.all().delete()
    assert found_by("cutoffs_missed") != []

    row.partitions.update(faulty_since={"4": 995})  # by the proof of this window

    assert found_by("cutoffs_missed") == []


def bad(miner: Miner, number: int) -> None:
    """Note that a sector's file is missing."""
    facts: dict[str, Any] = {"store": "s", "path": "/s", "reason": "it is missing", "checked_at": now()}
    times = {"height": 990, "bad_since": 990, "bad_times": 1}
    SectorCheck.objects.create(miner=miner, number=number, deadline_index=1, is_good=False, **facts, **times)


def test_a_fault_that_nobody_declared_in_time_is_named() -> None:
    miner = factories.miner(live_sectors=2)
    row = factories.deadline(miner, 1, live=2, open_epoch=1005)
    factories.partition(row, live=[4, 5])
    bad(miner, 5)

    [found] = found_by("cutoffs_missed")

    assert "1 sector with bad files not declared faulty" in found.reason


def sealed(*, hours: float) -> Sector:
    """A finished sector whose way from ticket to pre-commit took so long."""
    row = factories.sector(factories.miner(), state=SectorState.PROVING, active=True)
    *_, last = factories.events(row, [("PC1", "PC1", 3600 * hours), ("FINALIZE", "FINALIZE", 1.0)])
    JobEvent.objects.filter(pk=last.pk).update(to_state=SectorState.PROVING)
    return row


def test_ticket_is_named_by_the_times_that_the_farm_takes() -> None:
    tickets_expiring(None)
    data = CheckData(SYSTEM)
    assert data.network is not None
    life, epoch_s = data.network.max_precommit_randomness_lookback, data.network.epoch_s
    row = Sector.objects.get()
    height = 10_000_000
    Sector.objects.update(state=SectorState.TICKET_ASSIGNED, ticket_epoch=height - life + life // 2)
    assert found_by("tickets_expiring") == []

    cache.clear()
    sealed(hours=life * 0.6 * epoch_s / 3600)

    [found] = found_by("tickets_expiring")
    assert "which takes up to" in found.reason
    clock = text_of(signed_in("olga").get(reverse("sector", args=[row.uuid])))
    assert 'data-tone="warn"' in clock[clock.index("Ticket expires in") - 200 :][:400]
    Sector.objects.filter(pk=row.pk).update(state=SectorState.PC2_DONE)
    assert found_by("tickets_expiring") == [], "what is left of it takes no time here"


def heads(late_s: float, *, count: int = 40, every_s: float = 30) -> None:
    """Heads of 30 s, of which each came so long after its time."""
    end = now()
    for number in range(count):
        arrived_at = end - timedelta(seconds=every_s * (count - number) - late_s)
        bears = int(end.timestamp()) - 30 * (count - number)
        factories.head(2_000 + number, arrived_at=arrived_at, timestamp=bears)


@pytest.mark.parametrize(
    ("late_s", "count", "every_s", "is_told"),
    [(7, 40, 30, True), (3, 40, 30, False), (7, 39, 30, False), (7, 40, 1, False)],
    ids=["ahead", "right", "too few", "catching up"],
)
def test_a_clock_that_is_ahead_shows_by_heads_that_all_come_late(
    monkeypatch: pytest.MonkeyPatch, late_s: float, count: int, every_s: float, is_told: bool
) -> None:
    Head.objects.all().delete()
    heads(late_s, count=count, every_s=every_s)
    network_is_public(monkeypatch)

    told = [found.say for found in found_by("pool_clock_skew")]

    assert bool(told) is is_told
    assert not told or told[0].startswith("this machine's clock may be")


def test_heads_of_a_node_that_catches_up_are_not_in_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.head(1001, timestamp=int(now().timestamp()) - 3 * 3600)
    assert found_by("chain_stalled") == [], "a devnet has a time of its own"

    network_is_public(monkeypatch)

    assert [found.say for found in found_by("chain_stalled")] == ["the newest head is 3 h 00 old"]
    assert "behind the chain" in text_of(signed_in("olga").get("/"))
    factories.head(1002, timestamp=int(now().timestamp()) - 150)
    assert found_by("chain_stalled") == []
    [found] = found_by("head_late")
    assert found.say.startswith("the newest head is 2 min 3"), "seconds may pass"


def test_a_new_worker_says_how_long_the_old_key_signs_blocks() -> None:
    worker_change_pending(None)

    [found] = found_by("worker_change_pending")

    lookback = network_current().power_lookback
    assert f"blocks for another {lookback} epochs: leave it in the signer" in found.reason
