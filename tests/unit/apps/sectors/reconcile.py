"""One pass over the sectors at a height."""

from __future__ import annotations

from typing import Any, cast

from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from poolsite.filecoin.policy import network_by_name
from tests import factories
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.sealing import NOON

NETWORK = network_by_name("localnet-poolsite-test")


def work(chain: SomeSectors, height: int = 200) -> SealingContext:
    """One pass at a height."""
    return SealingContext(
        client=cast("Any", chain),
        network=NETWORK,
        head=factories.head(height),
        now=NOON,
        policy=SealingPolicy(),
    )
