"""How fast a host's batches on drives are: how far the present one is, and how long the next one takes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from poolsite.wire.hardware import BatchSize, DrivesMeasured, LayerBatch
from workers.storage.files import write_file

if TYPE_CHECKING:
    from poolsite.wire.page_shape import PageShape
    from workers.processors.page_batch import PageBatch

RATES: Final = "rates"
"""The file in the folder of a host that has them."""
NOW: Final = "now"
"""The file there that says how far the present batch is."""
SIZE: Final = "size"
"""The file there that says how many sectors batches have, where that was chosen by trial."""
MEASURED: Final = "drives_measured.json"
"""The file in a host's folder that has what `measure-disks --all` found."""
NOW_S, STALE_S = 5.0, 120.0
"""How often it is written, and after how long it counts no more: the process was killed."""
NOTE_S: Final = 60.0
"""How often the first batch of its kind notes how fast it is: a kill leaves what was measured before."""


class BatchRates(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of the last batches."""

    nodes_s: dict[str, float] = {}
    """Labelled nodes a second, of all sectors at once, by graph, lanes of a page and drives (`label_key`)."""
    tree_nodes_s: dict[str, float] = {}
    """Nodes a second, of each sector one after the other, that become columns and trees, by the graph's."""

    def label_s(self, shape: PageShape, *, done: int = 0) -> float | None:
        """Return the seconds until all layers are there; None: not known yet.

        Where only batches with smaller pages were measured it is the least time that it takes.
        """
        known = [self.nodes_s.get(label_key(shape, lanes), 0.0) for lanes in range(shape.lanes, 0, -1)]
        rate = next((one for one in known if one > 0), 0.0)
        return (shape.layers * shape.nodes - done) / rate if rate else None

    def batch_s(self, shape: PageShape, *, sectors: int, done: int = 0) -> float | None:
        """Return the seconds until replicas and trees are there, too; None: not known yet.

        As long as no trees were measured it is the least time that it takes.
        """
        label_s, rate = self.label_s(shape, done=done), self.tree_nodes_s.get(str(shape.nodes), 0.0)
        return None if label_s is None else label_s + (sectors * shape.nodes / rate if rate else 0.0)


def label_key(shape: PageShape, lanes: int) -> str:
    """Return under which name the rate of a batch with so wide pages is noted: more drives are faster."""
    return f"{shape.nodes}x{lanes}, {shape.drives} drives"


def rates_read(folder: Path) -> BatchRates:
    """Return what is known; nothing of a file that is damaged, or cannot be read: it is measured again."""
    try:
        return msgspec.json.decode((folder / RATES).read_bytes(), type=BatchRates)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return BatchRates()


def size_read(folder: Path) -> BatchSize | None:
    """Return how many sectors batches have, as chosen last; None if that is not known."""
    try:
        return msgspec.json.decode((folder / SIZE).read_bytes(), type=BatchSize)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return None


def batch_now_read(folder: Path) -> LayerBatch | None:
    """Return how far the present batch is; None if none is labelled."""
    path = folder / NOW
    try:
        if time.time() - path.stat().st_mtime > STALE_S:
            return None
        return msgspec.json.decode(path.read_bytes(), type=LayerBatch)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return None


def measured_read(folder: Path) -> DrivesMeasured | None:
    """Return what was measured last; None of a host that never was, or a file that is damaged."""
    try:
        return msgspec.json.decode((folder / MEASURED).read_bytes(), type=DrivesMeasured)
    except (OSError, msgspec.DecodeError):
        return None


def measured_write(folder: Path, measured: DrivesMeasured) -> None:
    """Write what was measured.  Raises OSError."""
    write_file(folder / MEASURED, msgspec.json.encode(measured))


class RateMeter:
    """Measures one batch of so many sectors."""

    def __init__(self, folder: Path, batch: PageBatch, *, members: int) -> None:
        self.folder, self.batch, self.shape, self.members = folder, batch, batch.shape, members
        self._started = self._noted = self._trees_at = time.monotonic()
        self._written_at = 0.0
        self._first: int | None = None
        self._is_new_kind = self._key not in rates_read(folder).nodes_s
        """Whether no batch of its kind was measured before it."""

    @property
    def _key(self) -> str:
        return label_key(self.shape, self.shape.lanes)

    def write_now(self, done: int) -> None:
        """Write down how far the batch is, every few seconds."""
        now, shape = time.monotonic(), self.shape
        if now - self._written_at < NOW_S:
            return
        self._written_at = now
        total = shape.layers * shape.nodes
        batch, reads = self.batch, self.batch.reads
        is_labelling = done < total and self._first is not None and now > self._started
        found = LayerBatch(
            sectors=shape.sectors,
            lanes_empty=shape.lanes - self.members,
            layer=min(done // shape.nodes, shape.layers) + 1,
            layers=shape.layers,
            done=done,
            total=total,
            reads_milli=round(1000 * reads / batch.labelled) if batch.labelled else 0,
            reads_s=round(reads / (now - self._started)) if is_labelling else 0,
            page_bytes=shape.page_bytes,
            end_s=self._end_s(done, now),
        )
        write_file(self.folder / NOW, msgspec.json.encode(found))

    def _end_s(self, done: int, now: float) -> int:
        """Return when the batch ends; 0 as long as no batch's trees, or labels, were measured."""
        rates, total = rates_read(self.folder), self.shape.layers * self.shape.nodes
        left = rates.batch_s(self.shape, sectors=self.members, done=done)
        if left is None or not rates.tree_nodes_s.get(str(self.shape.nodes)):
            return 0
        since_s = now - self._trees_at if done >= total else 0.0
        return int(time.time() + max(left - since_s, 0.0))

    def end(self) -> None:
        """Remove what says how far it is."""
        (self.folder / NOW).unlink(missing_ok=True)

    def labelled(self, done: int, *, is_end: bool = False) -> None:
        """Note how many nodes of all layers are labelled; the first call tells where it begins."""
        now = time.monotonic()
        if is_end:
            self._trees_at = now
        if self._first is None:
            self._first, self._started = done, now
        elif (is_end or now - self._noted >= NOTE_S) and done > self._first and now > self._started:
            self._noted, made = now, done - self._first
            # part of a batch says little of others: the first layer needs no reads of one before
            if self._is_new_kind or (is_end and made >= self.shape.nodes):
                known, rate = rates_read(self.folder), made / (now - self._started)
                self._write(msgspec.structs.replace(known, nodes_s=known.nodes_s | {self._key: rate}))

    def trees_made(self, sectors: int, *, took_s: float) -> None:
        """Note that these sectors' trees were all made in one pass."""
        if sectors and took_s > 0:
            known, rate = rates_read(self.folder), sectors * self.shape.nodes / took_s
            rates = known.tree_nodes_s | {str(self.shape.nodes): rate}
            self._write(msgspec.structs.replace(known, tree_nodes_s=rates))

    def _write(self, rates: BatchRates) -> None:
        write_file(self.folder / RATES, msgspec.json.encode(rates))
