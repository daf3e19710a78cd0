"""`python -m workers params`: list, check, convert and generate Groth16 parameters of circuits."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.groth16.aggregate import MAX_PROOFS, MIN_PROOFS
from poolsite.filecoin.groth16.keys import parameter_folder
from poolsite.filecoin.groth16.powers import POWERS_NAME, powers_lists
from poolsite.filecoin.groth16.published import PUBLISHED, file_digest, published_check
from poolsite.filecoin.policy import SetUp, UnknownNetwork, network_by_name
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.post.parameters import post_parameters
from workers.processors.parallel import thread_count
from workers.processors.terminal import Meter, error_words, size_argument
from workers.snark.files import (
    CircuitKind,
    ParametersMissing,
    converted_folder,
    is_converted,
    measured_seconds,
    parameters_origin,
    powers_toxic_path,
    spec_for,
    toxic_path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.processors.parallel import Progress
    from workers.snark.files import CircuitSpec

TOXIC_WARNING = (
    "TOXIC parameters: they are generated from a known seed, and anyone who knows it can forge proofs. "
    "Only for tests and private chains; public chains reject proofs made with them."
)
NICE = 19


def main(arguments: Sequence[str]) -> int:
    """Do what was asked; JSON on stdout, 1 with a sentence on stderr if it fails."""
    wanted = _parser().parse_args(arguments)
    commands = {"list": _list, "check": _check, "make": _make, "convert": _convert, "prepare": _prepare}
    commands |= {"powers": _powers}
    try:
        value = commands[wanted.command](wanted)
    except KeyboardInterrupt:
        sys.stderr.write("params: interrupted; unfinished files were not put into place\n")
        return 130
    except (ParametersMissing, ValueError, OSError, MemoryError) as error:
        sys.stderr.write(f"params: {error_words(error)}\n")
        return 1
    sys.stdout.write(json.dumps(value) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers params", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    said = {
        "list": "list the circuits of a sector size, their files, and which are present",
        "check": "check every point of a parameter file, and that it belongs to the circuit",
        "make": "generate parameters from a seed: TOXIC, for tests and private chains",
        "convert": "check a file and convert it once for the provers",
        "prepare": "generate (with --seed) or convert what is missing, and time a proof",
    }
    for name, does in said.items():
        command = commands.add_parser(name, help=does, description=does)
        if name != "list":
            kinds = [str(kind) for kind in CircuitKind]
            command.add_argument("circuit", choices=kinds, nargs="+" if name == "prepare" else None)
        command.add_argument("--size", type=size_argument, default=SECTOR_SIZES[0], help="2KiB, … 64GiB")
        if name == "check":
            does = "reject a file that is not in this network's list"
            command.add_argument("--network", default="", help=f"mainnet or calibrationnet: {does}")
        if name in ("make", "prepare"):
            command.add_argument(
                "--seed", required=name == "make", help="any text; anyone who knows it can forge proofs"
            )
        if name == "prepare":
            command.add_argument("--background", action="store_true", help="run at lowest priority")
    does = "generate the set-up for aggregates from a seed: TOXIC, for tests and private chains"
    powers = commands.add_parser("powers", help=does, description=does)
    powers.add_argument("--seed", required=True, help="any text; anyone who knows it can forge proofs")
    powers.add_argument("--proofs", type=int, default=64, help="maximum proofs per aggregate (64)")
    return parser


def _spec(wanted: argparse.Namespace) -> CircuitSpec:
    return _spec_named(wanted.circuit, wanted.size)


def _spec_named(circuit: str, size: int) -> CircuitSpec:
    if size not in SECTOR_SIZES:
        raise ValueError(f"no circuit is registered for sectors of {size} bytes")
    return spec_for(CircuitKind(circuit), size)


def described(spec: CircuitSpec) -> dict[str, Any]:
    """Return what is known of a circuit's parameters on this host."""
    path = parameter_folder() / spec.parameters_name
    return {
        "circuit": str(spec.kind),
        "sector_bytes": spec.sector_bytes,
        "id": spec.id,
        "parameters": str(path),
        "bytes": spec.file_bytes,
        "is_here": path.exists(),
        "has_verifying_key": (parameter_folder() / spec.verifying_key_name).exists(),
        "is_converted": is_converted(spec),
        "is_toxic": toxic_path(spec).exists(),
        "origin": str(parameters_origin(spec)),
        "proof_seconds": measured_seconds(spec),
    }


def _list(wanted: argparse.Namespace) -> Any:
    specs = [_spec_named(kind, wanted.size) for kind in CircuitKind]
    return {
        "folder": str(parameter_folder()),
        "converted": str(converted_folder()),
        "circuits": [described(spec) for spec in specs],
        "aggregates": _powers_described(),
    }


def _powers_described() -> dict[str, Any]:
    """Return what is known of the set-up of aggregates on this host."""
    path = parameter_folder() / POWERS_NAME
    known = {"powers": str(path), "is_here": path.exists()}
    if not path.exists():
        return known
    proofs = min(length for _, length in powers_lists(path)) // 2
    is_published = file_digest(path) == PUBLISHED[POWERS_NAME]
    is_toxic = powers_toxic_path().exists()
    return known | {"proofs_most": proofs, "is_toxic": is_toxic, "is_published": is_published}


