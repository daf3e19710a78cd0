"""The gas model's shape; its figures are compared with a real node in test_golden_chain."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from poolsite.filecoin.gas_model import (
    VERIFY_SEAL,
    declare_faults_gas,
    declare_recovered_gas,
    extend_gas,
    pre_commit_gas,
    prove_commit_gas,
    prove_commit_ni_gas,
    publish_gas,
    replica_update_gas,
    send_gas,
    terminate_gas,
    verify_aggregate_gas,
    verify_ni_gas,
    verify_post_gas,
    window_post_gas,
)


def test_verification_is_the_price_list_s() -> None:
    assert verify_aggregate_gas(4) == 449_900 * 4 + 103_994_170
    assert verify_aggregate_gas(6) == 449_900 * 6 + 103_994_170
    assert verify_aggregate_gas(819, is_64_gib=True) == 359_272 * 819 + 509_880_640
    assert verify_ni_gas(1) == 5_668_740 + 112_356_810
    assert verify_post_gas(2) == 117_680_921 + 2 * 43_780


@pytest.mark.parametrize(
    "formula",
    [
        prove_commit_ni_gas,
        replica_update_gas,
        declare_faults_gas,
        declare_recovered_gas,
        extend_gas,
        terminate_gas,
        publish_gas,
    ],
)
def test_more_items_cost_more(formula: Callable[[int], int]) -> None:
    costs = [formula(count) for count in range(1, 60)]

    assert costs == sorted(costs)
    assert all(isinstance(cost, int) for cost in costs)


def test_pending_pre_commits_make_calls_dearer() -> None:
    assert pre_commit_gas(1, pending=0) < pre_commit_gas(1, pending=64)
    assert pre_commit_gas(1, pending=0, is_first=True) - pre_commit_gas(1, pending=0) == 3_700_000
    assert prove_commit_gas(4, pending=8) < prove_commit_gas(4, pending=700)


def test_aggregation_pays_from_some_sectors_on() -> None:
    single = [prove_commit_gas(n, pending=n) for n in (2, 8)]
    aggregate = [prove_commit_gas(n, pending=n, is_aggregate=True) for n in (2, 8)]

    assert single[0] < aggregate[0]
    assert single[1] > aggregate[1]
    assert prove_commit_gas(1, pending=0, is_small=True) > VERIFY_SEAL


def test_window_posts_are_cheap_unless_they_recover() -> None:
    plain = window_post_gas(1)

    assert plain < window_post_gas(1, proves_new=True) < window_post_gas(1, proves_new=True, skips=True)
    assert window_post_gas(1, recovers=True, sectors=2) - plain > 117_000_000


def test_sends() -> None:
    assert (send_gas(0), send_gas(5), send_gas(5, to_self=True)) == (0, 481_000, 6_000)
    assert send_gas(5, creates="bls") > send_gas(5, creates="secp256k1") > send_gas(5, creates="delegated")
