"""The network's circuits with their rows and keys; `files` has their names and paths."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.filecoin.groth16.keys import parameter_folder
from poolsite.filecoin.porep.parameters import SECTOR_SIZES, seal_parameters
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.update.parameters import update_parameters
from workers.snark.arrays import silent
from workers.snark.circuits.porep import porep_circuit
from workers.snark.circuits.post import post_circuit
from workers.snark.circuits.update import update_circuit
from workers.snark.converted import converted_forget, converted_open
from workers.snark.files import CircuitKind, converted_folder, parameters_path, toxic_path
from workers.snark.parameters import ParameterFile
from workers.snark.prover import counts_check, proving_key
from workers.snark.setup import parameters_make, secrets_from_seed

if TYPE_CHECKING:
    from workers.snark.arrays import Progress
    from workers.snark.constraints import Circuit
    from workers.snark.files import CircuitSpec
    from workers.snark.prover import ProvingKey


def circuit_of(spec: CircuitSpec) -> Circuit:
    """Return the rows of a circuit, made at the first call."""
    return _circuit(spec.kind, spec.size_index)


@lru_cache(maxsize=4)
def _circuit(kind: CircuitKind, size: int) -> Circuit:
    if kind is CircuitKind.WINNING_POST:
        return post_circuit(post_parameters(size))
    if kind is CircuitKind.WINDOW_POST:
        return post_circuit(post_parameters(len(SECTOR_SIZES) + size))
    if kind is CircuitKind.UPDATE:
        return update_circuit(update_parameters(size))
    return porep_circuit(seal_parameters(size))


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


def conversion_forget(spec: CircuitSpec) -> None:
    """Remove a conversion that turned out to be damaged; the next use makes it again."""
    converted_forget(parameters_open(spec), converted_folder())


def verifying_key_write(file: ParameterFile, path: Path) -> None:
    """Write the verifying key of a parameter file; an unfinished one never has the name."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    partial.write_bytes(file.verifying_key())
    partial.replace(path)


def toxic_make(spec: CircuitSpec, seed: str, *, threads: int = 1, progress: Progress = silent) -> Path:
    """Make parameters from a seed, mark them, and write their verifying key; return the path of the file.

    Whoever knows the seed can prove anything with them.  Raises FileExistsError where there are some: these
    may be the network's.
    """
    folder = parameter_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / spec.parameters_name
    if path.exists():
        raise FileExistsError(f"{path} already exists; parameters are never overwritten")
    mark = {
        "warning": (
            "TOXIC: made from a known seed. Anyone who knows it can forge proofs. Not for a real chain."
        ),
        "seed": seed,
        "circuit": spec.id,
    }
    toxic_path(spec).write_text(json.dumps(mark, indent=2) + "\n")  # first: no such file is ever unmarked
    secrets = secrets_from_seed(f"{seed}/{spec.id}".encode())
    parameters_make(circuit_of(spec), secrets, path, threads=threads, progress=progress)
    verifying_key_write(ParameterFile(path), folder / spec.verifying_key_name)
    return path
