"""What checks, makes and converts Groth16 parameters, for `python -m workers params`; loads the kernels."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.groth16.aggregate import MAX_PROOFS, MIN_PROOFS
from poolsite.filecoin.groth16.keys import parameter_folder
from poolsite.filecoin.groth16.powers import POWERS_NAME, powers_lists
from poolsite.filecoin.groth16.published import PUBLISHED, file_digest, published_check
from poolsite.filecoin.policy import SetUp, UnknownNetwork, network_by_name
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.post.parameters import post_parameters
from workers.processors.parallel import thread_count
from workers.processors.snark import post_measure
from workers.processors.terminal import Meter
from workers.snark.catalog import circuit_of, key_open, parameters_open, toxic_make, verifying_key_write
from workers.snark.files import (
    CircuitKind,
    converted_folder,
    is_converted,
    is_here,
    measured_seconds,
    parameters_origin,
    powers_path,
    powers_toxic_path,
    spec_for,
    toxic_path,
)
from workers.snark.powers import powers_make
from workers.snark.prover import proving_key

if TYPE_CHECKING:
    from workers.processors.parallel import Progress
    from workers.snark.files import CircuitSpec

TOXIC_WARNING: Final = (
    "TOXIC parameters: they are generated from a known seed, and anyone who knows it can forge proofs. "
    "Only for tests and private chains; public chains reject proofs made with them."
)


def parameters_list(wanted: argparse.Namespace) -> Any:
    """List the circuits of a sector size."""
    specs = [spec_named(kind, wanted.size) for kind in CircuitKind]
    return {
        "folder": str(parameter_folder()),
        "converted": str(converted_folder()),
        "circuits": [described(spec) for spec in specs],
        "aggregates": powers_described(),
    }


def described(spec: CircuitSpec) -> dict[str, Any]:
    """Return what is known of a circuit's parameters on this host."""
    path = parameter_folder() / spec.parameters_name
    return {
        "circuit": str(spec.kind),
        "sector_bytes": spec.sector_bytes,
        "id": spec.id,
        "parameters": str(path),
        "bytes": spec.file_bytes,
        "is_here": is_here(spec),
        "has_verifying_key": (parameter_folder() / spec.verifying_key_name).exists(),
        "is_converted": is_converted(spec),
        "is_toxic": toxic_path(spec).exists(),
        "origin": str(parameters_origin(spec)),
        "proof_seconds": measured_seconds(spec),
    }


def spec_named(circuit: str, size: int) -> CircuitSpec:
    """Return a circuit of a sector size.  Raises ValueError."""
    if size not in SECTOR_SIZES:
        raise ValueError(f"no circuit is registered for sectors of {size} bytes")
    return spec_for(CircuitKind(circuit), size)


def powers_described() -> dict[str, Any]:
    """Return what is known of the set-up of aggregates on this host."""
    path = powers_path()
    known = {"powers": str(path), "is_here": path.exists()}
    if not path.exists():
        return known
    proofs = min(length for _, length in powers_lists(path)) // 2
    is_published = file_digest(path) == PUBLISHED[POWERS_NAME]
    is_toxic = powers_toxic_path().exists()
    return known | {"proofs_most": proofs, "is_toxic": is_toxic, "is_published": is_published}


POST_KINDS: Final = (CircuitKind.WINDOW_POST, CircuitKind.WINNING_POST)
"""Circuits whose proofs have a due time, so that a host tells how long one takes."""


def parameters_check(wanted: argparse.Namespace) -> Any:
    """Read every point; nothing is written."""
    spec, started = spec_named(wanted.circuit, wanted.size), time.monotonic()
    file = parameters_open(spec)
    digest = file_digest(file.path)
    if wanted.network and _set_up_of(wanted.network) is SetUp.PUBLISHED:
        published_check(file.name, digest)
    file.key_check()
    file.published_check()
    proving_key(circuit_of(spec), file)
    _toxic_say(spec)
    seconds = round(time.monotonic() - started, 3)
    return described(spec) | {"digest": digest, "points": file.counts(), "seconds": seconds}


