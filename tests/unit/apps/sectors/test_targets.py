"""How many sectors a target still asks for."""

from __future__ import annotations

from typing import Any

import pytest

from apps.sectors.models import PipelineRun, SealTarget, Sector
from apps.sectors.selectors.targets import missing
from apps.sectors.services.runs.steps import run_begin
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("counted", "left"),
    [
        ({"active": False, "expiration": 1_001}, 2),
        ({"active": False, "expiration": 1_000}, 5),
        ({"active": True, "expiration": 1_001}, 5),
        ({"active": False, "expiration": 1_001, "files_lost_at": NOON, "store": ""}, 5),
        ({"active": False, "expiration": 1_001, "files_lost_at": NOON, "store": "another"}, 2),
    ],
    ids=["without power yet", "expired", "in the miner's power", "files lost", "files found again"],
)
def test_committed_sectors_count_until_the_chain_gives_them_power(counted: dict[str, Any], left: int) -> None:
    factories.head(1_000)
    miner = factories.miner()
    row = SealTarget.objects.create(
        miner=miner, in_work=9, power_max=6 * miner.sector_size, since=NOON, look_at=NOON
    )
    factories.sector(miner, state="PC1_DONE")
    for _ in range(3):
        factories.sector(miner, state="PROVING", **counted)

    assert missing(row, now=NOON) == left
    Sector.objects.all().delete()
    assert missing(row, now=NOON) == 6


@pytest.mark.parametrize(("state", "left"), [("REBUILD_PC1_DONE", 1), ("REBUILD_ABORTED", 2)])
def test_a_sector_without_files_counts_while_they_are_made_again(state: str, left: int) -> None:
    factories.head(1_000)
    miner = factories.miner()
    row = SealTarget.objects.create(
        miner=miner, in_work=9, power_max=2 * miner.sector_size, since=NOON, look_at=NOON
    )
    lost = factories.sector(miner, state="PROVING", active=False, expiration=1_001, files_lost_at=NOON)
    run = run_begin(lost, kind=JobKind.REBUILD, state="LOST", actor="ann", now=NOON, hosts=[])
    PipelineRun.objects.filter(pk=run.pk).update(state=state)

    assert missing(row, now=NOON) == left
