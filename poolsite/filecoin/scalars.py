"""Scalars of BLS12-381 (the field Fr) and their 32 little-endian bytes, the form of every Filecoin tree node.

Only values below r have such a form: bytes at or above it are refused, never reduced, as one node must not
have two forms.

Source: filecoin-project/rust-fil-proofs filecoin-hashers/src/poseidon.rs PoseidonDomain.
"""

from __future__ import annotations

SCALAR_MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Order r of the BLS12-381 groups, a prime of 255 bits."""

NODE_BYTES = 32
"""Bytes of one node: a scalar or a trimmed SHA-256 digest."""

TOP_BYTE_MASK = 0x3F
"""Keeps 254 bits of a 32-byte little-endian value when applied to its last byte."""


class BadScalar(ValueError):
    """Bytes that are not the canonical form of a scalar."""


def scalar_from_bytes(node: bytes) -> int:
    """Read a scalar.  Raises BadScalar unless there are exactly 32 bytes with a value below r."""
    value = int.from_bytes(node, "little")
    if len(node) != NODE_BYTES or value >= SCALAR_MODULUS:
        raise BadScalar(node.hex())
    return value


def scalar_to_bytes(scalar: int) -> bytes:
    """Write a scalar (0 ≤ scalar < r) as 32 little-endian bytes."""
    return scalar.to_bytes(NODE_BYTES, "little")


def trimmed(digest: bytes) -> bytes:
    """Clear the two top bits of a 32-byte digest, so that it fits 254 bits and is a scalar.

    Source: rust-fil-proofs fr32/src/convert.rs bytes_into_fr_repr_safe.
    """
    return digest[:31] + bytes((digest[31] & TOP_BYTE_MASK,))
