"""What a host tells the console of its machine: looked at from a thread, since a disk may not answer.

Disks are measured when a host joins and when somebody asks; the figures stay in its folder.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from poolsite.wire.batch_model import LABELLING, SET
from poolsite.wire.hardware import BatchSize, Disk, DrivesMeasured, HostLoad, LayerBatch, SealingFolder
from workers.console.host_report import ERROR_MAX
from workers.console.log_tail import log_tail
from workers.host_load import LoadMeter
from workers.machine import Machine, disk_measure, disk_read, machine_read
from workers.processors.batch_rates import batch_now_read, measured_read, size_read
from workers.storage.files import write_file

if TYPE_CHECKING:
    from workers.console.lease_keeper import LeaseKeeper
    from workers.processors.layer_drives import LayerDrives

log = structlog.get_logger(__name__)

RATES_FILE: Final = "disk_rates.json"
"""In a worker's folder: what was measured last, by folder."""
MEASURE: Final = (sys.executable, "-m", "workers", "measure-disks", "--all")
MEASURE_S: Final = 900.0
"""How long drives may take to be measured: the sample that is written to each, and ten seconds of reads."""
CHECK_S: Final = 10.0
"""Pause between two looks at the free space."""
REPORTED: Final = ("numa_nodes", "l3_bytes", "l3_caches", "gpus", "disks")
"""Fields of `Machine` that `Hardware` has as well, and the lease keeper does not look at itself."""


class MachineReport:
    """What a machine has, as the console is told."""

    def __init__(
        self,
        folder: Path,
        folders: Callable[[], tuple[Path, ...]],
        sealing: Callable[[], dict[str, SealingFolder]] = dict,
        locations: Collection[Path] = (),
        layers: LayerDrives | None = None,
    ) -> None:
        self.folder = folder
        self.path = folder / RATES_FILE
        self.folders = folders
        """Folders whose disks are reported, read anew each time."""
        self.sealing = sealing
        """Return by path all sealing stores, and the locations of sealing threads that are away."""
        self.locations = frozenset(locations)
        """Those of sealing threads, of which `folders` has the ones that are there."""
        self.layers = layers
        """The drives on which layers lie, if the host's file names some."""
        self._machine: Machine | None = None
        self._meter = LoadMeter()
        self._load: HostLoad | None = None
        self._drives: DrivesMeasured | None = None
        self._is_measuring, self._drives_error = False, ""
        self._is_stopped = threading.Event()
        self._measure = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._work, name="machine", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped.set()
        self._measure.set()

    def measure(self) -> None:
        """Measure the disks soon."""
        self._measure.set()

    def report_with(self, leases: LeaseKeeper) -> None:
        """Send the machine, and the log when somebody reads it, with registrations and heartbeats."""
        leases.report.machine, leases.disks_measure = self.hardware, self.measure
        leases.log_tail = partial(log_tail, self.folder / "log")

    def hardware(self) -> dict[str, Any]:
        """Return what is known by now, as fields of `Hardware`."""
        machine = self._machine
        if machine is None:
            return {}
        facts = {
            "load": self._load,
            "batch": self._batch(),
            "drives_measured": self._drives,
            "batch_size": self._batch_size(),
            "drives_measuring": self._is_measuring,
            "drives_error": self._drives_error,
        }
        return {name: getattr(machine, name) for name in REPORTED} | facts

    def _batch(self) -> LayerBatch | None:
        return None if self.layers is None else batch_now_read(Path(self.layers.folder))

    def _batch_size(self) -> BatchSize | None:
        if self.layers is None:
            return None
        if self.layers.sectors:
            return BatchSize(sectors=self.layers.sectors, why=SET)
        return size_read(Path(self.layers.folder))

    def _is_first(self) -> bool:
        """Return whether the size of batches is to be chosen, and nothing was measured for that."""
        if self.layers is None or self.layers.sectors or self._drives_error or self._batch() is not None:
            return False
        known = measured_read(self.folder)
        return known is None or known.drives != self.layers.drives

    def _drives_measure(self, layers: LayerDrives) -> None:
        """Measure the drives and the cores' labels, for batches of every size; say why it could not."""
        if self._batch() is not None:
            self._drives_error = LABELLING
            return
        known = measured_read(self.folder)
        tbw = 0.0 if known is None or not known.drives else known.endurance_bytes / len(known.drives) / 1e12
        self._is_measuring = True
        try:
            done = subprocess.run(  # noqa: S603  # our own program
                [*MEASURE, "--dir", str(self.folder), "--endurance", str(tbw), "--", *layers.drives],
                check=True,
                capture_output=True,
                text=True,
                timeout=MEASURE_S,
            )
        except subprocess.CalledProcessError as error:
            self._drives_error = _last_line(error.stderr) or str(error)[:ERROR_MAX]
        except (OSError, subprocess.TimeoutExpired) as error:
            self._drives_error = str(error)[:ERROR_MAX]
        else:  # what was not kept is not measured again and again
            self._drives_error = _last_line(done.stderr) if measured_read(self.folder) == known else ""
        finally:
            self._is_measuring = False

    def _work(self) -> None:
        while not self._is_stopped.is_set():
            try:
                self._load = self._meter.read()
            except (OSError, ValueError) as error:
                self._load = None
                log.warning("load_not_read", reason=str(error)[:200])
            try:
                self._read()
            except OSError as error:  # a disk that is away: the others are told again soon
                log.warning("machine_not_looked_at", reason=str(error)[:200])
            self._measure.wait(CHECK_S)

    def _read(self) -> None:
        if self._machine is None:
            self._machine = machine_read(())
        is_requested = self._measure.is_set() and not self._is_stopped.is_set()
        self._measure.clear()
        if is_requested:
            here = (Path(path) for path, one in self.sealing().items() if one.total_bytes)
            rates_write(self.path, tuple(disk_measure(folder) for folder in (*self.folders(), *here)))
        if self.layers is not None and (is_requested or self._is_first()):
            self._drives_measure(self.layers)
        known, self._drives = rates_read(self.path), measured_read(self.folder)
        disks = []
        for folder in self.folders():
            with suppress(OSError):  # away: the others are told
                disks.append(msgspec.structs.replace(disk_read(folder), is_location=folder in self.locations))
        for path, one in self.sealing().items():
            disks.append(
                Disk(
                    folder=path,
                    total_bytes=one.total_bytes,
                    free_bytes=one.free_bytes,
                    disk=one.disk,
                    sealing=one,
                )
            )
        self._machine = replace(self._machine, disks=tuple(with_rates(disk, known) for disk in disks))


def _last_line(text: str) -> str:
    """Return the last line that measure-disks has said."""
    line = (text.strip().splitlines() or [""])[-1]
    return line.removeprefix("measure-disks: ")[:ERROR_MAX]


def with_rates(disk: Disk, known: dict[str, Disk]) -> Disk:
    """Return a disk with what was measured last."""
    rates = known.get(disk.folder)
    if rates is None:
        return disk
    return msgspec.structs.replace(disk, write_bytes_s=rates.write_bytes_s, read_bytes_s=rates.read_bytes_s)


def rates_read(path: Path) -> dict[str, Disk]:
    """Return what was measured last, by folder."""
    try:
        return {disk.folder: disk for disk in msgspec.json.decode(path.read_bytes(), type=tuple[Disk, ...])}
    except (FileNotFoundError, UnicodeDecodeError, msgspec.MsgspecError):
        return {}


def rates_write(path: Path, disks: tuple[Disk, ...]) -> None:
    """Store what was measured."""
    write_file(path, msgspec.json.encode(disks))
