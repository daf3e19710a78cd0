"""The stripes of a batch on drives: each is checked when it is read, and known by what is behind its pages.

The file of a batch says which sectors it has, where its layers are and how far they are labelled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from poolsite.wire.page_shape import TAIL
from workers.kernels import page_plan, uring
from workers.kernels.crc32c import page_sums
from workers.processors.errors import BadFile
from workers.storage.mapped import resident_bytes
from workers.storage.page_drives import DriveFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poolsite.wire.page_shape import PageShape
    from workers.storage.mapped import Bytes
    from workers.storage.page_drives import PageDrives

Sums = np.ndarray[Any, np.dtype[np.uint32]]
Indices = np.ndarray[Any, np.dtype[np.int64]]
TAILS_KEPT: Final = 64
"""Stripes whose sums a reader of single pages keeps: 16 KiB each."""


class DamagedChunk(BadFile):
    """Pages of a chunk that cannot be read, or are not what was written."""

    def __init__(self, layer: int, chunk: int, text: str) -> None:
        super().__init__(text)
        self.layer, self.chunk = layer, chunk


class Stripes:
    """The stripes of one batch."""

    def __init__(self, shape: PageShape, drives: PageDrives, *, batch: bytes, extents: Sequence[int]) -> None:
        """`batch` is its id; `extents` has those of the layers, below 0 once their room was released."""
        self.shape, self.drives, self.batch, self.extents = shape, drives, batch, extents
        self._tail, self._stripe = resident_bytes(shape.tail_bytes), resident_bytes(shape.stripe_bytes)
        self._sums_of: dict[tuple[int, int], Sums] = {}

    @property
    def memory_bytes(self) -> int:
        """Return the bytes of its buffers."""
        return self._tail.nbytes + self._stripe.nbytes

    def start(self, layer: int, chunk: int) -> int:
        """Return where a stripe begins on its drive.  Raises BadFile for a layer whose room was released."""
        extent = self.extents[layer - 1]
        if extent < 0:
            raise BadFile(f"layer {layer} of the batch is on the drives no more: its room was released")
        return self.drives.extent_start(extent) + self.shape.stripe_start(chunk)

    def read(self, layer: int, chunk: int) -> tuple[Bytes, Sums]:
        """Return the pages of a chunk, until the next call, and their sums.  Raises DamagedChunk."""
        size = self.shape.pages_bytes
        self._read(layer, chunk, self._stripe, at=0)
        pages, sums = self._stripe[:size], self._sums(layer, chunk, self._stripe[size:])
        self._check(layer, chunk, pages, sums)
        return pages, sums

    def sums_read(self, layer: int, chunk: int) -> Sums:
        """Return the sums of a chunk's pages without these.  Raises DamagedChunk."""
        size = self.shape.pages_bytes
        is_shared = self.drives.is_read_only  # by threads that each read some pages
        tail = np.empty(self.shape.tail_bytes, np.uint8) if is_shared else self._stripe[size:]
        self._read(layer, chunk, tail, at=size)
        return self._sums(layer, chunk, tail)

    def pages_read(self, layer: int, first: int, count: int) -> Bytes:
        """Return the pages of neighbouring nodes of one chunk, of drives that are only read.

        Raises DamagedChunk.
        """
        chunk, at = divmod(first, self.shape.chunk)
        pages = np.empty(count * self.shape.page_bytes, np.uint8)
        self._read(layer, chunk, pages, at=at * self.shape.page_bytes)
        sums = self._sums_of.get((layer, chunk))
        if sums is None:
            if len(self._sums_of) >= TAILS_KEPT:
                self._sums_of.clear()
            sums = self._sums_of[layer, chunk] = self.sums_read(layer, chunk)
        self._check(layer, chunk, pages, sums[at : at + count])
        return pages

    def scattered_read(self, layer: int, nodes: Indices) -> Bytes:
        """Return the pages of nodes anywhere in a layer: u8[nodes, page bytes], of drives that are only read.

        Only the sum of each page is read with it; one that differs is read by its whole stripe's sums, which
        say whether that is damaged.  Raises DamagedChunk.
        """
        shape, count = self.shape, len(nodes)
        chunks, at = np.divmod(nodes, shape.chunk)
        stripes = self.start(layer, 0) + chunks // shape.drives * shape.stripe_bytes
        pages, sums = np.empty((count, shape.page_bytes), np.uint8), np.empty((count, 1), np.uint32)
        requests, results = np.zeros((count, page_plan.REQUEST), np.int64), np.zeros(count, np.int64)
        requests[:, page_plan.DRIVE] = chunks % shape.drives
        handles = np.array([drive.handle for drive in self.drives.drives], np.int64)
        is_right = np.ones(count, np.bool_)
        for target, place in ((pages, at * shape.page_bytes), (sums, shape.pages_bytes + 4 * at)):
            size = target.nbytes // count
            requests[:, page_plan.OFFSET] = stripes + place
            requests[:, page_plan.ADDRESS] = target.ctypes.data + size * np.arange(count)
            uring.drives_pread(handles, requests, np.array([0, 0, 1, 0, size, -1], np.int64), results)
            is_right &= results == size
        found = np.zeros(count, np.uint32)
        page_sums(pages, found)
        for wrong in np.flatnonzero(~is_right | (found != sums[:, 0])):
            pages[wrong] = self.pages_read(layer, int(nodes[wrong]), 1)
        return pages

    def write(self, layer: int, chunk: int, pages: Bytes, sums: Sums) -> None:
        """Write the stripe of a chunk.  Raises DriveFailed."""
        self._tail[: sums.nbytes] = sums.view(np.uint8)
        end = len(self._tail) - TAIL.size
        TAIL.pack_into(self._tail.data, end, self.batch, layer, chunk, _sum_of(self._tail[: sums.nbytes]))
        parts = [pages.data, self._tail.data]
        self.drives.write(chunk % self.shape.drives, parts, self.start(layer, chunk))

    def damaged(self, layer: int, chunk: int, why: str) -> DamagedChunk:
        """Return the error of a chunk: drive, layer, chunk and reason."""
        drive = self.drives.drives[chunk % self.shape.drives]
        at = f"drive {drive.number + 1} ({drive.path}), layer {layer}, chunk {chunk} of {self.shape.steps}"
        return DamagedChunk(layer, chunk, f"{at}: {why}")

    def _read(self, layer: int, chunk: int, part: Bytes, *, at: int) -> None:
        try:
            self.drives.read(chunk % self.shape.drives, part.data, self.start(layer, chunk) + at)
        except DriveFailed as error:
            raise self.damaged(layer, chunk, str(error)) from None

    def _sums(self, layer: int, chunk: int, tail: Bytes) -> Sums:
        """Return the sums of a stripe's end.  Raises DamagedChunk if it is not the end of that stripe."""
        sums = tail[: 4 * self.shape.chunk]
        what = self.batch, layer, chunk, _sum_of(sums)
        if TAIL.unpack_from(tail.data, len(tail) - TAIL.size) != what:
            raise self.damaged(layer, chunk, "not what was written")
        return sums.view(np.uint32).copy()

    def _check(self, layer: int, chunk: int, pages: Bytes, sums: Sums) -> None:
        found = np.zeros(len(sums), np.uint32)
        page_sums(pages.reshape(len(sums), -1), found)
        if not np.array_equal(found, sums):
            raise self.damaged(layer, chunk, "not what was written")


def _sum_of(raw: Bytes) -> int:
    """Return the CRC-32C of bytes, a multiple of 32 of them."""
    one = np.zeros(1, np.uint32)
    page_sums(raw.reshape(1, -1), one)
    return int(one[0])


def batch_read(path: Path) -> dict[str, Any]:
    """Return what a batch's file says; empty if there is none.  Raises BadFile."""
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise BadFile(f"{path} is damaged: where the batch's layers are is lost") from None
    return known
