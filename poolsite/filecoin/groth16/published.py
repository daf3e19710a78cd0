"""The parameter files that the public networks take, by name and digest, as their list has them.

`published.json` is that list: mainnet and calibration share it.  A digest is the first 16 bytes of the whole
file's BLAKE2b-512.
Source: filecoin-project/lotus build/proof-params/parameters.json; rust-fil-proofs
storage-proofs-core/srs-inner-product.json; go-paramfetch checks files so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Final

PUBLISHED: Final[dict[str, str]] = json.loads(Path(__file__).with_suffix(".json").read_text())
"""Digests by file name: parameters, verifying keys, and the set-up of aggregates."""

DIGEST_BYTES: Final = 16
"""Bytes of a file's blake2b that the list holds: its first ones."""
_CHUNK: Final = 1 << 22
"""Bytes that are hashed at a time."""


class ForeignParameters(ValueError):
    """A file that is not the one that the public networks' list names; the text says which."""


def data_digest(data: bytes) -> str:
    """Return the digest of a whole file's bytes, as the list has it."""
    return blake2b(data).digest()[:DIGEST_BYTES].hex()


def file_digest(path: Path, *, progress: Callable[[int, int], None] | None = None) -> str:
    """Return a file's digest; `progress` is called with the bytes read and all.  Raises OSError."""
    hasher, hashed, total = blake2b(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            hashed += len(chunk)
            if progress is not None:
                progress(hashed, total)
    return hasher.digest()[:DIGEST_BYTES].hex()


def published_check(name: str, digest: str) -> None:
    """Refuse a file of another digest than the list names.  Raises ForeignParameters."""
    expected = PUBLISHED.get(name)
    if expected is None:
        raise ForeignParameters(f"{name} is not in the public networks' parameter list")
    if digest != expected:
        raise ForeignParameters(
            f"{name} is not the file in the public networks' list: its digest is {digest}, not {expected}"
        )
