"""`python -m workers commp FILE…`: compute piece commitments of files.

With --growing each line of standard input is a JSON object: `{"file": …, "until": N}` once the file's first N
bytes are written, which notes the roots of its subtrees so far in `FILE.runs`, and `{"file": …}` for its
commitment.  Each is answered by a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from poolsite.filecoin.cids import commd_cid
from workers.processors.errors import ProcessorError
from workers.processors.growing_piece import file_commitment, roots_note
from workers.processors.pieces import padded_size
from workers.processors.seal import piece_source
from workers.processors.terminal import error_text


def main(arguments: Sequence[str]) -> int:
    """Print a JSON object a file: commitment, CID, sizes; 1 if one could not be read."""
    parser = argparse.ArgumentParser(
        prog="python -m workers commp",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="*")
    parser.add_argument("--growing", action="store_true", help="read from standard input which files")
    wanted = parser.parse_args(arguments)
    if wanted.growing == bool(wanted.file):
        parser.error("name files, or --growing")
    if wanted.growing:
        with suppress(BrokenPipeError):  # who asked was killed
            for line in sys.stdin:
                _write(_growing(line))
        return 0
    failed = 0
    for path in wanted.file:
        try:
            _write(commitment_of(path))
        except (ProcessorError, OSError) as error:
            sys.stderr.write(f"commp: {error_text(error)}\n")
            failed += 1
    return 1 if failed else 0


def _write(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _growing(line: str) -> dict[str, object]:
    try:
        wanted = json.loads(line)
        path, until = str(wanted["file"]), wanted.get("until")
        return commitment_of(path) if until is None else {"file": path, "runs": roots_note(path, int(until))}
    except (ProcessorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {"error": error_text(error)}


def commitment_of(path: str) -> dict[str, object]:
    """Return what is printed of one file: zeros fill it up to 127 · 2^k bytes."""
    started = time.monotonic()
    source = piece_source(path)
    comm_p = file_commitment(path, source)
    return {
        "file": path,
        "comm_p": comm_p.hex(),
        "cid": str(commd_cid(comm_p)),
        "payload_size": source.payload_size,
        "piece_size": padded_size(source.piece_size),
        "seconds": round(time.monotonic() - started, 3),
    }
