"""Merges indexes into a volume: `python -m poolsite.ipld.merger VOLUME` reads the sources as JSON.

A volume says in which pieces a block may lie, so that a lookup opens none of the others.  A process of its
own, as it needs a processor for minutes.  A source is an index with its piece's number, or a volume with
those of the pieces that count in it: others were removed since, or indexed anew.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from poolsite.ipld.block_index import ENTRY, KEY_BYTES, BadIndex, IndexReader, entries_write
from poolsite.ipld.indexer import NICE, folder_sync, sync

PIECE_END: Final = KEY_BYTES + 8


def indexes_merge(sources: Sequence[Mapping[str, Any]], target: Path) -> dict[str, Any]:
    """Write a volume of some indexes and volumes, which is there when it is whole.

    Returns its number of `blocks`; or `damaged`, the path of a source that is gone or has changed.
    """
    path = target.with_name(f"{target.name}.{os.getpid()}")
    reading = ""
    try:
        most, parts = 0, list[Iterator[bytes]]()
        for source in sources:
            reading = source["path"]
            index = IndexReader(Path(reading))
            most += index.count
            parts.append(_entries(reading, index, source["pieces"], is_volume=source["is_volume"]))
        with path.open("wb") as file:
            count = entries_write(file, heapq.merge(*parts), most=most)
            sync(file)
        path.rename(target)
        folder_sync(target.parent)
    except Damaged as damaged:
        return {"damaged": str(damaged)}
    except (FileNotFoundError, BadIndex):
        return {"damaged": reading}
    finally:
        path.unlink(missing_ok=True)
    return {"blocks": count}


class Damaged(Exception):
    """A source, named by its path, is not what was written."""


def _entries(path: str, index: IndexReader, pieces: Sequence[int], *, is_volume: bool) -> Iterator[bytes]:
    """Yield a source's entries as a volume has them.  Raises Damaged."""
    ends = {piece.to_bytes(8, "big") for piece in pieces}
    try:
        if is_volume:
            yield from (entry for entry in index.entries() if entry[KEY_BYTES:PIECE_END] in ends)
        else:
            [end] = (piece + bytes(ENTRY.size - PIECE_END) for piece in ends)
            yield from (entry[:KEY_BYTES] + end for entry in index.entries())
    except BadIndex:
        raise Damaged(path) from None


if __name__ == "__main__":
    os.nice(NICE)
    print(json.dumps(indexes_merge(json.load(sys.stdin), Path(sys.argv[1]))))  # noqa: T201  # its result
