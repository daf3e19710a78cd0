"""Published deals that will be sealed after their start are named before their collateral burns."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache

from apps.core import clock
from apps.market.selectors.deals_late import LateDeals, deals_late
from apps.miners.models import Miner
from apps.sectors.models import Sector
from tests import factories
from tests.mk20 import sized
from tests.unit.apps.sectors.snap_up import NETWORK

pytestmark = pytest.mark.django_db

HOUR = 3600 // NETWORK.epoch_s
FIRST = NETWORK.pre_commit_challenge_delay + 2
"""Epochs from a head to the first in which a sector without any work can be active."""


@pytest.fixture
def miner() -> Miner:
    """A miner of a farm where a sector takes three hours before its seed, and one after."""
    cache.clear()
    row = factories.miner()
    made = factories.sector(row, state="PROVING", active=True)
    Sector.objects.filter(pk=made.pk).update(created_at=clock.now() - timedelta(days=1))
    made.refresh_from_db()
    factories.events(made, [("PC1", "PC1", 3 * 3600), ("C2", "C2", 3600)])
    return row


def published(miner: Miner, start: int, **changes: Any) -> None:
    values = {"state": "VERIFIED", "door": "mk12", "chain_deal": start, **changes}
    factories.deal(miner, sized(b"data"), start_epoch=start, **values)


def late(miner: Miner) -> dict[Miner, LateDeals]:
    return deals_late([miner], height=1000, until=99_000, network=NETWORK)


def test_data_that_are_in_no_sector_need_all_of_its_time(miner: Miner) -> None:
    expected = 1000 + 4 * HOUR + FIRST
    published(miner, expected)
    assert late(miner) == {}

    published(miner, expected - 1)
    published(miner, expected - 2)
    published(miner, expected - 3, chain_deal=None)
    published(miner, expected - 4, state="ACTIVE")
    published(miner, 900)
    assert late(miner) == {miner: LateDeals(2, expected - 2, expected)}


@pytest.mark.parametrize(
    ("state", "precommit", "left"),
    [
        ("TICKET_ASSIGNED", None, 4 * HOUR + FIRST),
        ("PC1_DONE", None, HOUR + FIRST),
        ("PRECOMMIT_LANDED", 1000, HOUR + FIRST - 1),
        ("C1_DONE", 900, HOUR + 1),
        ("C2_DONE", 900, 1),
        ("PROVING", 900, 0),
    ],
)
def test_sector_that_is_being_sealed_needs_what_is_left(
    miner: Miner, state: str, precommit: int | None, left: int
) -> None:
    factories.sector(miner, number=4, state=state, precommit_epoch=precommit)
    published(miner, 1000 + left, state="SEALING", sector_number=4)
    assert late(miner) == {}
    if left:
        published(miner, 1000 + max(left - 1, 1), state="SEALING", sector_number=4)
        assert (late(miner) != {}) == (left > 1)
