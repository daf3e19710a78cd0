"""What live sectors owe: the chain's formulas for each of them, added up by one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.miners.models import RewardEstimate
from apps.sectors.selectors.exposure import Exposure, exposure_of
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.pledge import TERMINATION_FULL_AGE, daily_fee, termination_fee
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.wire.pipeline import SectorState
from tests import factories

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
HEIGHT = 1_000_000


def estimate(circulating: int | None = 10**9 * FIL) -> RewardEstimate:
    return RewardEstimate.objects.create(
        pk=1,
        reward_position=(100 * FIL) << 128,
        reward_velocity=0,
        power_position=(10**18) << 128,
        power_velocity=0,
        circulating=circulating,
        height=HEIGHT,
    )


def test_the_sums_are_those_of_the_chains_formulas(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    reward = estimate()
    miners = [factories.miner(2001 + at, qa_power=2 << 40, active_sectors=2) for at in range(2)]
    wanted, life = 0, 0
    kinds = ((0, FIL), (17, FIL // 3), (TERMINATION_FULL_AGE + 5, 7 * FIL + 11), (9, 0))
    for at, (age, pledge) in enumerate(kinds):
        factories.sector(
            miners[at % 2],
            number=at,
            state=SectorState.PROVING,
            activation=HEIGHT - age,
            expiration=HEIGHT + 100 + at,
            initial_pledge=pledge,
        )
        fee = termination_fee(pledge, age=age, sector_fault_fee=reward.fault_fee(1 << 40))
        wanted, life = wanted + int(fee), life + 100 + at
    ended: dict[str, Any] = {"state": SectorState.PROVING, "activation": 5, "initial_pledge": FIL}
    factories.sector(miners[0], number=8, expiration=HEIGHT, **ended)
    factories.sector(miners[0], number=9, expiration=None, state=SectorState.PC1_DONE)
    factories.sector(factories.miner(2009), number=1, expiration=HEIGHT + 9, **ended)

    with django_assert_num_queries(1):
        owed = exposure_of(miners, reward=reward, height=HEIGHT)

    each = int(daily_fee(1 << 40, 10**9 * FIL))
    assert (owed.sectors, owed.termination, owed.daily_fees) == (4, wanted, 4 * each)
    assert owed.fees_to_end is not None
    assert abs(owed.fees_to_end - each * life // EPOCHS_PER_DAY_MAINNET) <= 1


def test_fees_are_unknown_until_a_node_has_told_the_supply() -> None:
    owed = exposure_of([factories.miner(2001)], reward=estimate(None), height=HEIGHT)

    assert owed == Exposure(0, 0, None, None)