def _set_up_of(network: str) -> SetUp:
    try:
        return network_by_name(network).set_up
    except UnknownNetwork as error:
        raise ValueError(str(error)) from None


def parameters_make(wanted: argparse.Namespace) -> Any:
    """Generate parameters from a seed."""
    spec, meter = spec_named(wanted.circuit, wanted.size), Meter()
    sys.stderr.write(f"{TOXIC_WARNING}\n{spec.parameters_name}: {spec.file_bytes:,} bytes\n")
    meter.begin("make")
    toxic_make(spec, wanted.seed, threads=thread_count(), progress=meter.progress)
    meter.end()
    return described(spec) | {"seconds": meter.seconds}


def parameters_convert(wanted: argparse.Namespace) -> Any:
    """Check a file and convert it for the provers."""
    spec, meter = spec_named(wanted.circuit, wanted.size), Meter()
    meter.begin("convert")
    _converted(spec, threads=thread_count(), progress=meter.progress)
    meter.end()
    _toxic_say(spec)
    return described(spec) | {"seconds": meter.seconds}


def _converted(spec: CircuitSpec, *, threads: int, progress: Progress) -> None:
    key_open(spec, threads=threads, progress=progress)
    path = parameter_folder() / spec.verifying_key_name
    if not path.exists() and os.access(path.parent, os.W_OK):
        verifying_key_write(parameters_open(spec), path)


def parameters_prepare(wanted: argparse.Namespace) -> Any:
    """Print a JSON line of progress whenever it moves: points that are made and converted, and all."""
    threads = 1 if wanted.background else thread_count()
    specs = [spec_named(circuit, wanted.size) for circuit in wanted.circuit]
    for place, spec in enumerate(specs):
        is_measured = wanted.background and is_converted(spec) and measured_seconds(spec) is not None
        _prepare_one(spec, wanted.seed, threads=threads, before=place / len(specs), share=1 / len(specs))
        if spec.kind in POST_KINDS and not is_measured:
            size, sizes = spec.size_index, len(SECTOR_SIZES)
            post_measure(post_parameters(size if spec.kind is CircuitKind.WINNING_POST else sizes + size))
    return {"ready": True, "circuits": [described(spec) for spec in specs]}


def _prepare_one(spec: CircuitSpec, seed: str | None, *, threads: int, before: float, share: float) -> None:
    def progress_part(begin: float, part: float) -> Progress:
        def progress(done: int, total: int) -> None:
            now = before + share * (begin + part * done / max(total, 1))
            sys.stdout.write(json.dumps({"done": int(1000 * now), "total": 1000}) + "\n")
            sys.stdout.flush()

        return progress

    progress_part(0, 0)(0, 1)
    if seed is not None and not (parameter_folder() / spec.parameters_name).exists():
        cost = f"{spec.file_bytes:,} bytes, the same again converted, and minutes of CPU time"
        sys.stderr.write(f"{TOXIC_WARNING}\n{spec.parameters_name}: {cost}\n")
        toxic_make(spec, seed, threads=threads, progress=progress_part(0, 0.4))
    _converted(spec, threads=threads, progress=progress_part(0.4, 0.4))
    progress_part(1, 0)(0, 1)


def powers_generate(wanted: argparse.Namespace) -> Any:
    """Generate the set-up of aggregates from a seed."""
    if wanted.proofs < MIN_PROOFS or wanted.proofs > MAX_PROOFS:
        raise ValueError(f"--proofs must be {MIN_PROOFS} to {MAX_PROOFS}, not {wanted.proofs}")
    path, meter = powers_path(), Meter()
    sys.stderr.write(f"{TOXIC_WARNING}\n{POWERS_NAME}\n")
    meter.begin("make")
    powers_make(path, seed=wanted.seed, proofs=wanted.proofs, threads=thread_count())
    meter.end()
    return powers_described() | {"seconds": meter.seconds}


def _toxic_say(spec: CircuitSpec) -> None:
    if toxic_path(spec).exists():
        sys.stderr.write(f"{TOXIC_WARNING}\nThe file {Path(toxic_path(spec)).name} marks them.\n")