def _powers(wanted: argparse.Namespace) -> Any:
    from workers.snark.powers import powers_make  # loads the kernels

    if wanted.proofs < MIN_PROOFS or wanted.proofs > MAX_PROOFS:
        raise ValueError(f"--proofs must be {MIN_PROOFS} to {MAX_PROOFS}, not {wanted.proofs}")
    path, meter = parameter_folder() / POWERS_NAME, Meter()
    sys.stderr.write(f"{TOXIC_WARNING}\n{POWERS_NAME}\n")
    meter.begin("make")
    powers_make(path, seed=wanted.seed, proofs=wanted.proofs, threads=thread_count())
    meter.end()
    return _powers_described() | {"seconds": meter.seconds}


def _check(wanted: argparse.Namespace) -> Any:
    """Read every point; nothing is written."""
    from workers.snark.catalog import circuit_of, parameters_open  # loads the kernels
    from workers.snark.prover import proving_key  # loads them, too

    spec, begun = _spec(wanted), time.monotonic()
    file = parameters_open(spec)
    digest = file_digest(file.path)
    if wanted.network and _set_up_of(wanted.network) is SetUp.PUBLISHED:
        published_check(file.name, digest)
    file.key_check()
    file.published_check()
    proving_key(circuit_of(spec), file)
    _toxic_say(spec)
    seconds = round(time.monotonic() - begun, 3)
    return described(spec) | {"digest": digest, "points": file.counts(), "seconds": seconds}


def _set_up_of(network: str) -> SetUp:
    try:
        return network_by_name(network).set_up
    except UnknownNetwork as error:
        raise ValueError(str(error)) from None


def _make(wanted: argparse.Namespace) -> Any:
    from workers.snark.catalog import toxic_make  # loads the kernels

    spec, meter = _spec(wanted), Meter()
    sys.stderr.write(f"{TOXIC_WARNING}\n{spec.parameters_name}: {spec.file_bytes:,} bytes\n")
    meter.begin("make")
    toxic_make(spec, wanted.seed, threads=thread_count(), progress=meter.progress)
    meter.end()
    return described(spec) | {"seconds": meter.seconds}


def _convert(wanted: argparse.Namespace) -> Any:
    spec, meter = _spec(wanted), Meter()
    meter.begin("convert")
    _converted(spec, threads=thread_count(), progress=meter.progress)
    meter.end()
    _toxic_say(spec)
    return described(spec) | {"seconds": meter.seconds}


def _converted(spec: CircuitSpec, *, threads: int, progress: Progress) -> None:
    from workers.snark.catalog import key_open, parameters_open, verifying_key_write  # loads the kernels

    key_open(spec, threads=threads, progress=progress)
    path = parameter_folder() / spec.verifying_key_name
    if not path.exists() and os.access(path.parent, os.W_OK):
        verifying_key_write(parameters_open(spec), path)


def _prepare(wanted: argparse.Namespace) -> Any:
    """Print a JSON line of progress whenever it moves: points that are made and converted, and all."""
    if wanted.background:
        os.nice(NICE)
    threads = 1 if wanted.background else thread_count()
    specs = [_spec_named(circuit, wanted.size) for circuit in wanted.circuit]
    for place, spec in enumerate(specs):
        _prepare_one(spec, wanted.seed, threads=threads, before=place / len(specs), share=1 / len(specs))
    return {"ready": True, "circuits": [described(spec) for spec in specs]}


def _prepare_one(spec: CircuitSpec, seed: str | None, *, threads: int, before: float, share: float) -> None:
    from workers.snark.catalog import toxic_make  # loads the kernels

    def tell(begin: float, part: float) -> Progress:
        def progress(done: int, total: int) -> None:
            now = before + share * (begin + part * done / max(total, 1))
            sys.stdout.write(json.dumps({"done": int(1000 * now), "total": 1000}) + "\n")
            sys.stdout.flush()

        return progress

    tell(0, 0)(0, 1)
    if seed is not None and not (parameter_folder() / spec.parameters_name).exists():
        cost = f"{spec.file_bytes:,} bytes, the same again converted, and minutes of CPU time"
        sys.stderr.write(f"{TOXIC_WARNING}\n{spec.parameters_name}: {cost}\n")
        toxic_make(spec, seed, threads=threads, progress=tell(0, 0.4))
    _converted(spec, threads=threads, progress=tell(0.4, 0.4))
    if spec.kind in (CircuitKind.WINDOW_POST, CircuitKind.WINNING_POST):
        from workers.processors.snark import post_measure  # loads the kernels

        size, sizes = spec.size_index, len(SECTOR_SIZES)
        post_measure(post_parameters(size if spec.kind is CircuitKind.WINNING_POST else sizes + size))
    tell(1, 0)(0, 1)


def _toxic_say(spec: CircuitSpec) -> None:
    if toxic_path(spec).exists():
        sys.stderr.write(f"{TOXIC_WARNING}\nThe file {Path(toxic_path(spec)).name} marks them.\n")
