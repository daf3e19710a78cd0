"""`python -m workers commp FILE…`: compute piece commitments of files."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from poolsite.filecoin.cids import commd_cid
from workers.processors.errors import ProcessorError
from workers.processors.pieces import padded_size, raw_commitment
from workers.processors.seal import piece_source
from workers.processors.terminal import error_text


def main(arguments: Sequence[str]) -> int:
    """Print a JSON object a file: commitment, CID, sizes; 1 if one could not be read."""
    parser = argparse.ArgumentParser(prog="python -m workers commp", description=__doc__)
    parser.add_argument("file", nargs="+")
    failed = 0
    for path in parser.parse_args(arguments).file:
        try:
            value = commitment_of(path)
        except (ProcessorError, OSError) as error:
            sys.stderr.write(f"commp: {error_text(error)}\n")
            failed += 1
            continue
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()
    return 1 if failed else 0


def commitment_of(path: str) -> dict[str, object]:
    """Return what is printed of one file: zeros fill it up to 127 · 2^k bytes."""
    started = time.monotonic()
    source = piece_source(path)
    with Path(path).open("rb") as file:
        comm_p = raw_commitment(file, source.piece_size)
    return {
        "file": path,
        "comm_p": comm_p.hex(),
        "cid": str(commd_cid(comm_p)),
        "payload_size": source.payload_size,
        "piece_size": padded_size(source.piece_size),
        "seconds": round(time.monotonic() - started, 3),
    }
