"""Inclusion proofs as the values that the gadget `inclusion` is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import MerkleProof


def path_arities(arities: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return the arities of the rows of base, sub and top, the leaf's first."""
    return tuple(arity for rows in arities for arity in rows)


def path_values(proof: MerkleProof) -> Iterator[int]:
    """Yield for each row the bits of the place among the children, the lowest first, then the siblings."""
    for element in (*proof.base, *proof.sub, *proof.top):
        for place in range(len(element.hashes).bit_length()):
            yield element.index >> place & 1
        for node in element.hashes:
            yield int.from_bytes(node, "little")


def siblings_of(proof: MerkleProof) -> Iterator[int]:
    """Yield the siblings alone, row by row."""
    for element in (*proof.base, *proof.sub, *proof.top):
        for node in element.hashes:
            yield int.from_bytes(node, "little")
