"""The network's circuits and the files of their parameters: what they are called, how large, where they lie.

Names and folder are those of rust-fil-proofs, so files that an operator already has are used as they are.
Loads no kernel.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.groth16.circuits import (
    parameters_name,
    porep_circuit_id,
    post_circuit_id,
    update_circuit_id,
    verifying_key_name,
)
from poolsite.filecoin.groth16.keys import TOXIC_SUFFIX, parameter_folder, state_folder
from poolsite.filecoin.groth16.powers import POWERS_NAME
from poolsite.filecoin.groth16.published import PUBLISHED, data_digest
from poolsite.filecoin.groth16.verification import IC_BYTES, KEY_HEAD_BYTES
from poolsite.filecoin.porep.parameters import SECTOR_SIZES, seal_parameters
from poolsite.filecoin.post.parameters import PoStKind, post_parameters
from poolsite.filecoin.update.parameters import update_parameters
from workers.storage.files import is_complete

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.filecoin.post.parameters import PoStParameters
    from poolsite.filecoin.update.parameters import UpdateParameters

CONVERSION_FORMAT: Final = 1
"""Number of the form of conversions; others are made anew."""
KEY_POINTS_MAX: Final = 1 << 16
"""More points than a verifying key of ours has: a WindowPoSt of 64 GiB has some 26,000."""
MEASURE_VALID_S: Final = 3600
"""How long the last proof's time counts."""


class CircuitKind(StrEnum):
    """What a circuit proves."""

    WINDOW_POST = "window_post"
    WINNING_POST = "winning_post"
    POREP = "porep"
    UPDATE = "update"


FILE_BYTES: Final = {
    CircuitKind.WINNING_POST: (47_299_128, 113_383_224, 165_299_640, 192_050_232, 200_014_584),
    CircuitKind.WINDOW_POST: (11_501_496, 30_859_704, 45_257_400, 60_780_374_232, 62_556_733_560),
    CircuitKind.POREP: (1_114_707_768, 1_429_027_896, 1_988_841_144, 47_373_928_632, 47_624_967_288),
    CircuitKind.UPDATE: (655_789_464, 4_268_165_208, 21_741_422_712, 34_453_501_368, 35_507_495_352),
}
"""Bytes of the parameter files, by sector size; they follow from the circuits."""


class Origin(StrEnum):
    """Whose set-up a parameter file is of, as far as its first bytes say."""

    PUBLISHED = "published"
    """It begins with the verifying key that the public networks' list names."""
    SEED = "seed"
    """Its mark says that it was made from a known seed."""
    OTHER = "other"
    """Neither."""


class ParametersMissing(Exception):
    """There is no whole parameter file where it is looked for; the text says which, how large, and where."""


@dataclass(frozen=True, slots=True)
class CircuitSpec:
    """One circuit of the network."""

    kind: CircuitKind
    """What it proves."""
    size_index: int
    """Place of the sector size in SECTOR_SIZES."""
    id: str
    """Id in file names."""

    @property
    def sector_bytes(self) -> int:
        """Padded sector size."""
        return SECTOR_SIZES[self.size_index]

    @property
    def parameters_name(self) -> str:
        """Name of the parameter file."""
        return parameters_name(self.id)

    @property
    def verifying_key_name(self) -> str:
        """Name of the verifying key's file."""
        return verifying_key_name(self.id)

    @property
    def file_bytes(self) -> int:
        """Bytes of the parameter file."""
        return FILE_BYTES[self.kind][self.size_index]


def post_spec(parameters: PoStParameters) -> CircuitSpec:
    """Return the circuit of a PoSt; all generations of a size share it."""
    kind = CircuitKind.WINNING_POST if parameters.kind is PoStKind.WINNING else CircuitKind.WINDOW_POST
    return CircuitSpec(kind, SECTOR_SIZES.index(parameters.sector_bytes), post_circuit_id(parameters))


def porep_spec(parameters: SealParameters) -> CircuitSpec:
    """Return the circuit of a PoRep partition; all generations of a size share it."""
    size = SECTOR_SIZES.index(parameters.sector_bytes)
    return CircuitSpec(CircuitKind.POREP, size, porep_circuit_id(parameters))


def update_spec(parameters: UpdateParameters) -> CircuitSpec:
    """Return the circuit of a replica update."""
    size = SECTOR_SIZES.index(parameters.sector_bytes)
    return CircuitSpec(CircuitKind.UPDATE, size, update_circuit_id(parameters))


