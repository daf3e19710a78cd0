"""Keccak-256 against published digests."""

from __future__ import annotations

import hashlib

import pytest

from poolsite.filecoin.keccak import RATE, keccak256


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"transfer(address,uint256)", "a9059cbb2ab09eb219583f4a59a5d0623ade346d962bcd4e46b11da047c9049b"),
    ],
)
def test_published_digests(data: bytes, digest: str) -> None:
    assert keccak256(data).hex() == digest


def test_lengths_around_a_block_differ_from_sha3_and_from_each_other() -> None:
    digests = {keccak256(bytes(length)) for length in range(RATE - 2, RATE + 3)}

    assert len(digests) == 5
    assert hashlib.sha3_256(bytes(RATE)).digest() not in digests
