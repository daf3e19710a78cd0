from __future__ import annotations

import pytest

from workers.storage.sizes import size_text


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        ((1 << 20) - 1, "1,024.0 KiB"),
        (64 << 30, "64.0 GiB"),
        (5 << 50, "5,120.0 TiB"),
    ],
)
def test_an_amount_is_said_in_the_largest_unit_that_it_fills(count, words):
    assert size_text(count) == words
