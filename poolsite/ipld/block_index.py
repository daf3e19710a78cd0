"""Index of the blocks of a CAR: one sorted, immutable file, of which a lookup reads a few bytes.

Written by a process of its own (`python -m poolsite.ipld.indexer`).  A lookup of a block that is not there
reads one byte, of one that is there a few hundred more, however many blocks there are:

    header    magic, number of blocks, sizes of the next two parts (powers of two), CRC-32 of the entries
    filter    a bit for each of 16 to 32 values a block, by the last bits of its key
    starts    of each group of keys by their first bits, the number of the first; 16 to 32 keys a group
    entries   key (the first 16 bytes of the hash), offset, size: 28 bytes each, sorted

A volume has the entries of many indexes: with the number of a piece's row where they have the offset, and 0
for the size.  Decision 59.
"""

from __future__ import annotations

import os
import struct
import weakref
import zlib
from array import array
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

MAGIC: Final = b"PSBLOCK1"
HEADER: Final = struct.Struct(">8sQBBI10x")
ENTRY: Final = struct.Struct(">16sQI")
START: Final = struct.Struct(">II")
KEY_BYTES: Final = 16
FILTER_BITS: Final = 16
"""Least bits of the filter for each block: of 16 blocks that are not there one costs a second read."""
FILTER_LOG_MIN: Final = 10
GROUP: Final = 16
"""Least blocks of a group."""
READ_BYTES: Final = 1024 * ENTRY.size
"""Read of a file at a time that is read whole."""
BLOCKS_MAX: Final = 4_000_000
"""Blocks of one index: 112 MB, of a piece of 32 GiB blocks of 8 KiB on average."""


class BadIndex(ValueError):
    """A file that is no index, or was cut."""


class Place(NamedTuple):
    """A possible place of a block: its hash begins as the wanted one does."""

    number: int
    """Among the index' entries."""
    at: int
    """Byte of the piece."""
    size: int


class IndexWriter:
    """Collects entries, then writes them sorted; in memory they take 28 bytes each."""

    def __init__(self) -> None:
        self._groups = [bytearray() for _ in range(256)]
        self.count = 0

    def add(self, digest: bytes, *, at: int, size: int) -> None:
        """Add a block."""
        self._groups[digest[0]] += ENTRY.pack(digest[:KEY_BYTES], at, size)
        self.count += 1

    def write(self, file: BinaryIO) -> None:
        """Write the file, and count each block once; the entries are gone then.

        Of a block that a CAR has a million times a lookup would read as many entries.
        """
        self.count = entries_write(file, self._entries(), most=self.count)

    def _entries(self) -> Iterator[bytearray]:
        for group in self._groups:
            listed = sorted(group[at : at + ENTRY.size] for at in range(0, len(group), ENTRY.size))
            group.clear()
            yield from (next(same) for _, same in groupby(listed, key=lambda entry: entry[:KEY_BYTES]))


def entries_write(file: BinaryIO, entries: Iterator[bytes | bytearray], *, most: int) -> int:
    """Write an index of sorted entries, of which there are `most` at most; return how many there were."""
    filter_log = max(FILTER_LOG_MIN, (most * FILTER_BITS - 1).bit_length() if most else 0)
    start_log = max(0, (most // GROUP).bit_length() - 1)
    bits, starts = bytearray(1 << (filter_log - 3)), array("I", bytes(4 * ((1 << start_log) + 1)))
    mask, shift, count, crc = (1 << filter_log) - 1, 64 - start_log, 0, 0
    file.seek(HEADER.size + len(bits) + 4 * len(starts))
    while some := list(islice(entries, 1024)):
        for entry in some:
            place = int.from_bytes(entry[8:16], "big") & mask
            bits[place >> 3] |= 1 << (place & 7)
            starts[(int.from_bytes(entry[:8], "big") >> shift) + 1] += 1
        data = b"".join(some)
        crc, count = zlib.crc32(data, crc), count + len(some)
        file.write(data)
    for number in range(1, len(starts)):
        starts[number] += starts[number - 1]
    starts.byteswap()  # written as the other numbers, whatever this machine has
    file.seek(0)
    file.write(HEADER.pack(MAGIC, count, filter_log, start_log, crc) + bits)
    starts.tofile(file)
    return count


def file_open(owner: object, path: Path) -> int:
    """Open a file for reading until nobody has its owner any more; return its descriptor.  Raises OSError."""
    number = os.open(path, os.O_RDONLY)
    weakref.finalize(owner, os.close, number)
    return number


class IndexReader:
    """An index file that is open; may be used from any thread."""

    def __init__(self, path: Path) -> None:
        """Open the file.  Raises OSError, BadIndex."""
        self._fd = file_open(self, path)
        head = os.pread(self._fd, HEADER.size, 0)
        if len(head) < HEADER.size or not head.startswith(MAGIC):
            raise BadIndex(f"{path.name} is no index")
        _, self.count, self._filter_log, self._start_log, self._crc = HEADER.unpack(head)
        if not (FILTER_LOG_MIN <= self._filter_log < 40 and self._start_log < 40):
            raise BadIndex(f"{path.name} is no index")
        self._starts = HEADER.size + (1 << self._filter_log - 3)
        self._entries = self._starts + 4 * ((1 << self._start_log) + 1)
        if os.fstat(self._fd).st_size != self._entries + self.count * ENTRY.size:
            raise BadIndex(f"{path.name} is cut short")

    def find(self, digest: bytes) -> list[Place]:
        """Return where blocks lie whose hash begins as this one.  Raises OSError, BadIndex."""
        key, fd = digest[:KEY_BYTES], self._fd
        place = int.from_bytes(key[8:], "big") & (1 << self._filter_log) - 1
        [byte] = os.pread(fd, 1, HEADER.size + (place >> 3)) or b"\0"
        if not byte >> (place & 7) & 1:
            return []
        group = int.from_bytes(key[:8], "big") >> 64 - self._start_log
        first, end = START.unpack(os.pread(fd, START.size, self._starts + 4 * group))
        if not first <= end <= self.count:
            raise BadIndex(f"group {group} of an index is none")
        entries = enumerate(self._entries_read(first, end), first)
        return [Place(number, at, size) for number, (one, at, size) in entries if one == key]

    def entry(self, number: int) -> tuple[bytes, Place]:
        """Return an entry by its number, with its key.  Raises OSError."""
        [(key, at, size)] = self._entries_read(number, number + 1)
        return key, Place(number, at, size)

    def entries(self) -> Iterator[bytes]:
        """Yield all entries.  Raises OSError, BadIndex: some of them are not what was written."""
        crc = 0
        for at in range(self._entries, self._entries + self.count * ENTRY.size, READ_BYTES):
            size = min(READ_BYTES, self._entries + self.count * ENTRY.size - at)
            data = os.pread(self._fd, size, at)
            crc = zlib.crc32(data, crc)
            yield from (data[first : first + ENTRY.size] for first in range(0, len(data), ENTRY.size))
        if self._crc not in (crc, 0):  # older indexes have none
            raise BadIndex("the entries of an index have changed")

    def _entries_read(self, first: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        size = (end - first) * ENTRY.size
        data = os.pread(self._fd, size, self._entries + first * ENTRY.size)
        if len(data) != size:
            raise OSError(f"{size} bytes of an index are not there")
        return ENTRY.iter_unpack(data)
