"""`python -m workers prove`: compute Groth16 proofs by hand, as input for `workers verify`."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.merkle_codec import BadProofJson
from poolsite.filecoin.porep.c1 import c1_from_json
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import PoStKind
from poolsite.filecoin.update.verification import UpdatePublicInputs
from workers.processors import aggregate, snap_encode
from workers.processors.add_piece import pieces_stage
from workers.processors.codec import Base64
from workers.processors.errors import BadInput, BadProof, ProcessorError
from workers.processors.post import WINDOW_V1_1, WINNING_V1
from workers.processors.post_sector import post_parameters_of, sector_prove
from workers.processors.post_tasks import Replica, WindowPostTask
from workers.processors.seal import piece_source
from workers.processors.seal_proofs import parameters_named
from workers.processors.sector_record import record_files, record_read, sector_files
from workers.processors.snap import update_parameters_of
from workers.processors.snap_prove import snap_prove
from workers.processors.snap_tasks import SnapEncodeTask
from workers.processors.snark import porep_snark, post_snark, update_snark
from workers.processors.tasks import AggregateTask
from workers.processors.terminal import Meter, digest_argument, error_text
from workers.processors.window_post import window_post_prove

if TYPE_CHECKING:
    from poolsite.filecoin.post.parameters import PoStParameters
    from poolsite.filecoin.post.vanilla import VanillaPoStProof


def main(arguments: Sequence[str]) -> int:
    """Prove, and print one JSON object; 1 with a sentence on stderr if it fails."""
    wanted = _parser().parse_args(arguments)
    meter = Meter()
    try:
        kinds = {"porep": _porep, "aggregate": _aggregate, "update": _update}
        value = kinds.get(wanted.what, _post)(wanted, meter)
    except KeyboardInterrupt:
        sys.stderr.write("prove: interrupted before the proof was complete\n")
        return 130
    except (ProcessorError, OSError, MemoryError) as error:
        sys.stderr.write(f"prove: {error_text(error)}\n")
        return 1
    sys.stdout.write(json.dumps(value | {"seconds": meter.seconds}) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers prove", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True)
    for name in ("window", "winning"):
        post = kinds.add_parser(name, help=f"a {name} PoSt over sectors sealed with `workers seal`")
        post.add_argument("--randomness", type=digest_argument, required=True, help="32 bytes of hex")
        post.add_argument("--proof", type=int, help="number of the registered PoSt proof")
        post.add_argument(
            "folder", type=Path, nargs="+", metavar="DIR", help="folder created by `workers seal`"
        )
    porep = kinds.add_parser("porep", help="the PoRep of a sector, from its c1.json")
    porep.add_argument("c1", type=Path, metavar="FILE", help="c1.json in a folder created by `workers seal`")
    update = kinds.add_parser(
        "update", help="put data into a sector sealed with `workers seal`, and prove it"
    )
    update.add_argument("folder", type=Path, metavar="DIR", help="folder of the sector")
    update.add_argument("--pieces", nargs="+", required=True, metavar="FILE", help="files with raw bytes")
    update.add_argument(
        "--out", type=Path, required=True, metavar="NEW", help="folder for the updated replica"
    )
    one = kinds.add_parser("aggregate", help="one proof for many PoReps, with the set-up for aggregates")
    one.add_argument("porep", type=Path, nargs="+", metavar="FILE", help="output of `prove porep`")
    return parser


def _post(wanted: argparse.Namespace, meter: Meter) -> dict[str, Any]:
    parameters, proofs = _vanilla(wanted, meter)
    meter.begin("groth16")
    randomness = post_randomness(wanted.randomness)
    proof = post_snark(parameters, proofs, randomness=randomness, progress=meter.progress)
    meter.end()
    return {
        "kind": f"{wanted.what}_post",
        "registered_proof": parameters.number,
        "randomness": wanted.randomness.hex(),
        "sectors": [[one.sector_number, one.comm_r.hex()] for one in proofs],
        "proof": base64.b64encode(proof).decode(),
    }


def _vanilla(wanted: argparse.Namespace, meter: Meter) -> tuple[PoStParameters, tuple[VanillaPoStProof, ...]]:
    records = [record_read(folder) for folder in wanted.folder]
    first = records[0]
    if any((record.size, record.miner_id) != (first.size, first.miner_id) for record in records):
        raise BadInput("the sectors must have the same size and miner")
    if first.size not in SECTOR_SIZES:
        raise BadInput(f"no PoSt proof is registered for sectors of {first.size} bytes")
    replicas = tuple(
        Replica(record.sector_number, record.comm_r, str(folder / "cache"), str(folder / "sealed"))
        for record, folder in zip(records, wanted.folder, strict=True)
    )
    is_winning, size = wanted.what == "winning", SECTOR_SIZES.index(first.size)
    number = wanted.proof if wanted.proof is not None else (WINNING_V1 if is_winning else WINDOW_V1_1) + size
    meter.begin("vanilla")
    try:
        parameters = post_parameters_of(number, PoStKind.WINNING if is_winning else PoStKind.WINDOW)
        if is_winning:
            if len(replicas) != 1:
                raise BadInput(f"{len(replicas)} sectors instead of 1")
            randomness = post_randomness(wanted.randomness)
            return parameters, (sector_prove(parameters, replicas[0], randomness=randomness, position=0),)
        task = WindowPostTask(first.miner_id, number, replicas, wanted.randomness)
        proofs, faults = window_post_prove(task, progress=meter.progress)
        if faults:
            raise BadProof(f"faulty sectors: {', '.join(map(str, faults))}")
        return parameters, proofs
    finally:
        meter.end()


def _porep(wanted: argparse.Namespace, meter: Meter) -> dict[str, Any]:
    try:
        output = c1_from_json(wanted.c1.read_bytes())
    except BadProofJson as error:
        raise BadInput(f"{wanted.c1}: {error}") from None
    parameters = parameters_named(output.registered_proof)
    inputs = PoRepPublicInputs(output.replica_id, output.comm_d, output.comm_r, output.seed)
    meter.begin("groth16")
    proof = porep_snark(parameters, output.partitions, inputs, progress=meter.progress)
    meter.end()
    names = ("replica_id", "comm_d", "comm_r", "seed")
    return {
        "kind": "porep",
        "registered_proof": parameters.number,
        **{name: getattr(inputs, name).hex() for name in names},
        "proof": base64.b64encode(proof).decode(),
    }


def _update(wanted: argparse.Namespace, meter: Meter) -> dict[str, Any]:
    record = record_read(wanted.folder)
    if record.size not in SECTOR_SIZES:
        raise BadInput(f"no update proof is registered for sectors of {record.size} bytes")
    if wanted.out.resolve() == wanted.folder.resolve():
        raise BadInput(f"{wanted.out} contains the sector to update: choose another folder")
    sources, staged = tuple(map(piece_source, wanted.pieces)), wanted.out / "staged"
    wanted.out.mkdir(parents=True, exist_ok=True)
    old = record_files(record, wanted.folder)
    new = sector_files(old.parameters, wanted.out)
    meter.begin("snap_encode")
    infos = pieces_stage(sources, staged, sector=record.size)
    task = SnapEncodeTask(
        registered_proof=old.parameters.name,
        new_replica_path=str(new.sealed),
        new_cache_path=str(new.cache),
        sector_path=str(old.sealed),
        sector_cache_path=str(old.cache),
        staged_data_path=str(staged),
        piece_infos=infos,
    )
    made = snap_encode.run(task, progress=meter.progress)
    staged.unlink()
    meter.end()
    commitments = UpdatePublicInputs(
        comm_r_old=record.comm_r, comm_d_new=made.comm_d_new, comm_r_new=made.comm_r_new
    )
    named = {name: getattr(commitments, name) for name in ("comm_r_old", "comm_r_new", "comm_d_new")}
    meter.begin("vanilla")
    proofs = snap_prove(old, new, **named, progress=meter.progress)
    meter.end()
    meter.begin("groth16")
    proof = update_snark(update_parameters_of(old.parameters), proofs, commitments, progress=meter.progress)
    meter.end()
    return {
        "kind": "update",
        "registered_proof": SECTOR_SIZES.index(record.size),
        **{name: value.hex() for name, value in named.items()},
        "proof": base64.b64encode(proof).decode(),
    }


def _aggregate(wanted: argparse.Namespace, meter: Meter) -> dict[str, Any]:
    seals = [_porep_read(path) for path in wanted.porep]
    kinds = {seal["registered_proof"] for seal in seals}
    if len(kinds) != 1:
        raise BadInput("the PoReps must have the same registered proof")
    comm_rs, seeds = (tuple(bytes.fromhex(seal[name]) for seal in seals) for name in ("comm_r", "seed"))
    proofs = tuple(Base64(base64.b64decode(seal.pop("proof"))) for seal in seals)
    task = AggregateTask(kinds.pop(), comm_rs, seeds, proofs)
    meter.begin("aggregate")
    proof = aggregate.run(task, progress=meter.progress).proof
    meter.end()
    return {
        "kind": "porep_aggregate",
        "registered_proof": task.seal_proof,
        "sectors": seals,
        "proof": base64.b64encode(proof).decode(),
    }


def _porep_read(path: Path) -> dict[str, Any]:
    """Return what `prove porep` printed.  Raises BadInput, OSError."""
    try:
        value = json.loads(path.read_text())
        if value["kind"] != "porep":
            raise ValueError(f"it is a {value['kind']}, not a porep")
        names = ("registered_proof", "replica_id", "comm_d", "comm_r", "seed", "proof")
        return {name: value[name] for name in names}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not an output of `prove porep`: {error}") from None
