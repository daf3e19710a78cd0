"""The set-up of aggregates: powers of two secrets, in G1 and in G2, in the file of the network.

The file has four lists, each with its length before it (u32, big-endian) and compressed points: powers of
alpha and of beta in G1, then in G2.  Whoever aggregates needs all of them, hundreds of MB; who verifies only
the first two of each list, which `aggregate_key_read` finds by their places.

Source: filecoin-project/bellperson src/groth16/aggregate/srs.rs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.groth16.circuits import PARAMETER_VERSION
from poolsite.filecoin.groth16.curve import (
    G1_BYTES,
    G2_BYTES,
    BadPoint,
    g1_from_compressed,
    g2_from_compressed,
)

if TYPE_CHECKING:
    from blspy import G1Element, G2Element

POWERS_NAME: Final = f"v{PARAMETER_VERSION}-fil-inner-product-v1.srs"
"""Name of the file in the folder of parameters."""

LISTS: Final = (G1_BYTES, G1_BYTES, G2_BYTES, G2_BYTES)
"""Bytes of a point of each list."""


class BadPowers(ValueError):
    """A file that does not hold the powers."""


@dataclass(frozen=True, slots=True)
class AggregateKey:
    """What the check of aggregates needs of the set-up."""

    g: G1Element
    """First point of the lists in G1."""
    h: G2Element
    """First point of the lists in G2."""
    g_alpha: G1Element
    """alpha · g."""
    g_beta: G1Element
    """beta · g."""
    h_alpha: G2Element
    """alpha · h."""
    h_beta: G2Element
    """beta · h."""


def powers_lists(path: Path) -> list[tuple[int, int]]:
    """Return where each list's points begin and how many there are.  Raises BadPowers, OSError."""
    size, at, found = path.stat().st_size, 0, []
    with path.open("rb") as file:
        for width in LISTS:
            file.seek(at)
            head = file.read(4)
            if len(head) != 4:
                raise BadPowers(f"{path.name}: truncated after {size} bytes")
            (length,) = struct.unpack(">I", head)
            found.append((at + 4, length))
            at += 4 + length * width
    if at != size or min(length for _, length in found) < 2:
        raise BadPowers(f"{path.name}: {size} bytes instead of the {at} that its lists take")
    return found


def aggregate_key_read(path: Path) -> AggregateKey:
    """Return what checks need of a set-up.  Raises BadPowers, OSError."""
    return _aggregate_key(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _aggregate_key(path: Path, _changed: int) -> AggregateKey:
    """Return the first two points of each list, read once for each state of the file (`_changed`, ns).

    Each list begins with its generator, and the next point is the secret times it; both lists of one group
    must begin with the same.
    """
    points: list[bytes] = []
    with path.open("rb") as file:
        for (start, _), width in zip(powers_lists(path), LISTS, strict=True):
            file.seek(start)
            points += [file.read(width), file.read(width)]
    try:
        g, g_alpha, g_again, g_beta = map(g1_from_compressed, points[:4])
        h, h_alpha, h_again, h_beta = map(g2_from_compressed, points[4:])
    except BadPoint as error:
        raise BadPowers(f"{path.name}: bad point: {error}") from None
    if (g, h) != (g_again, h_again):
        raise BadPowers(f"{path.name}: its lists begin with different points")
    return AggregateKey(g, h, g_alpha, g_beta, h_alpha, h_beta)
