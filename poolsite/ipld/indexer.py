"""Indexes the blocks of one CAR: `python -m poolsite.ipld.indexer CAR INDEX` prints the result as JSON.

A process of its own, as it needs a processor for minutes and memory by the number of blocks.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from poolsite.ipld.block_index import BLOCKS_MAX, IndexWriter
from poolsite.ipld.car import BLOCK_MAX, BadCar, CarFault, NotCar, blocks_read, header_read

NICE: Final = 10
"""Proofs and messages come first."""


def car_index(source: Path, target: Path) -> dict[str, Any]:
    """Index a CAR; the file is there when it is whole.

    Returns `blocks` and `left_out`, or `fault` with its byte `at`, or `fault` "none" for what is no CAR.
    """
    writer, left_out = IndexWriter(), 0
    try:
        with source.open("rb") as file:
            for block in blocks_read(file, header_read(file)):
                if not block.multihash.is_verifiable or block.size > BLOCK_MAX:
                    left_out += 1
                    continue
                if writer.count >= BLOCKS_MAX:
                    raise BadCar(CarFault.MANY, block.at)
                writer.add(block.multihash.digest, at=block.at, size=block.size)
    except NotCar:
        return {"fault": "none", "at": 0}
    except BadCar as bad:
        return {"fault": str(bad.fault), "at": bad.at}
    coming = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        with coming.open("wb") as file:
            writer.write(file)
            file.flush()
            os.fsync(file.fileno())
        coming.rename(target)
    except OSError:  # a full disk: nothing stays there
        coming.unlink(missing_ok=True)
        raise
    return {"blocks": writer.count, "left_out": left_out}


if __name__ == "__main__":
    os.nice(NICE)
    print(json.dumps(car_index(Path(sys.argv[1]), Path(sys.argv[2]))))  # noqa: T201  # its result
