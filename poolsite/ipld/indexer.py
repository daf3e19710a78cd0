"""Indexes the blocks of one CAR: `python -m poolsite.ipld.indexer CAR INDEX` prints the result as JSON.

A process of its own, as it needs a processor for minutes and memory by the number of blocks.  Beside the
index it writes the blocks' multihashes, whole and each once, one behind the other in the order of the CAR:
what indexers (IPNI) are given, by chunks.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

from poolsite.ipld.block_index import BLOCKS_MAX, IndexReader, IndexWriter
from poolsite.ipld.car import BLOCK_MAX, BadCar, CarFault, NotCar, blocks_read, header_read
from poolsite.ipld.cids import multihash_read, multihash_write, multihashes_split
from poolsite.libp2p.ipni import chunk_groups, chunk_make

NICE: Final = 10
"""Proofs and messages come first."""


def hashes_path(index: Path) -> Path:
    """Return where the multihashes of an index' blocks lie."""
    return index.with_suffix(".hashes")


def car_index(source: Path, target: Path) -> dict[str, Any]:
    """Index a CAR; index and multihashes are there when they are whole.

    Returns `blocks`, `left_out` and `chunks` of the multihashes, each with its CID, first byte, bytes and
    count, of which each links to the one before it; or `fault` with its byte `at`, or `fault` "none" for what
    is no CAR.
    """
    writer, left_out = IndexWriter(), 0
    index, hashes = (path.with_name(f"{path.name}.{os.getpid()}") for path in (target, hashes_path(target)))
    try:
        with source.open("rb") as file, hashes.open("wb") as listed:
            for block in blocks_read(file, header_read(file)):
                if not block.multihash.is_verifiable or block.size > BLOCK_MAX:
                    left_out += 1
                    continue
                if writer.count >= BLOCKS_MAX:
                    raise BadCar(CarFault.MANY, block.at)
                writer.add(block.multihash.digest, at=block.at, size=block.size)
                listed.write(multihash_write(block.multihash))
        most = writer.count
        with index.open("wb") as file:
            writer.write(file)
            sync(file)
        if writer.count < most:
            _repeated_drop(hashes, IndexReader(index))
        with hashes.open("r+b") as file:
            chunks = _chunks(file)
            sync(file)
        hashes.rename(hashes_path(target))
        index.rename(target)
        folder_sync(target.parent)
    except NotCar:
        return {"fault": "none", "at": 0}
    except BadCar as bad:
        return {"fault": str(bad.fault), "at": bad.at}
    finally:  # of a damaged CAR or on a full disk nothing stays there
        index.unlink(missing_ok=True)
        hashes.unlink(missing_ok=True)
    return {"blocks": writer.count, "left_out": left_out, "chunks": chunks}


def _repeated_drop(path: Path, index: IndexReader) -> None:
    """Keep each multihash once, in place: what is written lies before what is read."""
    seen = bytearray(index.count // 8 + 1)
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for one in multihashes_split(data):
                number = index.find(multihash_read(one).digest)[0].number
                if not seen[number >> 3] >> (number & 7) & 1:
                    seen[number >> 3] |= 1 << (number & 7)
                    file.write(one)
        file.truncate()


def _chunks(file: BinaryIO) -> list[tuple[str, int, int, int]]:
    """Return the chunks of the multihashes in a file."""
    if not file.seek(0, os.SEEK_END):
        return []
    chunks: list[tuple[str, int, int, int]] = []
    at, last = 0, None
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for group in chunk_groups(multihashes_split(data)):
            last = chunk_make(group, last).cid
            size = sum(map(len, group))
            chunks.append((str(last), at, size, len(group)))
            at += size
    return chunks


def sync(file: BinaryIO) -> None:
    """Write a file down to the disk."""
    file.flush()
    os.fsync(file.fileno())


def folder_sync(path: Path) -> None:
    """Write a folder's names down to the disk."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    os.nice(NICE)
    print(json.dumps(car_index(Path(sys.argv[1]), Path(sys.argv[2]))))  # noqa: T201  # its result
