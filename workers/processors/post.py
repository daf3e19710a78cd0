"""`python -m workers post`: compute proofs of spacetime over sectors sealed with `workers seal`."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from workers.processors import window_post, winning_post
from workers.processors.errors import BadInput, ProcessorError
from workers.processors.post_tasks import Replica, WindowPostTask, WinningPostTask
from workers.processors.sector_record import record_read
from workers.processors.terminal import digest_argument, error_text

WINDOW_V1_1, WINNING_V1 = 10, 0
"""First numbers of the registered PoSt proofs in use; the sector size is added."""


def main(arguments: Sequence[str]) -> int:
    """Prove, and print one JSON object; 1 if a sector is faulty or something else is wrong."""
    parser = argparse.ArgumentParser(prog="python -m workers post", description=__doc__)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--window", action="store_true")
    kind.add_argument("--winning", action="store_true")
    parser.add_argument("--randomness", type=digest_argument, required=True, help="32 bytes of hex")
    parser.add_argument("--proof", type=int, help="number of the registered PoSt proof")
    parser.add_argument(
        "folder", type=Path, nargs="+", metavar="DIR", help="folder created by `workers seal`"
    )
    wanted = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        proofs, faults = prove(
            wanted.folder, wanted.randomness, number=wanted.proof, is_winning=wanted.winning
        )
    except (ProcessorError, OSError) as error:
        sys.stderr.write(f"post: {error_text(error)}\n")
        return 1
    value = {
        "proofs": [base64.b64encode(proof).decode() for proof in proofs],
        "faults": list(faults),
        "seconds": round(time.monotonic() - started, 3),
    }
    sys.stdout.write(json.dumps(value) + "\n")
    return 1 if faults else 0


def prove(
    folders: Sequence[Path], randomness: bytes, *, number: int | None, is_winning: bool
) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Return the proofs and the faulty sectors.  Raises BadInput for sectors of different sizes or miners."""
    records = [record_read(folder) for folder in folders]
    first = records[0]
    if any((record.size, record.miner_id) != (first.size, first.miner_id) for record in records):
        raise BadInput("the sectors must have the same size and miner")
    if first.size not in SECTOR_SIZES:
        raise BadInput(f"no PoSt proof is registered for sectors of {first.size} bytes")
    replicas = tuple(
        Replica(record.sector_number, record.comm_r, str(folder / "cache"), str(folder / "sealed"))
        for record, folder in zip(records, folders, strict=True)
    )
    size = SECTOR_SIZES.index(first.size)
    if is_winning:
        proof = WINNING_V1 + size if number is None else number
        return winning_post.run(WinningPostTask(first.miner_id, proof, replicas, randomness)).proofs, ()
    proof = WINDOW_V1_1 + size if number is None else number
    output = window_post.run(WindowPostTask(first.miner_id, proof, replicas, randomness))
    return output.proofs, output.faults
