"""Rows of a SHA-254 tree with hashlib."""

from __future__ import annotations

from hashlib import sha256


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of both children, the two top bits cleared."""
    digest = sha256(left + right).digest()
    return digest[:31] + bytes([digest[31] & 0x3F])


def hash_row(children: list[bytes]) -> list[bytes]:
    """Hash neighbours pairwise."""
    return [node_hash(children[i], children[i + 1]) for i in range(0, len(children), 2)]
