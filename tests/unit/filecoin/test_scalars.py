from __future__ import annotations

import pytest

from poolsite.filecoin.scalars import SCALAR_MODULUS, BadScalar, scalar_from_bytes, scalar_to_bytes, trimmed


@pytest.mark.parametrize("scalar", [0, 1, 255, SCALAR_MODULUS - 1])
def test_a_scalar_comes_back_from_its_bytes(scalar):
    assert scalar_from_bytes(scalar_to_bytes(scalar)) == scalar


@pytest.mark.parametrize(
    "node",
    [b"", bytes(31), bytes(33), SCALAR_MODULUS.to_bytes(32, "little"), b"\xff" * 32],
    ids=["empty", "short", "long", "the modulus", "all ones"],
)
def test_bytes_that_are_no_canonical_scalar_are_refused(node):
    with pytest.raises(BadScalar):
        scalar_from_bytes(node)


def test_trimming_clears_only_the_two_top_bits():
    assert trimmed(b"\xff" * 32) == b"\xff" * 31 + b"\x3f"
