"""Blocks of our miners that another program has made: since the pool makes them, and no others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.blocks.models import Block
from apps.blocks.selectors.foreign_blocks import FOREIGN_EPOCHS, foreign_blocks
from apps.core import clock
from apps.messages.models import Recovery
from apps.miners.models import Miner
from apps.users.models import MinerGrant
from tests import factories

pytestmark = pytest.mark.django_db
HEIGHT = 1000
OURS = factories.cid("ours")


def mined(**facts: Any) -> Miner:
    """A miner that the pool has made blocks for since a minute, with one of its own at the newest epoch."""
    miner = factories.miner(1000, **facts)
    MinerGrant.objects.create(actor_id=1000, tenant=miner.tenant, open_mining=True)
    MinerGrant.objects.update(updated_at=clock.now() - timedelta(minutes=1))
    factories.head(HEIGHT, cids=[factories.cid("other"), OURS], miners=["f01009", "f01000"])
    row = {"parents": b"p", "unsigned": b""}
    Block.objects.create(actor_id=1000, height=HEIGHT, cid=OURS, **row)
    return miner


def test_the_pools_own_blocks_are_none() -> None:
    miner = mined()
    assert foreign_blocks([miner]) == {}

    Block.objects.update(cid="")
    assert foreign_blocks([miner]) == {}, "it may be signed: the row is written first"


@pytest.mark.parametrize("name", ["f01000", "t01000"])
def test_a_block_that_nobody_here_made_counts_also_beside_our_own(name: str) -> None:
    miner = mined()

    factories.head(HEIGHT + 1, miners=[name])
    assert foreign_blocks([miner]) == {miner.pk: HEIGHT + 1}
    factories.head(HEIGHT + 2, key="branch", cids=["second"], miners=[name], is_canonical=False)
    Block.objects.update(height=HEIGHT + 2)
    assert foreign_blocks([miner]) == {miner.pk: HEIGHT + 2}
    factories.head(HEIGHT + FOREIGN_EPOCHS + 2)
    assert foreign_blocks([miner]) == {}


@pytest.mark.parametrize("facts", [{"works_from": HEIGHT + 2}, {"works_until": HEIGHT + 1}])
def test_blocks_of_epochs_of_the_other_program_are_its_own(facts: dict[str, int]) -> None:
    miner = mined(**facts)

    factories.head(HEIGHT + 1, miners=["f01000"])

    assert foreign_blocks([miner]) == {}


def test_blocks_of_the_time_before_the_pool_made_them_do_not_count() -> None:
    miner = mined()
    factories.head(HEIGHT + 1, miners=["f01000"])
    assert foreign_blocks([miner])

    MinerGrant.objects.update(updated_at=clock.now() + timedelta(minutes=1))
    assert foreign_blocks([miner]) == {}
    MinerGrant.objects.update(updated_at=clock.now() - timedelta(minutes=1), open_mining=False)
    assert foreign_blocks([miner]) == {}
    MinerGrant.objects.update(open_mining=True)
    assert foreign_blocks([miner])
    Recovery.objects.update_or_create(pk=1, defaults={"restored_at": clock.now() + timedelta(minutes=1)})
    assert foreign_blocks([miner]) == {}, "rows of blocks made since the backup are lost"
