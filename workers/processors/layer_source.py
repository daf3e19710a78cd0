"""Reads the layers of a sector: from its own files, or from the pages of its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.wire.page_shape import shape_of
from workers.processors.errors import BadFile
from workers.processors.page_stripes import DamagedChunk, Indices, Stripes, batch_read
from workers.storage.files import write_file
from workers.storage.mapped import Bytes, Nodes, layer_nodes, pages_release
from workers.storage.page_drives import drives_read
from workers.storage.sector import LAYERS_PLACE

if TYPE_CHECKING:
    from workers.storage.sector import SectorFiles


class LayersPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The lane of a sector whose layers lie among those of a batch, as its cache folder says."""

    batch: str
    """The batch's file."""
    id: str
    """The batch's; another one may have a file of this name later."""
    drives: tuple[str, ...]
    lane: int

    def write(self, files: SectorFiles) -> None:
        """Write it to the sector's cache folder."""
        write_file(files.layers_place, msgspec.json.encode(self))


def layers_place(files: SectorFiles) -> LayersPlace | None:
    """Return where a sector's layers lie on drives; None if they do not, or no more.  Raises BadFile."""
    place = _place_read(files.layers_place)
    if place is None or batch_read(Path(place.batch)).get("batch") != place.id:
        return None
    return place


def _place_read(path: Path) -> LayersPlace | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LayersPlace)
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, msgspec.DecodeError):
        raise BadFile(f"{path} is damaged: which batch has the layers is lost") from None


def is_place(cache: Path, batch: Path) -> bool:
    """Return whether a sector's layers are those of a batch, by its cache folder.

    So it may be where that cannot be read, or the disk is not there.
    """
    try:
        place = _place_read(cache / LAYERS_PLACE)
    except (BadFile, OSError):
        return True
    return place.batch == str(batch) if place else not cache.parent.is_dir()


def is_labelled_on_drives(files: SectorFiles, replica_id: bytes) -> bool:
    """Return whether all layers of this replica id are known to lie on drives.

    They are not where a file is damaged that says so: pc1 finds the sector's batch by its replica id, and
    writes anew where the layers are, or says which batch is lost.
    """
    try:
        place = layers_place(files)
    except BadFile:
        return False
    if place is None:
        return False
    known = batch_read(Path(place.batch))
    return bool(known["ids"][place.lane] == replica_id.hex() and known["layer"] > len(known["extents"]))


class PagedLayer:
    """A layer of one sector on drives.

    A page that is damaged is a DamagedChunk, and the sector's labels count as missing from then on.
    """

    def __init__(self, stripes: Stripes, files: SectorFiles, *, layer: int, lane: int) -> None:
        self.stripes, self.files, self.layer, self.lane = stripes, files, layer, lane

    def __getitem__(self, wanted: int | slice | Indices) -> Nodes:
        """Return the label of a node, u64[4], or those of several, u64[n, 4]."""
        if isinstance(wanted, slice):
            first, end, _ = wanted.indices(self.stripes.shape.nodes)
            size = self.stripes.shape.chunk
            cuts = [first, *range((first // size + 1) * size, end, size), end]
            return np.concatenate([self._rows(at, to - at) for at, to in pairwise(cuts)])
        if isinstance(wanted, np.ndarray):
            return self._labels(lambda: self.stripes.scattered_read(self.layer, wanted))
        row: Nodes = self._rows(int(wanted), 1)[0]
        return row

    def _rows(self, first: int, count: int) -> Nodes:
        """Return the labels of neighbouring nodes of one chunk."""
        return self._labels(lambda: self.stripes.pages_read(self.layer, first, count))

    def _labels(self, pages_read: Callable[[], Bytes]) -> Nodes:
        """Return the sector's labels of pages that are read."""
        try:
            pages = pages_read().reshape(-1, self.stripes.shape.lanes, NODE_BYTES)
        except DamagedChunk:
            self.files.layers_place.unlink(missing_ok=True)  # pc1 looks over the batch, and makes it good
            raise
        return np.ascontiguousarray(pages[:, self.lane]).view(np.uint64)


Layers = Sequence[Nodes] | Sequence[PagedLayer]


def layers_of(files: SectorFiles) -> Layers:
    """Return all layers of a sector, to be read by node.  Raises TruncatedFile, NotOurDrive, OSError."""
    layers, place = range(1, files.parameters.layers + 1), layers_place(files)
    if place is None:
        return [layer_nodes(files, layer) for layer in layers]
    known, drives = batch_read(Path(place.batch)), [Path(path) for path in place.drives]
    shape = shape_of(files.parameters, len(known["ids"]), len(drives))
    opened = drives_read(drives, store=known["store"])
    stripes = Stripes(shape, opened, batch=bytes.fromhex(known["batch"]), extents=known["extents"])
    return [PagedLayer(stripes, files, layer=layer, lane=place.lane) for layer in layers]


def rows_release(layers: Layers, rows: Sequence[Nodes]) -> None:
    """Release the memory of rows that were read, if it is that of files."""
    for layer, part in zip(layers, rows, strict=True):
        if isinstance(layer, np.ndarray):
            pages_release(part)
