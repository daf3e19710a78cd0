"""Groth16 parameter files as bellperson writes them.

Source: spec snark section 2.2; filecoin-project/bellperson src/groth16/{params,verifying_key}.rs.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from poolsite.filecoin.groth16.verification import KEY_HEAD_BYTES
from workers.snark.points import G1, G2, BadPoints, points_decode, points_encode

if TYPE_CHECKING:
    from pathlib import Path

    from workers.snark.arrays import Words
    from workers.snark.points import Group

SECTIONS = (("h", G1), ("l", G1), ("a", G1), ("b_g1", G1), ("b_g2", G2))
"""Lists of points behind the verifying key, in the order of the file."""


class BadParameters(ValueError):
    """A file that holds no parameters, or not those of this circuit."""


@dataclass(frozen=True, slots=True)
class KeyPoints:
    """The points of a verifying key that a prover uses, one row each."""

    alpha: Words
    """In G1."""
    beta_g1: Words
    """In G1."""
    beta_g2: Words
    """In G2."""
    delta_g1: Words
    """In G1."""
    delta_g2: Words
    """In G2."""


class ParameterFile:
    """An open parameter file: its sections are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        """Raise BadParameters where the counts in the file do not add up to its size."""
        self.path = path
        with path.open("rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
        self.ic_count, offset = self._count(KEY_HEAD_BYTES, G1, "ic")
        self.key_bytes = offset
        self.sections: dict[str, tuple[Group, int, int]] = {}
        for name, group in SECTIONS:
            count, end = self._count(offset, group, name)
            self.sections[name] = (group, end - count * group.point_bytes, count)
            offset = end
        if offset != len(self.data):
            raise BadParameters(f"{path.name}: {len(self.data) - offset} bytes follow the last section")

    def _count(self, offset: int, group: Group, name: str) -> tuple[int, int]:
        if offset + 4 > len(self.data):
            raise BadParameters(f"{self.path.name} ends before section {name}: {len(self.data)} bytes")
        (count,) = struct.unpack_from(">I", self.data, offset)
        end = offset + 4 + count * group.point_bytes
        if end > len(self.data):
            raise BadParameters(
                f"{self.path.name} ends in section {name}: {len(self.data)} bytes instead of at least {end}"
            )
        return count, end

    def counts(self) -> dict[str, int]:
        """Return how many points each section has."""
        return {"ic": self.ic_count, **{name: count for name, (_, _, count) in self.sections.items()}}

    def verifying_key(self) -> bytes:
        """Return the bytes of the verifying key, which are also those of the `.vk` file."""
        return bytes(self.data[: self.key_bytes])

    def points(self, name: str) -> Words:
        """Return the points of a section as rows.  Raises BadParameters."""
        group, start, count = self.sections[name]
        return self._decoded(group, start, count, name)

    def key_points(self) -> KeyPoints:
        """Return the prover's points of the verifying key.  Raises BadParameters."""
        groups = (G1, G1, G2, G2, G1, G2)
        ends = [0]
        for group in groups:
            ends.append(ends[-1] + group.point_bytes)
        alpha, beta_g1, beta_g2, _gamma, delta_g1, delta_g2 = (
            self._decoded(group, start, 1, "key")[0]
            for group, (start, _) in zip(groups, pairwise(ends), strict=True)
        )
        return KeyPoints(alpha, beta_g1, beta_g2, delta_g1, delta_g2)

    def _decoded(self, group: Group, start: int, count: int, name: str) -> Words:
        try:
            return points_decode(group, self.data[start : start + count * group.point_bytes])
        except BadPoints as error:
            raise BadParameters(f"{self.path.name}, section {name}: {error}") from None


def section_encode(group: Group, points: Words) -> bytes:
    """Return a section: its count and its points."""
    return struct.pack(">I", len(points)) + points_encode(group, points)
