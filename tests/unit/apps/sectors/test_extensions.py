"""Which sectors can be extended, each by itself."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apps.sectors.onchain.live_sectors import live_sectors_read
from apps.sectors.rules.extensions import extended
from apps.sectors.selectors.change_prices import ChangeRequest, changes_price
from poolsite.filecoin.expiration import BadExpiration
from poolsite.filecoin.policy import TEST
from poolsite.wire.pipeline.changes import ChangeKind
from tests import factories
from tests.unit.apps.sectors.adoptions import Chain

DROPPED, KEPT = 1, 2
CLAIM = {"Provider": 1000, "Client": 1234, "Data": {"/": factories.cid("data")}, "Size": 1024, "TermMin": 10}


class ChainWithClaims(Chain):
    """A chain that also says how much FIL circulates."""

    def call(self, method: str, *params: Any) -> Any:
        if method == "StateVMCirculatingSupplyInternal":
            return {"FilCirculating": str(10**27)}
        return super().call(method, *params)


def test_faulty_and_unproven_sectors_are_refused_by_themselves() -> None:
    chain = Chain(live={(0, 0): {1, 2, 3}}, faulty={2}, unproven={3})
    live = live_sectors_read(cast("Any", chain), "f01000", [1, 2, 3], size=2048, key="")

    def refusal(number: int) -> str:
        try:
            extended(
                live[number], 910_000, claims=(), drops=False, now=800_000, circulating=10**27, network=TEST
            )
        except BadExpiration as error:
            return str(error)
        return ""

    assert refusal(1) == ""
    assert refusal(2) == "it is faulty: extend it once it has recovered"
    assert refusal(3) == "it is not proven yet: extend it after its first window"


@pytest.mark.django_db
@pytest.mark.parametrize("drops", [False, True])
def test_a_claim_that_an_earlier_extension_dropped_ends_no_sector(drops: bool) -> None:
    row = factories.sector(factories.miner(), state="PROVING", number=1, expiration=900_001)
    chain = ChainWithClaims(
        live={(0, 0): {1}},
        claims={
            str(DROPPED): CLAIM | {"Sector": 1, "TermStart": 100, "TermMax": 700_000},
            str(KEPT): CLAIM | {"Sector": 1, "TermStart": 100, "TermMax": 1_500_000},
        },
    )

    [price] = changes_price(
        row.miner,
        sectors=[row],
        request=ChangeRequest(kind=ChangeKind.EXTEND, drops_claims=drops),
        client=cast("Any", chain),
        head=factories.head(800_000),
        network=TEST,
    )

    assert price.refusal == ""
    assert price.after is not None
    assert price.after.expiration > 900_001
    assert (price.after.maintained, price.after.dropped) == ((KEPT,), ())
