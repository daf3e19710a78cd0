"""The circuits of the network, and the files with their parameters: what they are called, where they lie.

Names and folder are those of rust-fil-proofs, so files that an operator already has are used as they are.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.groth16.circuits import (
    parameters_name,
    porep_circuit_id,
    post_circuit_id,
    update_circuit_id,
    verifying_key_name,
)
from poolsite.filecoin.groth16.keys import TOXIC_SUFFIX, parameter_folder, state_folder
from poolsite.filecoin.porep.parameters import SECTOR_SIZES, seal_parameters
from poolsite.filecoin.post.parameters import PoStKind, post_parameters
from poolsite.filecoin.update.parameters import update_parameters
from workers.snark.arrays import silent
from workers.snark.circuits.porep import porep_circuit
from workers.snark.circuits.post import post_circuit
from workers.snark.circuits.update import update_circuit
from workers.snark.converted import converted_open
from workers.snark.parameters import ParameterFile
from workers.snark.prover import counts_check, proving_key
from workers.snark.setup import parameters_make, secrets_from_seed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from poolsite.filecoin.porep.parameters import SealParameters
    from poolsite.filecoin.post.parameters import PoStParameters
    from poolsite.filecoin.update.parameters import UpdateParameters
    from workers.snark.arrays import Progress
    from workers.snark.constraints import Circuit
    from workers.snark.prover import ProvingKey


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


class ParametersMissing(Exception):
    """There is no parameter file where it is looked for; the text says which, how large, and where."""


@dataclass(frozen=True, slots=True)
class CircuitSpec:
    """One circuit of the network."""

    kind: CircuitKind
    """What it proves."""
    size_index: int
    """Place of the sector size in SECTOR_SIZES."""
    id: str
    """Id in file names."""
    build: Callable[[], Circuit]
    """Makes the rows; `circuit_of` keeps them."""

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
    size = SECTOR_SIZES.index(parameters.sector_bytes)
    return CircuitSpec(kind, size, post_circuit_id(parameters), lambda: post_circuit(parameters))


def porep_spec(parameters: SealParameters) -> CircuitSpec:
    """Return the circuit of a PoRep partition; all generations of a size share it."""
    size = SECTOR_SIZES.index(parameters.sector_bytes)
    return CircuitSpec(
        CircuitKind.POREP, size, porep_circuit_id(parameters), lambda: porep_circuit(parameters)
    )


def update_spec(parameters: UpdateParameters) -> CircuitSpec:
    """Return the circuit of a replica update."""
    size = SECTOR_SIZES.index(parameters.sector_bytes)
    return CircuitSpec(
        CircuitKind.UPDATE, size, update_circuit_id(parameters), lambda: update_circuit(parameters)
    )


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


@lru_cache(maxsize=4)
def _circuit_built(kind: CircuitKind, size_index: int) -> Circuit:
    return spec_for(kind, SECTOR_SIZES[size_index]).build()


def circuit_of(spec: CircuitSpec) -> Circuit:
    """Return the rows of a circuit, made at the first call."""
    return _circuit_built(spec.kind, spec.size_index)


def converted_folder() -> Path:
    """Return the folder of conversions, which is ours even where the parameters are an operator's."""
    return state_folder() / "parameters-converted"


def parameters_path(spec: CircuitSpec) -> Path:
    """Return the path of a circuit's parameters.  Raises ParametersMissing."""
    path = parameter_folder() / spec.parameters_name
    if not path.exists():
        raise ParametersMissing(
            f"the parameters of {spec.kind} for sectors of {SECTOR_SIZES[spec.size_index]} bytes are "
            f"missing: {spec.parameters_name}, {spec.file_bytes:,} bytes, looked for in {path.parent}"
        )
    return path


def parameters_open(spec: CircuitSpec) -> ParameterFile:
    """Open a circuit's parameters, of the right size.  Raises ParametersMissing, BadParameters, OSError."""
    return ParameterFile(parameters_path(spec))


def key_open(spec: CircuitSpec, *, threads: int = 1, progress: Progress = silent) -> ProvingKey:
    """Return a circuit's key, converted at its first use.

    Raises ParametersMissing, BadParameters, OSError.
    """
    circuit, file = circuit_of(spec), parameters_open(spec)
    counts_check(circuit, file)
    source = converted_open(file, converted_folder(), threads=threads, progress=progress)
    return proving_key(circuit, source)


def verifying_key_write(file: ParameterFile, path: Path) -> None:
    """Write the verifying key of a parameter file; an unfinished one never has the name."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    partial.write_bytes(file.verifying_key())
    partial.replace(path)


def toxic_path(spec: CircuitSpec) -> Path:
    """Return the path of the mark beside parameters whose secrets are known."""
    return parameter_folder() / (spec.parameters_name.removesuffix(".params") + TOXIC_SUFFIX)


def toxic_make(spec: CircuitSpec, seed: str, *, threads: int = 1, progress: Progress = silent) -> Path:
    """Make parameters from a seed, mark them, and write their verifying key; return the path of the file.

    Whoever knows the seed can prove anything with them.  Raises FileExistsError where there are some: these
    may be the network's.
    """
    folder = parameter_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / spec.parameters_name
    if path.exists():
        raise FileExistsError(f"{path} exists already; parameters are never overwritten")
    mark = {
        "warning": "TOXIC: made from a known seed. Who knows it can prove anything. Not for a real chain.",
        "seed": seed,
        "circuit": spec.id,
    }
    toxic_path(spec).write_text(json.dumps(mark, indent=2) + "\n")  # first: no such file is ever unmarked
    secrets = secrets_from_seed(f"{seed}/{spec.id}".encode())
    parameters_make(circuit_of(spec), secrets, path, threads=threads, progress=progress)
    verifying_key_write(ParameterFile(path), folder / spec.verifying_key_name)
    return path
