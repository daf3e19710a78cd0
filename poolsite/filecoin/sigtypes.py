"""The types of signatures and their names.  Source: go-state-types crypto/signature.go."""

from __future__ import annotations

from typing import Final

SIG_SECP256K1: Final = 1
"""65 bytes R S V over blake2b-256 of the signed bytes."""
SIG_BLS: Final = 2
"""96 bytes, a point of G2, over the signed bytes themselves."""
SIG_DELEGATED: Final = 3
"""65 bytes R S V over keccak-256 of an Ethereum transaction."""

SIG_TYPE_NAMES: Final = {SIG_SECP256K1: "secp256k1", SIG_BLS: "bls", SIG_DELEGATED: "delegated"}
"""Names as lotus prints and key files carry them."""

MAX_SIGNATURE_LEN: Final = 200
"""Longest signature in bytes, its type byte included."""
SECP256K1_SIGNATURE_LEN: Final = 65
"""Bytes of R, S and V, without the type."""
BLS_SIGNATURE_LEN: Final = 96
"""Bytes of a compressed point of G2, without the type."""
