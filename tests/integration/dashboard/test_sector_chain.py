"""Costs of a sector so far, and the chain's view of it beside the database's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from apps.chain.errors import NodeUnavailable
from apps.core import clock
from apps.core.formatting import fil
from apps.dashboard.pages.sectors import chain
from apps.dashboard.pages.sectors.chain import comparisons
from apps.messages.models import Message
from apps.miners.models import Miner, RewardEstimate
from apps.sectors.models import Sector, SectorChange
from apps.sectors.onchain.live_sectors import LiveSector
from apps.sectors.onchain.sectors import OnPreCommit
from apps.sectors.states import BatchKind
from poolsite.filecoin.actors.miner_sectors import PreCommitSectorBatch2Params, SectorPreCommitInfo
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.pledge import daily_fee
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from tests import factories
from tests.demo_data import Pool, busy_pool
from tests.page_client import signed_in

pytestmark = pytest.mark.django_db
FIL = 10**18
LIVE = LiveSector(
    number=7,
    size=2048,
    activation=100,
    expiration=20_100,
    power_base=100,
    pledge=3 * FIL,
    verified_weight=0,
    daily_fee=FIL // 1000,
    deadline=4,
    partition=1,
    is_faulty=False,
    is_active=True,
)


def words_of(page: Any) -> str:
    return " ".join(strip_tags(page.content.decode()).split())


@pytest.fixture
def full(ann: Any) -> Pool:
    """A pool with sectors in all states."""
    return busy_pool()


def as_chain_has(sector: Sector) -> LiveSector:
    """Bring a row to what `LIVE` says."""
    Sector.objects.filter(pk=sector.pk).update(
        activation=100, expiration=20_100, initial_pledge=3 * FIL, deadline=4, partition=1, active=True
    )
    sector.refresh_from_db()
    return replace(LIVE, number=sector.number)


def test_each_difference_is_red_and_has_its_reason(full: Pool) -> None:
    live = as_chain_has(full.active)
    assert not any(line.why for line in comparisons(full.active, live, None))
    for changed in (
        {"activation": 99},
        {"expiration": 1},
        {"pledge": 2 * FIL},
        {"partition": 0},
        {"is_active": False},
    ):
        (wrong,) = [line for line in comparisons(full.active, replace(live, **changed), None) if line.why]
        assert wrong.chain != wrong.database
    absent = list(comparisons(full.active, None, None))
    assert [bool(line.why) for line in absent][-1]  # ours is proven, the chain has none


def test_precommit_that_the_row_knows_is_no_difference(full: Pool) -> None:
    Sector.objects.filter(pk=full.sealing.pk).update(precommit_epoch=55, activation=None)
    full.sealing.refresh_from_db()
    there = OnPreCommit(55, FIL, 1, 2, "", 5)
    assert not any(line.why for line in comparisons(full.sealing, None, there))
    assert any(line.why for line in comparisons(full.sealing, None, replace(there, epoch=56)))


@pytest.mark.parametrize("state", ["TERMINATED", "ABORTED"])
def test_precommit_of_an_ended_sector_is_no_difference(full: Pool, state: str) -> None:
    activation = 90 if state == "TERMINATED" else None
    Sector.objects.filter(pk=full.active.pk).update(precommit_epoch=55, activation=activation, state=state)
    full.active.refresh_from_db()
    assert not any(line.why for line in comparisons(full.active, None, None))
    left = OnPreCommit(56, FIL, 1, 2, "", 5)
    assert any(line.why for line in comparisons(full.active, None, left))


def test_sector_that_the_chain_has_ended_is_one_difference(full: Pool) -> None:
    as_chain_has(full.active)
    Sector.objects.filter(pk=full.active.pk).update(precommit_epoch=55)
    full.active.refresh_from_db()
    (line,) = [line for line in comparisons(full.active, None, None) if line.why]
    assert (str(line.title), line.chain, line.database) == ("Proven", "no", "yes")


def test_page_compares_and_says_what_only_the_chain_has(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    live = as_chain_has(full.active)
    monkeypatch.setattr(chain, "sector_chain_read", lambda _sector, _head: (replace(live, pledge=FIL), None))
    page = signed_in("ann").get(reverse("sector-chain", args=[full.active.uuid]))
    words = words_of(page)
    assert "1 difference" in words
    assert "An update or an extension changed what is locked" in words
    assert "Daily fee 0.0010 FIL" in words
    assert 'data-tone="bad"' in page.content.decode()

    def away(*_args: Any) -> None:
        raise NodeUnavailable("http://10.0.0.7/rpc/v1: refused")

    monkeypatch.setattr(chain, "sector_chain_read", away)
    broken = words_of(signed_in("ann").get(reverse("sector-chain", args=[full.active.uuid])))
    assert "Not read. no node responds" in broken
    assert "10.0.0.7" not in broken
    assert "difference" not in broken


def precommit_params(numbers: list[int]) -> bytes:
    """The parameters of a pre-commit of sectors."""
    infos = [SectorPreCommitInfo(5, one, cid_parse(factories.cid("s")), 0, (), 0, None) for one in numbers]
    return to_cbor(PreCommitSectorBatch2Params(tuple(infos)))


def test_sector_shows_its_share_of_each_message(full: Pool) -> None:
    others = [factories.sector(full.miner, number=900 + at) for at in range(2)]
    numbers = [full.active.number, *(one.number for one in others)]
    batch = factories.batch(full.miner, params=precommit_params(numbers))
    failed, other = (
        factories.batch(full.miner, params=precommit_params(some), state="FAILED", exit_code=7)
        for some in (numbers[:2], numbers[1:])
    )
    commit = factories.batch(full.miner, BatchKind.COMMIT, method=0)
    Sector.objects.filter(number=full.active.number).update(precommit_batch=batch)
    Sector.objects.filter(pk=full.active.pk).update(commit_batch=commit, initial_pledge=3 * FIL)
    landed: dict[str, Any] = {"state": "LANDED", "of": full.miner.tenant.name, "landed_at": clock.now()}
    factories.message(batch.message_id, gas_cost=FIL // 10 + 1, **landed)
    for one in (failed, other):
        factories.message(one.message_id, gas_cost=FIL // 50, exit_code=7, **landed)
    factories.message(commit.message_id, of=full.miner.tenant.name)
    page = signed_in("ann").get(reverse("sector", args=[full.active.uuid]))
    words = words_of(page)
    assert "Gas: Pre-commit 0.0333 FIL 0.1000 FIL for 3 sectors" in words
    assert "Gas: Pre-commit 0.0100 FIL 0.0200 FIL for 2 sectors" in words
    assert words.count("Gas: Pre-commit") == 2
    assert "Gas: Commit not landed" in words
    assert "Pledge 3.0000 FIL" in words or "Pledge 3 FIL" in words
    assert reverse("message", args=[batch.message_id]) in page.content.decode()
    Message.objects.filter(pk=commit.message_id).update(gas_cost=FIL // 5, landed_at=clock.now())
    assert "Gas so far 0.2433 FIL" in words_of(
        signed_in("ann").get(reverse("sector", args=[full.active.uuid]))
    )

    reward = {"reward_position": 1, "reward_velocity": 0, "power_position": 1, "power_velocity": 0}
    RewardEstimate.objects.create(**reward, height=1, circulating=600_000_000 * FIL)
    Sector.objects.filter(pk=full.active.pk).update(activation=10)
    Miner.objects.filter(pk=full.miner.pk).update(qa_power=64 << 30, active_sectors=1)
    fee = int(daily_fee(64 << 30, 600_000_000 * FIL))
    paid = fee * (1000 - 10) // EPOCHS_PER_DAY_MAINNET
    end = factories.batch(full.miner, BatchKind.TERMINATE, method=0)
    change = SectorChange.objects.create(
        sector=full.active, kind="TERMINATE", state="TERMINATE_SENT", batch=end, fee=FIL // 4, queued_height=1
    )
    live = words_of(signed_in("ann").get(reverse("sector", args=[full.active.uuid])))
    assert "Termination fee" not in live
    assert paid > 0
    assert f"Daily fees so far about {fil(paid)} FIL {fil(fee)} FIL a day by the present supply" in live
    assert f"Paid so far about {fil(FIL // 30 + FIL // 100 + FIL // 5 + paid)} FIL" in live
    SectorChange.objects.filter(pk=change.pk).update(state="TERMINATE_LANDED")
    words = words_of(signed_in("ann").get(reverse("sector", args=[full.active.uuid])))
    assert "Termination fee 0.2500 FIL as priced when it was requested Paid so far 0.4933 FIL" in words