def spec_for(kind: CircuitKind, sector_bytes: int) -> CircuitSpec:
    """Return the circuit of a kind for a registered sector size.  Raises ValueError."""
    size, sizes = SECTOR_SIZES.index(sector_bytes), len(SECTOR_SIZES)
    if kind is CircuitKind.WINNING_POST:
        return post_spec(post_parameters(size))
    if kind is CircuitKind.WINDOW_POST:
        return post_spec(post_parameters(sizes + size))
    if kind is CircuitKind.UPDATE:
        return update_spec(update_parameters(size))
    return porep_spec(seal_parameters(size))


def is_here(spec: CircuitSpec) -> bool:
    """Return whether a circuit's parameters are there in their whole size, no download that goes on."""
    return is_complete(parameter_folder() / spec.parameters_name, spec.file_bytes)


def parameters_path(spec: CircuitSpec) -> Path:
    """Return the path of a circuit's parameters.  Raises ParametersMissing."""
    path = parameter_folder() / spec.parameters_name
    if not is_here(spec):
        fault = f"incomplete ({path.stat().st_size:,} bytes)" if path.exists() else "missing"
        raise ParametersMissing(
            f"the parameters of {spec.kind} for sectors of {spec.sector_bytes} bytes are {fault}: "
            f"{spec.parameters_name}, {spec.file_bytes:,} bytes, expected in {path.parent}"
        )
    return path


def toxic_path(spec: CircuitSpec) -> Path:
    """Return the path of the mark beside parameters whose secrets are known."""
    return parameter_folder() / (spec.parameters_name.removesuffix(".params") + TOXIC_SUFFIX)


def parameters_origin(spec: CircuitSpec) -> Origin:
    """Return whose set-up a circuit's file is of; the points behind its key are compared at conversion."""
    if toxic_path(spec).exists():
        return Origin.SEED
    path = parameter_folder() / spec.parameters_name
    try:
        stat = path.stat()
        digest = _key_digest(path, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return Origin.OTHER
    is_listed = digest == PUBLISHED[spec.verifying_key_name]
    return Origin.PUBLISHED if is_listed else Origin.OTHER


@lru_cache(maxsize=16)
def _key_digest(path: Path, _size: int, _changed: int) -> str:
    """Return the digest of the verifying key that a file begins with: all its bytes up to its last point."""
    with path.open("rb") as file:
        head = file.read(KEY_HEAD_BYTES + 4)
        count = int.from_bytes(head[KEY_HEAD_BYTES:], "big")
        return data_digest(head + file.read(min(count, KEY_POINTS_MAX) * IC_BYTES))


def powers_path() -> Path:
    """Return the path of the set-up of aggregates."""
    return parameter_folder() / POWERS_NAME


def powers_toxic_path() -> Path:
    """Return the path of the mark beside a set-up of aggregates whose secrets are known."""
    return parameter_folder() / (POWERS_NAME.removesuffix(".srs") + TOXIC_SUFFIX)


def converted_folder() -> Path:
    """Return the folder of conversions, which is ours even where the parameters are an operator's."""
    return state_folder() / "parameters-converted"


def conversion_path(path: Path, folder: Path) -> Path:
    """Return where the conversion of a file's present state lies."""
    state = path.stat()
    identity = (CONVERSION_FORMAT, str(path.resolve()), state.st_size, state.st_mtime_ns)
    return folder / f"{path.stem}.{sha256(repr(identity).encode()).hexdigest()[:16]}"


def is_converted(spec: CircuitSpec) -> bool:
    """Return whether a circuit's parameters are there and converted: proving can begin at once."""
    path = parameter_folder() / spec.parameters_name
    return path.exists() and conversion_path(path, converted_folder()).exists()


def measured_path(spec: CircuitSpec) -> Path:
    """Return the file that says how long a proof took on this host, by its clock and in CPU time."""
    return converted_folder() / f"{spec.id}.seconds"


def measured_seconds(spec: CircuitSpec) -> float | None:
    """Return how long a proof of one partition takes on this host; None: nobody has measured it.

    What the last proof took counts for an hour: the host may have been busy.  After that its CPU time does.
    """
    path = measured_path(spec)
    try:
        took, computed = map(float, path.read_text().split())
        is_recent = time.time() - path.stat().st_mtime < MEASURE_VALID_S
    except (OSError, ValueError):
        return None
    return took if is_recent else min(took, computed)
