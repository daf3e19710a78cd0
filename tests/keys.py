"""Keys that are the same in every run."""

from __future__ import annotations

from poolsite.filecoin.keys import KeyInfo, key_generate


def fixed_key(key_type: str = "secp256k1", seed: int = 1) -> KeyInfo:
    """Return the key of a type that this seed makes."""
    return key_generate(key_type, random_bytes=lambda size: bytes([seed]) * size)
