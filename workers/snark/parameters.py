"""Groth16 parameter files as bellperson writes them.

Source: filecoin-project/bellperson src/groth16/{params,verifying_key}.rs.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from poolsite.filecoin.groth16.published import (
    PUBLISHED,
    ForeignParameters,
    data_digest,
    file_digest,
    published_check,
)
from poolsite.filecoin.groth16.verification import KEY_HEAD_BYTES, BadVerifyingKey, verifying_key_decode
from workers.snark.points import G1, G2, BadPoints, points_decode, points_encode
from workers.snark.subgroups import first_outside_subgroup

if TYPE_CHECKING:
    from workers.snark.arrays import Words
    from workers.snark.points import Group

SECTIONS = (("h", G1), ("l", G1), ("a", G1), ("b_g1", G1), ("b_g2", G2))
"""Lists of points behind the verifying key, in the order of the file."""

WRITE_POINTS = 1 << 16
"""Points that are encoded at a time."""


class BadParameters(ValueError):
    """A file that holds no parameters, or not those of this circuit."""


class ParameterSource(Protocol):
    """Where a prover's parameters come from: a file, or its conversion."""

    @property
    def name(self) -> str:
        """Name of the file."""

    def counts(self) -> dict[str, int]:
        """Return how many points each section has."""

    def key_points(self) -> KeyPoints:
        """Return the prover's points of the verifying key.  Raises BadParameters."""

    def points(self, name: str) -> Words:
        """Return the points of a section as rows.  Raises BadParameters."""

    def verifying_key(self) -> bytes:
        """Return the bytes of the verifying key."""


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

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    def counts(self) -> dict[str, int]:
        """Return how many points each section has."""
        return {"ic": self.ic_count, **{name: count for name, (_, _, count) in self.sections.items()}}

    def verifying_key(self) -> bytes:
        """Return the bytes of the verifying key, which are also those of the `.vk` file."""
        return bytes(self.data[: self.key_bytes])

    def points(self, name: str) -> Words:
        """Return the points of a section as rows.  Raises BadParameters."""
        return self.points_between(name, 0, self.sections[name][2])

    def points_between(self, name: str, first: int, end: int) -> Words:
        """Return some points of a section as rows.  Raises BadParameters."""
        group, start, _ = self.sections[name]
        at = start + first * group.point_bytes
        return self._decoded(group, at, end - first, f"section {name}", first=first)

    def key_points(self) -> KeyPoints:
        """Return the prover's points of the verifying key.  Raises BadParameters."""
        groups = (G1, G1, G2, G2, G1, G2)
        ends = [0]
        for group in groups:
            ends.append(ends[-1] + group.point_bytes)
        alpha, beta_g1, beta_g2, _gamma, delta_g1, delta_g2 = (
            self._decoded(group, start, 1, "verifying key")[0]
            for group, (start, _) in zip(groups, pairwise(ends), strict=True)
        )
        return KeyPoints(alpha, beta_g1, beta_g2, delta_g1, delta_g2)

    def key_check(self) -> None:
        """Check the verifying key's points, also those that only a verifier uses.  Raises BadParameters."""
        try:
            verifying_key_decode(self.verifying_key())
        except BadVerifyingKey as error:
            raise BadParameters(f"{self.path.name}, verifying key: {error}") from None

    @property
    def is_published(self) -> bool:
        """Return whether its verifying key is the one that the public networks' list names."""
        listed = PUBLISHED.get(f"{self.path.stem}.vk")
        return listed is not None and data_digest(self.verifying_key()) == listed

    def published_check(self) -> None:
        """Refuse a file that has a published key and other points than belong to it.

        One of another set-up passes: chains of one's own take it.  Raises BadParameters, OSError.
        """
        if not self.is_published:
            return
        try:
            published_check(self.name, file_digest(self.path))
        except ForeignParameters as error:
            raise BadParameters(str(error)) from None

    def _decoded(self, group: Group, start: int, count: int, where: str, *, first: int = 0) -> Words:
        try:
            points = points_decode(group, self.data[start : start + count * group.point_bytes], first=first)
        except BadPoints as error:
            raise BadParameters(f"{self.path.name}, {where}: {error}") from None
        row = first_outside_subgroup(group, points)
        if row >= 0:
            raise BadParameters(
                f"{self.path.name}, {where}: point {first + row} of {group.name} is not in the subgroup"
            )
        return points


def section_write(file: BinaryIO, group: Group, points: Words) -> None:
    """Write a section: its count and its points."""
    file.write(struct.pack(">I", len(points)))
    for first in range(0, len(points), WRITE_POINTS):
        file.write(points_encode(group, points[first : first + WRITE_POINTS]))
