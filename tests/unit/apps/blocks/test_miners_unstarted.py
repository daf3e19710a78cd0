"""Miners that moved in and of which nobody makes blocks: until somebody starts them, or wants none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.blocks.selectors.miners_without_rounds import UNSTARTED_EPOCHS, miners_unstarted
from apps.blocks.services.mining import mining_set
from apps.core import clock
from apps.miners.models import Miner
from apps.users.models import MinerGrant
from apps.users.rules.principals import SYSTEM
from tests import factories

pytestmark = pytest.mark.django_db
HEIGHT, EPOCH_S = 1000, 30.0
MOVED_AT = HEIGHT - UNSTARTED_EPOCHS


def moved(**facts: Any) -> Miner:
    """A miner with power that has moved in; an hour before, setting the height stopped its blocks."""
    miner = factories.miner(1000, **{"works_from": MOVED_AT, "has_min_power": True, **facts})
    MinerGrant.objects.create(actor_id=1000, tenant=miner.tenant, open_mining=False)
    MinerGrant.objects.update(updated_at=clock.now() - timedelta(hours=1))
    return miner


def unstarted(miner: Miner) -> bool:
    """Return whether it is found at the newest head."""
    return miners_unstarted([miner], height=HEIGHT, epoch_s=EPOCH_S, now=clock.now()) == [miner]


@pytest.mark.parametrize(
    ("facts", "is_found"),
    [
        ({}, True),
        ({"works_from": None}, False),
        ({"works_from": MOVED_AT + 1}, False),
        ({"works_until": HEIGHT + 9}, False),
        ({"has_min_power": False}, False),
    ],
)
def test_a_miner_that_moved_in_with_power_is_found_some_epochs_later(
    facts: dict[str, Any], *, is_found: bool
) -> None:
    assert unstarted(moved(**facts)) == is_found


def test_one_that_somebody_started_or_stopped_since_is_not() -> None:
    miner = moved()
    MinerGrant.objects.update(open_mining=True)
    assert not unstarted(miner)

    MinerGrant.objects.update(open_mining=False, updated_at=clock.now())
    assert not unstarted(miner), "a person wants none"


def test_saying_again_that_no_blocks_are_wanted_ends_it() -> None:
    miner = moved()

    assert not mining_set(miner, is_on=False, principal=SYSTEM), "none are made already"

    assert not unstarted(miner)


def test_one_whose_blocks_another_program_makes_is_not() -> None:
    miner = moved()
    factories.head(MOVED_AT, miners=["f01000"])

    assert not unstarted(miner)
