"""Sectors that wait for a batch."""

from __future__ import annotations

from typing import Any, cast

from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.unit.apps.sectors.sealing import NOON

NETWORK = network_by_name("localnet-poolsite-test")


def work(height: int = 100, *, base_fee: int = 100, **policy: Any) -> SealingContext:
    """A pass at a height; the client is not asked."""
    head = factories.head(height, base_fee=base_fee)
    return SealingContext(
        client=cast("Any", None), network=NETWORK, head=head, now=NOON, policy=SealingPolicy(**policy)
    )


def waiting(count: int, *, since: int, state: str = "PERSISTED", **data: Any) -> list[Any]:
    """Sectors of one miner that wait for a batch."""
    miner = factories.miner()
    data = {"ticket_epoch": 90, "precommit_epoch": 90, **data}
    return [factories.sector(miner, state=state, ready_height=since, **data) for _ in range(count)]
