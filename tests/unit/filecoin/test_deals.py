"""The terms of deals: what is locked, paid and given back adds up for every life of a deal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.amounts import TOTAL_FILECOIN
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.deals import (
    MAX_DURATION,
    MIN_DURATION,
    UPDATE_INTERVAL,
    BadDeal,
    client_lockup,
    collateral_least,
    deal_cid,
    payment_due,
    payment_refundable,
    proposal_check,
    storage_fee,
    update_epoch,
)
from tests.unit.filecoin.deals import PROPOSAL

EPOCHS = st.integers(0, 2 * MAX_DURATION)


def test_a_client_locks_the_whole_fee_and_its_collateral():
    assert storage_fee(PROPOSAL) == 7 * MIN_DURATION
    assert client_lockup(PROPOSAL) == 7 * MIN_DURATION + 11


@given(EPOCHS, EPOCHS)
def test_what_is_paid_and_what_is_left_are_the_fee(paid, ended):
    paid, ended = sorted((paid, ended))
    first = payment_due(PROPOSAL, paid_until=-1, until=paid)
    second = payment_due(PROPOSAL, paid_until=paid, until=ended)

    assert first + second + payment_refundable(PROPOSAL, ended=ended) == storage_fee(PROPOSAL)


@given(st.integers(0, 10**9), EPOCHS)
def test_the_market_looks_at_a_deal_within_a_month(number, earliest):
    epoch = update_epoch(number, earliest)

    assert earliest <= epoch < earliest + UPDATE_INTERVAL
    assert epoch % UPDATE_INTERVAL == number % UPDATE_INTERVAL


def test_collateral_follows_the_share_of_the_networks_data():
    supply = 300 * TOTAL_FILECOIN // 1000

    def least(size, raw_power=0, baseline=1 << 60):
        return collateral_least(size, raw_power=raw_power, baseline=baseline, circulating=supply)

    assert least(1 << 60) == supply // 100, "all data there are: a hundredth of the supply"
    assert least(1 << 59) == supply // 200
    assert least(1 << 59, raw_power=1 << 61) == supply // 400
    assert least(1 << 62) == supply // 100, "never more than that"


BAD: dict[str, dict[str, Any]] = {
    "deal label can be at most 256 bytes, is 300": {"label": "ü" * 150},
    "proposal piece size is invalid: 127": {"piece_size": 127},
    "proposal piece size is invalid: 384": {"piece_size": 384},
    "proposal PieceCID undefined": {"piece_cid": commr_cid(bytes(32))},
    "proposal end before proposal start": {"end_epoch": 1_000},
    "Deal start epoch has already elapsed.": {"start_epoch": 499, "end_epoch": 499 + MIN_DURATION},
    "Deal duration out of bounds.": {"end_epoch": 1_001 + MAX_DURATION},
    "Storage price out of bounds.": {"storage_price_per_epoch": TOTAL_FILECOIN + 1},
    "Provider collateral out of bounds.": {"provider_collateral": 49},
    "Client collateral out of bounds.": {"client_collateral": -1},
}


@pytest.mark.parametrize("text", sorted(BAD))
def test_unfit_terms_are_named(text):
    proposal_check(PROPOSAL, now=500, least_collateral=50)

    with pytest.raises(BadDeal) as caught:
        proposal_check(replace(PROPOSAL, **BAD[text]), now=500, least_collateral=50)

    assert str(caught.value) == text


def test_a_proposals_cid_is_that_of_its_bytes():
    assert str(deal_cid(PROPOSAL)).startswith("bafy2bzace")
    assert deal_cid(PROPOSAL) != deal_cid(replace(PROPOSAL, label=b""))
