"""Deadlines under every network's times, and where new sectors go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.address import id_address
from poolsite.filecoin.deadline_assignment import DeadlineLoad, NoDeadline, deadlines_assign
from poolsite.filecoin.deadlines import (
    ProvingParams,
    current_deadline,
    deadline_from_json,
    deadline_info,
    deadline_to_json,
    is_available_for_compaction,
    is_available_for_dispute,
    is_mutable,
    proving_period_offset,
)
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.policy import NETWORKS

TIMES = [row.proving for row in NETWORKS.values()]
EPOCHS = st.integers(0, 1_000_000)


@given(params=st.sampled_from(TIMES), start=st.integers(-3000, 3000), epoch=EPOCHS)
def test_the_current_deadline_is_open(params: ProvingParams, start: int, epoch: int) -> None:
    info = current_deadline(start, epoch, params)

    assert info.is_open
    assert (info.period_start - start) % params.period == 0
    assert info.next_not_elapsed() == info
    assert info.last == info.close - 1
    assert not is_mutable(info)


@given(params=st.sampled_from(TIMES), epoch=EPOCHS, index=st.integers(0, 47))
def test_the_next_opening_is_never_over(params: ProvingParams, epoch: int, index: int) -> None:
    info = deadline_info(0, index % params.deadlines, epoch, params).next_not_elapsed()

    assert not info.has_elapsed
    assert info.open - epoch <= params.period
    assert is_mutable(info) == (epoch < info.open - params.window)


@given(params=st.sampled_from(TIMES), epoch=EPOCHS)
def test_each_epoch_lies_in_one_deadline_only(params: ProvingParams, epoch: int) -> None:
    start = current_deadline(0, epoch, params).period_start

    opened = [i for i in range(params.deadlines) if deadline_info(start, i, epoch, params).is_open]

    assert len(opened) == 1
    assert start <= epoch < start + params.period


def test_new_miners_are_spread_over_the_period() -> None:
    params = NETWORKS["mainnet"].proving

    offsets = {proving_period_offset(id_address(1000 + n), 5, params) for n in range(50)}

    assert len(offsets) > 45
    assert all(0 <= offset < params.period for offset in offsets)


def test_a_young_chain_s_period_starts_before_genesis() -> None:
    params = NETWORKS["mainnet"].proving

    assert current_deadline(100, 10, params).period_start == 100 - params.period
    assert current_deadline(100, 100, params).period_start == 100


def test_deadlines_read_back_from_json_with_the_network_s_times() -> None:
    info = deadline_info(97, 5, 399, NETWORKS["localnet-poolsite-demo"].proving)

    assert deadline_to_json(deadline_from_json(deadline_to_json(info))) == deadline_to_json(info)
    assert info.at(500).current_epoch == 500


@pytest.mark.parametrize(
    "change",
    [{"Open": "5"}, {"WPoStPeriodDeadlines": 0}, {"WPoStChallengeWindow": -1}, {"Index": -1}, {"Close": 1.5}],
)
def test_what_is_no_deadline_is_refused(change: dict[str, Any]) -> None:
    value: Any = deadline_to_json(deadline_info(0, 0, 0, TIMES[0])) | change

    with pytest.raises(BadField):
        deadline_from_json(value)
    with pytest.raises(BadField):
        deadline_from_json([])


def test_proofs_can_be_disputed_after_the_close_for_a_while() -> None:
    params = ProvingParams(deadlines=48, window=60, lookback=20, fault_cutoff=70)
    info = deadline_info(0, 3, 200, params)

    assert not is_available_for_dispute(info, dispute_window=1800)  # open
    assert is_available_for_dispute(info.at(240), dispute_window=1800)
    assert is_available_for_dispute(info.at(240 + 1799), dispute_window=1800)
    assert not is_available_for_dispute(info.at(240 + 1800), dispute_window=1800)
    assert is_available_for_compaction(info.at(240 + 1800), dispute_window=1800)
    assert not is_available_for_compaction(info.at(300), dispute_window=1800)


def test_sectors_fill_partitions_before_new_ones_open() -> None:
    loads = [DeadlineLoad(i, 0, 0) for i in range(4)]

    chosen = deadlines_assign(loads, 10, partition_sectors=2, max_partitions=10)

    assert chosen == [0, 0, 1, 1, 2, 2, 3, 3, 0, 0]
    assert all(load.total_sectors == 0 for load in loads)


def test_the_rules_of_choice_in_their_order() -> None:
    def choose(*loads: tuple[int, int, int]) -> int:
        return deadlines_assign(
            [DeadlineLoad(*load) for load in loads], 1, partition_sectors=4, max_partitions=3
        )[0]

    assert choose((0, 4, 4), (1, 3, 8)) == 1  # fewest partitions counting live sectors
    assert choose((0, 2, 9), (1, 3, 5)) == 1  # then counting all
    assert choose((0, 0, 4), (1, 3, 5)) == 1  # then no new partition
    assert choose((0, 1, 5), (1, 3, 6)) == 1  # then the fuller open one
    assert choose((0, 3, 5), (1, 1, 5)) == 1  # then fewest live sectors
    assert choose((7, 1, 5), (3, 1, 5)) == 3  # then the lowest number
    assert choose((0, 0, 12), (1, 11, 11)) == 1  # never into a full one


def test_full_deadlines_take_nothing() -> None:
    with pytest.raises(NoDeadline, match="max partitions limit 1 reached for all deadlines"):
        deadlines_assign([DeadlineLoad(0, 0, 1)], 2, partition_sectors=2, max_partitions=1)


@given(
    count=st.integers(0, 60),
    totals=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=6),
)
def test_no_deadline_is_overfilled(count: int, totals: list[tuple[int, int]]) -> None:
    loads = [DeadlineLoad(i, live, live + dead) for i, (live, dead) in enumerate(totals)]
    try:
        chosen = deadlines_assign(loads, count, partition_sectors=3, max_partitions=5)
    except NoDeadline:
        return

    for load in loads:
        added = chosen.count(load.index)
        assert added == 0 or load.total_sectors + added <= 15
