"""Gas: money is conserved, fees stay in their bounds, estimates equal a real node's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.gas import (
    MINIMUM_BASE_FEE,
    GasBid,
    base_fee_next,
    effective_premium,
    gas_outputs,
    over_estimation,
    premium_at_target,
)
from poolsite.filecoin.gas_estimates import (
    fee_cap_estimate,
    fee_cap_limit,
    inclusion_gas,
    premium_estimate,
    replacement_premium,
)

GAS = st.integers(0, 10_000_000_000)
FEE = st.integers(0, 10**12)


@given(used=GAS, extra=GAS, base_fee=FEE, fee_cap=FEE, premium=FEE)
def test_every_attofil_goes_somewhere(
    used: int, extra: int, base_fee: int, fee_cap: int, premium: int
) -> None:
    premium = min(premium, fee_cap)
    limit = used + extra

    out = gas_outputs(gas_used=used, gas_limit=limit, base_fee=base_fee, fee_cap=fee_cap, premium=premium)

    assert out.base_fee_burn + out.over_estimation_burn + out.miner_tip + out.refund == limit * fee_cap
    assert min(out.base_fee_burn, out.over_estimation_burn, out.miner_tip, out.refund) >= 0
    assert out.miner_penalty == max(base_fee - fee_cap, 0) * (used + out.gas_burned)
    assert used + out.gas_refund + out.gas_burned == limit


def test_a_tenth_of_reserve_is_free() -> None:
    assert over_estimation(1_000_000, 1_100_000) == (100_000, 0)
    assert over_estimation(1_000_000, 1_100_001) == (100_001 - 0, 0)
    refunded, burnt = over_estimation(1_000_000, 3_000_000)
    assert burnt > refunded


@given(
    base_fee=st.integers(100, 10**15),
    bids=st.lists(st.builds(GasBid, gas_limit=GAS, fee_cap=FEE, premium=FEE), max_size=8),
    by_premium=st.booleans(),
)
def test_the_base_fee_moves_by_an_eighth_at_most(base_fee: int, bids: list[GasBid], by_premium: bool) -> None:
    covered = [GasBid(bid.gas_limit, base_fee + bid.fee_cap, bid.premium) for bid in bids]

    following = base_fee_next(base_fee, covered, blocks=1, by_premium=by_premium)

    assert following >= MINIMUM_BASE_FEE
    assert abs(following - base_fee) <= base_fee // 8 + 1


def test_messages_that_do_not_cover_the_base_fee_bid_negative() -> None:
    assert effective_premium(base_fee=100, fee_cap=70, premium=50) == -30
    assert premium_at_target([(-30, 10**10)]) == -30


def test_a_full_blocks_20th_percentile_sets_the_base_fee() -> None:
    rest = (1, 2_000_000_000)
    assert premium_at_target([(5, 8_000_000_000), rest]) == 5
    assert premium_at_target([(5, 7_999_999_999), rest]) == 1


def test_inclusion_is_what_a_real_node_charges() -> None:
    assert inclusion_gas(104) == 695_863


@pytest.mark.parametrize(("epochs", "rise"), [(1, 112), (10, 324), (20, 1054)])
def test_fee_caps_are_a_real_node_s(epochs: int, rise: int) -> None:
    assert fee_cap_estimate(100, 100_000, epochs=epochs) == 100_000 + rise


def test_premiums_of_an_idle_chain() -> None:
    assert [premium_estimate([], blocks=2, epochs=n) for n in (1, 2, 10)] == [200_000, 150_000, 100_000]


def test_premiums_of_a_busy_chain_lie_between_the_neighbours_of_the_median() -> None:
    prices = [(300_000, 10**9), (500_000, 10**9), (200_000, 10**10)]

    assert premium_estimate(prices, blocks=1, epochs=10) == (200_000 + 300_000) // 2
    assert premium_estimate([(500_000, 10**10)], blocks=1, epochs=10) == 500_000


def test_max_fee_cuts_cap_and_premium() -> None:
    assert fee_cap_limit(gas_limit=100, fee_cap=50, premium=40, max_fee=5_000) == (50, 40)
    assert fee_cap_limit(gas_limit=100, fee_cap=50, premium=40, max_fee=4_999) == (49, 40)
    assert fee_cap_limit(gas_limit=100, fee_cap=50, premium=40, max_fee=1) == (0, 0)
    assert fee_cap_limit(gas_limit=0, fee_cap=123, premium=200, max_fee=1) == (123, 123)


@pytest.mark.parametrize(("old", "new"), [(100_000, 110_001), (125_000, 137_501)])
def test_replacing_needs_a_tenth_more(old: int, new: int) -> None:
    assert replacement_premium(old) == new
