"""`python -m workers seal`: seal one sector, from its pieces to the vanilla proofs of C1; resumable."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.fr32 import RAW_BLOCK_BYTES
from poolsite.filecoin.porep.c1 import Commit1Output, c1_to_json
from poolsite.filecoin.porep.challenges import ChallengeSource
from poolsite.filecoin.porep.parameters import SECTOR_SIZES, SealParameters
from poolsite.filecoin.porep.replica import prover_id_bytes, replica_id
from workers.processors import inputs
from workers.processors.add_piece import pieces_stage
from workers.processors.c1 import porep_prove
from workers.processors.errors import BadInput, ProcessorError
from workers.processors.labelling import LabelledSector, label_sectors, memory_needed
from workers.processors.parent_cache import MEMORY_NODES, ROW_BYTES, cache_folder, cache_name
from workers.processors.pc1 import sealed_begin
from workers.processors.pc2 import seal_trees
from workers.processors.pieces import comm_d_of
from workers.processors.sealing_space import sealing_disk_bytes
from workers.processors.sector_record import GENERATIONS, parameters_of, record_write, sector_files
from workers.processors.tasks import PieceSource, SectorRecord
from workers.processors.terminal import Meter, digest_argument, error_text, miner_argument, size_argument
from workers.processors.tree_d import tree_d_build
from workers.storage.checksums import Checksums, file_digest
from workers.storage.files import is_complete, space_check, write_file
from workers.storage.memory import memory_check
from workers.storage.sizes import size_text

if TYPE_CHECKING:
    from workers.storage.sector import SectorFiles


def main(arguments: Sequence[str]) -> int:
    """Seal, and print one JSON object with the commitments; 1 with a sentence on stderr if it fails."""
    wanted = _parser().parse_args(arguments)
    try:
        result = seal(_order(wanted), Path(wanted.out), meter=Meter())
    except (ProcessorError, OSError, MemoryError) as error:
        sys.stderr.write(f"seal: {error_text(error)}\n")
        return 1
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers seal", description=__doc__)
    parser.add_argument("--size", type=size_argument, required=True, help="2KiB, 8MiB, 512MiB, 32GiB, 64GiB")
    parser.add_argument("--miner", type=miner_argument, required=True, help="ID address, such as f01000")
    parser.add_argument("--number", type=int, required=True, help="sector number")
    parser.add_argument("--ticket", type=digest_argument, required=True, help="32 bytes of hex")
    parser.add_argument("--seed", type=digest_argument, required=True, help="32 bytes of hex")
    parser.add_argument("--proof", choices=GENERATIONS, default="V1_1")
    parser.add_argument("--layers", type=int, help="2 or 11; default: that of the size")
    parser.add_argument(
        "--pieces", nargs="*", default=[], metavar="FILE", help="files with raw bytes; default: zeros"
    )
    parser.add_argument("--out", required=True, metavar="DIR")
    return parser


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sealed."""

    parameters: SealParameters
    generation: str
    miner_id: int
    sector_number: int
    ticket: bytes
    seed: bytes
    pieces: tuple[PieceSource, ...]


def _order(wanted: argparse.Namespace) -> Order:
    if not 0 <= wanted.number < 1 << 63:
        raise BadInput(f"{wanted.number} is not a sector number")
    inputs.scalars_check(ticket=wanted.ticket, seed=wanted.seed)
    parameters = parameters_of(wanted.size, wanted.proof, wanted.layers)
    pieces = tuple(map(piece_source, wanted.pieces))
    return Order(parameters, wanted.proof, wanted.miner, wanted.number, wanted.ticket, wanted.seed, pieces)


def piece_source(path: str) -> PieceSource:
    """Return a file as a piece of the smallest size that holds it."""
    try:
        payload = Path(path).stat().st_size
    except OSError as error:
        raise BadInput(f"piece {path}: {error.strerror}") from None
    room = RAW_BLOCK_BYTES
    while room < payload:
        room *= 2
    return PieceSource(path, payload, room)


def needs(parameters: SealParameters) -> dict[str, int]:
    """Return the bytes of memory and disk that sealing takes at most."""
    nodes = parameters.nodes
    return {
        "memory": memory_needed(parameters, 1),
        "disk": sealing_disk_bytes(parameters),
        "parents": ROW_BYTES * nodes if nodes > MEMORY_NODES else 0,
    }


