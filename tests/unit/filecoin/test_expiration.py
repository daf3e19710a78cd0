"""The actor's rules for expirations, with its words."""

from __future__ import annotations

import pytest

from poolsite.filecoin.expiration import (
    BadExpiration,
    expiration_check,
    extension_check,
)
from poolsite.filecoin.policy import DEMO, MAINNET

DAY = 2880


@pytest.mark.parametrize(
    ("expiration", "activation", "text"),
    [
        (100, 100, "sector expiration 100 must be after activation 100"),
        (
            200,
            100,
            "invalid expiration 200, total sector lifetime (100) must exceed 518400 after activation 100",
        ),
        (
            1278 * DAY + 11,
            100,
            "invalid expiration 3680651, cannot be more than 3680640 past current epoch 10",
        ),
        (
            1278 * DAY,
            -600 * DAY,
            "invalid expiration 3680640, total sector lifetime (5408640) cannot exceed 5256000 "
            "after activation -1728000",
        ),
    ],
)
def test_the_actor_s_words(expiration: int, activation: int, text: str) -> None:
    with pytest.raises(BadExpiration) as refusal:
        expiration_check(expiration, activation=activation, now=10, network=MAINNET)

    assert str(refusal.value) == text


def test_an_extension_never_shortens() -> None:
    with pytest.raises(BadExpiration, match="cannot reduce sector 7 expiration to 599999 from 600000"):
        extension_check(599_999, sector=7, old_expiration=600_000, activation=0, now=10, network=DEMO)
    extension_check(600_000, sector=7, old_expiration=600_000, activation=0, now=10, network=DEMO)
