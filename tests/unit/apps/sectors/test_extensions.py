"""Which sectors can be extended, each by itself."""

from __future__ import annotations

from typing import Any, cast

from apps.sectors.extensions import extended
from apps.sectors.live_sectors import live_sectors_read
from poolsite.filecoin.expiration import BadExpiration
from poolsite.filecoin.policy import TEST
from tests.unit.apps.sectors.adoptions import Chain


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