def seal(order: Order, out: Path, *, meter: Meter) -> dict[str, Any]:
    """Seal a sector in a folder; what an earlier run finished is kept."""
    parameters = order.parameters
    files = sector_files(parameters, out)
    room_check(files, out)
    out.mkdir(parents=True, exist_ok=True)
    staged = out / "staged"
    meter.begin("add_piece")
    infos = pieces_stage(order.pieces, staged, sector=parameters.sector_bytes, progress=meter.progress)
    meter.end()
    meter.begin("tree_d")
    comm_d = tree_d_build(files, str(staged), progress=meter.progress)
    if comm_d != comm_d_of(parameters, infos):
        raise BadInput("pieces and comm_d do not match")
    meter.end()
    replica = replica_id(
        prover_id_bytes(order.miner_id),
        order.sector_number,
        ticket=order.ticket,
        comm_d=comm_d,
        porep_id=parameters.porep_id,
    )
    meter.begin("pc1")
    sector = LabelledSector(files, replica)
    sealed_begin(sector, str(staged))
    label_sectors([sector], progress=meter.progress)
    meter.end()
    meter.begin("pc2")
    comm_r = seal_trees(files, comm_d=comm_d, progress=meter.progress)
    meter.end()
    record = SectorRecord(
        size=parameters.sector_bytes,
        generation=order.generation,
        layers=parameters.layers,
        miner_id=order.miner_id,
        sector_number=order.sector_number,
        ticket=order.ticket,
        comm_d=comm_d,
        comm_r=comm_r,
        replica_id=replica,
        pieces=infos,
    )
    record_write(record, out)
    meter.begin("c1")
    c1_sha256 = _c1_write(files, record, seed=order.seed, path=out / "c1.json")
    meter.end()
    return _result(files, record, c1_sha256) | {"seconds": meter.seconds}


def room_check(files: SectorFiles, out: Path) -> None:
    """Print what is needed, and refuse if it is not there; nothing is written.

    Raises NotEnoughMemory, NotEnoughSpace.
    """
    wanted, parents = needs(files.parameters), cache_folder()
    line = f"needs {size_text(wanted['memory'])} of memory and {size_text(wanted['disk'])} of disk"
    if wanted["parents"]:
        line += f", {size_text(wanted['parents'])} in {parents} for the parents of all nodes"
    sys.stderr.write(line + "\n")
    memory_check(wanted["memory"], "sealing")
    there = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    sector = wanted["disk"] - there
    if is_complete(parents / cache_name(files.parameters), wanted["parents"]):
        space_check(_existing(out), sector)
    elif _existing(out).stat().st_dev == _existing(parents).stat().st_dev:
        space_check(_existing(out), sector + wanted["parents"])
    else:
        space_check(_existing(out), sector)
        space_check(_existing(parents), wanted["parents"])


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.resolve().parents) if path.exists())


def _c1_write(files: SectorFiles, record: SectorRecord, *, seed: bytes, path: Path) -> str:
    parameters = files.parameters
    source = ChallengeSource(record.replica_id, record.comm_r, seed)
    is_registered = parameters.sector_bytes in SECTOR_SIZES
    output = Commit1Output(
        registered_proof=parameters.name if is_registered else "",
        label_tag=parameters.label_tag if is_registered else "",
        partitions=porep_prove(files, source, comm_d=record.comm_d),
        comm_r=record.comm_r,
        comm_d=record.comm_d,
        replica_id=record.replica_id,
        seed=seed,
        ticket=record.ticket,
    )
    text = c1_to_json(output).encode()
    write_file(path, text)
    return sha256(text).hexdigest()


def _result(files: SectorFiles, record: SectorRecord, c1_sha256: str) -> dict[str, Any]:
    comm_c, comm_r_last = files.roots_read()
    noted = Checksums(files.cache).read()
    layers = [files.layer(layer) for layer in range(1, files.parameters.layers + 1)]
    return {
        "comm_d": record.comm_d.hex(),
        "comm_r": record.comm_r.hex(),
        "comm_c": comm_c.hex(),
        "comm_r_last": comm_r_last.hex(),
        "replica_id": record.replica_id.hex(),
        "layer_sha256": [noted.get(path.name) or file_digest(path) for path in layers],
        "c1_sha256": c1_sha256,
    }
