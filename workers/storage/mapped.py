"""Arrays over files and over large memory: what kernels read and write.

Apart from `files`, `sector` and `memory`, as the programs that only look after files and children need no
numpy: it takes each of them 10 MiB.
Random reads of parents miss the TLB at every step with 4 KiB pages: labelling 128 MiB layers runs
1.6 times (one sector) to 2 times (two sectors) faster in 2 MiB pages, measured.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.scalars import NODE_BYTES
from workers.storage.checksums import part_ignore
from workers.storage.files import (
    COPY_BYTES,
    LIBC,
    TruncatedFile,
    finish_file,
    is_complete,
    temporary_name,
)
from workers.storage.sector import tree_nodes

if TYPE_CHECKING:
    from workers.storage.sector import SectorFiles

HUGE_BYTES = 2 << 20
"""From this size on an array asks for huge pages."""
MAP_NORESERVE = 0x4000
"""Python's mmap has it from 3.13 on."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
"""u8[n]: the bytes of a file."""
Nodes = np.ndarray[Any, np.dtype[np.uint64]]
"""u64[n, 4]: nodes as little-endian words."""


def as_nodes(raw: Bytes) -> Nodes:
    """View bytes as nodes."""
    return raw.view(np.uint64).reshape(-1, 4)


def resident_bytes(count: int) -> Bytes:
    """Return zeroed memory of our own, in huge pages where the system gives them."""
    memory = mmap.mmap(-1, count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if count >= HUGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
        except OSError:
            pass  # a kernel without transparent huge pages: slower, not wrong
    return np.frombuffer(memory, np.uint8)


def pages_release(part: np.ndarray[Any, Any]) -> None:
    """Release the memory of a part of a mapped file that is done with; its content stays in the file.

    Of the pages that it shares with other parts, too: small parts would keep theirs until the end.
    Only for arrays of `file_read` that nobody has written to, and of `file_write`: other memory would
    be lost.  What is touched again is read again.
    """
    start = part.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    end = -(-(part.ctypes.data + part.nbytes) // mmap.PAGESIZE) * mmap.PAGESIZE
    if part.nbytes:
        LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def mapped_digest(raw: Bytes, *, on_part: Callable[[], None] = part_ignore) -> str:
    """Return the SHA-256 of a mapped file in hex, and give its memory back on the way.

    `on_part` is called after each part.
    """
    digest = sha256()
    for first in range(0, len(raw), COPY_BYTES):
        part = raw[first : first + COPY_BYTES]
        digest.update(part.data)
        pages_release(part)
        on_part()
    return digest.hexdigest()


def file_read(path: Path, *, size_bytes: int) -> Bytes:
    """Map a file for reading; the array is writable memory, but writes stay private.

    Raises TruncatedFile if the size is not `size_bytes`, FileNotFoundError.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != size_bytes:
            raise TruncatedFile(f"{path} has {size} bytes instead of {size_bytes}")
        # Else Linux refuses a sector that is larger than memory and swap: all of it might be written to.
        mapping = mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE | MAP_NORESERVE)
    return np.frombuffer(mapping, np.uint8)


@contextlib.contextmanager
def file_write(path: Path, *, size_bytes: int, keep: bool = False) -> Iterator[Bytes]:
    """Map a new file of `size_bytes` for writing; it gets its name when the block ends without error.

    Its room is taken from the disk first: a full disk is an OSError here, not a SIGBUS in a kernel, and
    gets back what there was of it.
    With `keep`, a temporary file of the right size that an earlier run left is continued.
    """
    temporary = temporary_name(path)
    is_continued = keep and is_complete(temporary, size_bytes)
    with temporary.open("r+b" if is_continued else "w+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        except OSError:
            if not is_continued:
                temporary.unlink()
            raise
        mapping = mmap.mmap(file.fileno(), size_bytes)
        yield np.frombuffer(mapping, np.uint8)
        mapping.flush()
        os.fsync(file.fileno())
    finish_file(path)


class NodesFile:
    """The nodes of a file, read on demand.

    A block that its disk cannot read is an OSError here; in a mapped file it ends the process by SIGBUS.
    """

    def __init__(self, path: Path, count: int) -> None:
        """Open the file.  Raises TruncatedFile, OSError."""
        self.path, self.count = path, count
        if not is_complete(path, NODE_BYTES * count):
            raise TruncatedFile(f"{path} has {path.stat().st_size} bytes instead of {NODE_BYTES * count}")
        self.file = os.open(path, os.O_RDONLY)

    def __getitem__(self, wanted: slice) -> Nodes:
        """Read some nodes.  Raises TruncatedFile, OSError."""
        first, end, _ = wanted.indices(self.count)
        at, until, found = NODE_BYTES * first, NODE_BYTES * end, b""
        while (position := at + len(found)) < until:
            try:
                part = os.pread(self.file, until - position, position)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            if not part:
                raise TruncatedFile(f"{self.path} was cut to {position} bytes while it was read")
            found += part
        return as_nodes(np.frombuffer(found, np.uint8))

    def close(self) -> None:
        """Close the file."""
        os.close(self.file)


def layer_nodes(files: SectorFiles, layer: int) -> Nodes:
    """Map the labels of one layer.  Raises TruncatedFile, FileNotFoundError."""
    return _nodes(files.layer(layer), files.parameters.nodes)


def tree_d_nodes(files: SectorFiles) -> Nodes:
    """Map tree-d: the data, then the rows above.  Raises TruncatedFile, FileNotFoundError."""
    return _nodes(files.tree_d, tree_nodes(files.parameters.nodes, 2))


def tree_c_nodes(files: SectorFiles, base_tree: int) -> Nodes:
    """Map one base tree of tree-c.  Raises TruncatedFile, FileNotFoundError."""
    return _nodes(files.tree_c(base_tree), tree_nodes(files.base_leaves, BASE_ARITY))


def tree_r_last_rows(files: SectorFiles, base_tree: int) -> Nodes:
    """Map the stored rows of one base tree.  Raises TruncatedFile, FileNotFoundError."""
    return _nodes(files.tree_r_last(base_tree), files.tree_r_last_nodes)


def sealed_nodes(files: SectorFiles) -> Nodes:
    """Map the sealed file.  Raises TruncatedFile, FileNotFoundError."""
    return _nodes(files.sealed, files.parameters.nodes)


def _nodes(path: Path, count: int) -> Nodes:
    return as_nodes(file_read(path, size_bytes=NODE_BYTES * count))
