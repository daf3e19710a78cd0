"""Sectors that wait for their labels in one process: those of one graph are labelled side by side.

Every sector keeps its own request, lease, files and error; only the instruction stream is shared
(`labels.label_rows`: two sectors on a core run 1.3 to 1.9 times, sixteen 2.5 times as fast as one).
So a core that is free takes one, and those that are too many for the cores lie side by side.  Nobody waits
for a sector that may come some day, only for those whose stage has begun and stands before its labels.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.kernels.labels import batches
from workers.processors.labelling import LabelledSector, first_missing, label_sectors, memory_needed
from workers.processors.parallel import Progress, no_progress, thread_count
from workers.storage.memory import available_bytes

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters

WAIT_S = 60.0
"""A sector that waits for a core or memory says so often that it goes on."""


@dataclass(frozen=True, slots=True)
class TicketLife:
    """How long labels of a ticket are of use."""

    end_s: int = 0
    """Unix time by which the replica must be there; 0: at any time."""
    fresh_s: int = 0
    """Seconds that are left of a ticket when it is drawn; 0: not known."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A sector that stands in line."""

    sector: LabelledSector
    progress: Progress
    start: int
    """First layer to be made."""
    ticket: TicketLife = TicketLife()
    since: float = field(default_factory=time.monotonic)
    done: Future[None] = field(default_factory=Future)

    @property
    def parameters(self) -> SealParameters:
        return self.sector.files.parameters

    def fits(self, other: Waiting) -> bool:
        """Return whether both can be labelled side by side."""
        return self.parameters == other.parameters and self.start == other.start


class LabelQueue:
    """Labels sectors for many threads, on as many cores as there are."""

    writes_files = True
    """Whether each sector's layers become files of its own."""

    def __init__(self, label: Callable[..., None] = label_sectors) -> None:
        self._label = label
        self._changed = threading.Condition()
        self._coming: list[SealParameters] = []
        self._waiting: list[Waiting] = []
        self._running = 0

    @contextlib.contextmanager
    def coming(self, parameters: SealParameters) -> Iterator[Callable[..., None]]:
        """Announce a sector; gives the function that labels it, and returns when all its layers are there.

        Those of the same graph that wait already wait until it stands in line as well.
        """
        with self._changed:
            self._coming.append(parameters)
        is_coming = True

        def label(
            sector: LabelledSector, *, progress: Progress = no_progress, ticket: TicketLife | None = None
        ) -> None:
            nonlocal is_coming
            one = Waiting(sector, progress, first_missing(sector), ticket or TicketLife())
            with self._changed:
                self._coming.remove(parameters)
                is_coming = False
                if one.start <= parameters.layers:
                    self._waiting.append(one)
                self._changed.notify_all()
            if one.start <= parameters.layers:
                self._stand_in_line(one)

        try:
            yield label
        finally:
            if is_coming:
                with self._changed:
                    self._coming.remove(parameters)
                    self._changed.notify_all()

    def tend(self) -> None:
        """Keep what sectors left behind in order; layers in files of each sector need nothing."""

    def _stand_in_line(self, one: Waiting) -> None:
        """Wait until the sector is labelled; the thread whose turn it is does that for its whole batch."""
        with self._changed:
            try:
                while one in self._waiting and not self._is_turn(one):
                    one.progress(0, one.parameters.layers * one.parameters.nodes)
                    self._changed.wait(self._pause_s(one))
            except BaseException:  # else the others would wait for one that never begins
                self._waiting = [other for other in self._waiting if other is not one]
                self._changed.notify_all()
                raise
            batch = self._take(one) if one in self._waiting else []
        if batch:
            self._run(batch)
        one.done.result()

    def _pause_s(self, one: Waiting) -> float:  # noqa: ARG002
        """Return after how many seconds it looks again whether it is its turn, if nothing happens."""
        return WAIT_S

    def _is_turn(self, one: Waiting) -> bool:
        """Return whether `one` may begin: the first of its kind, nobody on the way, core and memory free."""
        alike = [other for other in self._waiting if other.fits(one)]
        if alike[0] is not one or self._running >= thread_count():
            return False
        if self._running and memory_needed(one.parameters, 1) > available_bytes():
            return False  # a running batch gives its memory back; without one the stage says what is short
        room = max(available_bytes() // memory_needed(one.parameters, 1), 1)
        return one.parameters not in self._coming or len(alike) >= max(n for n in batches() if n <= room)

    def _take(self, one: Waiting) -> list[Waiting]:
        """Remove `one` from the queue, and its neighbours if there are more of them than cores."""
        alike = [other for other in self._waiting if other.fits(one)]
        cores = max(thread_count() - self._running, 1)
        wanted = -(-len(alike) // cores)
        room = available_bytes() // memory_needed(one.parameters, 1)
        size = max((n for n in batches() if n <= min(len(alike), room) and n < 2 * wanted), default=1)
        batch = alike[:size]
        self._waiting = [other for other in self._waiting if other not in batch]
        self._running += 1
        self._changed.notify_all()
        return batch

    def _run(self, batch: Sequence[Waiting]) -> None:
        def progress(done: int, total: int) -> None:
            for one in batch:
                one.progress(done, total)

        try:
            self._label([one.sector for one in batch], progress=progress)
        except Exception as error:  # noqa: BLE001  # it belongs to the sector's own thread
            if len(batch) == 1:
                batch[0].done.set_exception(error)
            else:
                self._run_apart(batch, progress)
        else:
            for one in batch:
                one.done.set_result(None)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _run_apart(self, batch: Sequence[Waiting], progress: Progress) -> None:
        """Label each by itself, so that one sector's damaged file is only its own error."""
        for one in batch:
            try:
                self._label([one.sector], progress=progress)
            except Exception as error:  # noqa: BLE001  # it belongs to the sector's own thread
                one.done.set_exception(error)
            else:
                one.done.set_result(None)


LABEL_QUEUE = LabelQueue()
"""The line of this process."""
