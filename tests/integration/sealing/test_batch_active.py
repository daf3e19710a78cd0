"""Sectors of 8 MiB labelled as one batch with layers on drives, from ADD_PIECE until the chain counts them.

`python -m tests.bench batch_active` runs it with 128 and reads the figures that it leaves.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from apps.sectors.models import Sector
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.replica import replica_id
from poolsite.filecoin.sector import RegisteredSealProof, prover_id
from tests.integration.pools import wait_until
from tests.integration.sealing.conftest import STAGES
from tests.integration.sealing.world import PERIOD, SKIP, InlineHints, World, fresh, pledged
from workers.processors.batch_rates import batch_now_read
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.layer_drives import LAYERS_VARIABLE, LayerDrives
from workers.processors.measure_disks import drives_measure
from workers.processors.pc1 import sealed_begin
from workers.processors.pc2 import seal_trees
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.processors.sector_record import sector_files
from workers.processors.tree_d import ZERO_SOURCE, tree_d_build
from workers.storage.page_drives import FILE_NAME

pytestmark = [pytest.mark.slow]

SECTORS = int(os.environ.get("POOLSITE_BATCH_SECTORS", "4"))
FIGURES = os.environ.get("POOLSITE_BATCH_FIGURES", "")
PROOF = RegisteredSealProof.STACKED_DRG_8MIB_V1_1
DRIVES = 2
LANES = -(-SECTORS // 16) * 16
WAIT_MINUTES = 5 if SECTORS == LANES else 0
"""A full batch waits until a host has claimed all of it, 20 at a time."""
HOURS_S = 4 * 3600
EPOCHS = 60 * PERIOD
FUNDS = 400 * SECTORS
"""FIL of each wallet: the pledge of a sector is some 180 on so small a chain."""


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> LayerDrives:
    """Drives of a batch of all sectors."""
    folder = tmp_path_factory.mktemp("drives")
    drives = [folder / f"drive-{number}" for number in range(DRIVES)]
    for drive in drives:
        drive.mkdir()
        (drive / FILE_NAME).touch()
    return LayerDrives(
        folder=str(folder / "layers"),
        drives=tuple(map(str, drives)),
        sectors=LANES,
        wait_minutes=WAIT_MINUTES,
    )


@pytest.fixture(scope="module")
def kernels(layers: LayerDrives) -> Iterator[ProcessorPool]:
    """A child for PC1, with the drives, and one for all other stages."""
    environment = {LAYERS_VARIABLE: msgspec.json.encode(layers).decode()}
    others = tuple(stage for stage in STAGES if stage != "pc1")
    made = ProcessorPool(
        [ChildSpec(stages=("pc1",), environment=environment, silence_s=HOURS_S), ChildSpec(stages=others)]
    )
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path, kernels: ProcessorPool, db: None, monkeypatch: Any) -> Iterator[World]:
    """A pool on a new chain that can pledge all sectors at once."""
    made = World(tmp_path, kernels, monkeypatch, funds=FUNDS)
    yield made
    made.close()


class ThreadHints(InlineHints):
    """Follows each hint in a thread, as the Celery worker of a host does."""

    def __init__(self, runner: Any, threads: ThreadPoolExecutor) -> None:
        super().__init__(runner)
        self.threads, self.running = threads, set[str]()

    def send_task(self, _name: str, *, args: list[str], **_options: Any) -> None:
        """Run the stage that is written down, unless a thread does."""
        if args[0] not in self.running:
            self.running.add(args[0])
            self.threads.submit(self._run, args[0])

    def _run(self, job: str) -> None:
        try:
            self.runner.run(job)
        finally:
            self.running.discard(job)


class Watch:
    """Looks at what the batch tells while it is labelled."""

    def __init__(self, layers: LayerDrives) -> None:
        self.folder, self.reads_milli, self.sectors = Path(layers.folder), 0, 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while not self.is_over.wait(0.2):
            batch = batch_now_read(self.folder)
            if batch is not None:
                self.reads_milli, self.sectors = batch.reads_milli or self.reads_milli, batch.sectors


def resident_mib(pid: int) -> float:
    """Peak resident memory of a process."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def comm_r_alone(sector: Sector, folder: Path) -> bytes:
    """The comm_r of a sector of zeros that is sealed by itself, its layers in memory."""
    parameters = seal_parameters(int(PROOF))
    files = sector_files(parameters, folder)
    files.cache.mkdir(parents=True)
    comm_d = tree_d_build(files, ZERO_SOURCE)
    name = replica_id(
        prover_id(int(sector.miner.address[2:])),
        sector.number,
        ticket=bytes(sector.ticket or b""),
        comm_d=comm_d,
        porep_id=parameters.porep_id,
    )
    labelled = LabelledSector(files, name)
    sealed_begin(labelled, ZERO_SOURCE)
    label_sectors([labelled])
    comm_r = seal_trees(files, comm_d=comm_d)
    for path in [files.sealed, *files.cache.iterdir()]:
        path.unlink()
    return comm_r


def test_sectors_of_one_batch_become_active_with_the_comm_r_of_each_alone(
    world: World, kernels: ProcessorPool, layers: LayerDrives, tmp_path: Path
) -> None:
    miner = world.miner_create(seal_proof=PROOF)
    world.agent = world.sealer(slots={"PC1": SECTORS})
    threads = ThreadPoolExecutor(SECTORS + 4)
    hints: Any = ThreadHints(world.runner, threads)
    world.agent.app = hints

    def hosts_work() -> None:
        """Run sealer and prover until neither has anything to do; sealing may take hours."""

        def is_idle() -> bool:
            world.agent.claim_after = 0.0
            world.agent.tick()
            return not world.agent.held and not hints.running

        wait_until(is_idle, within_s=HOURS_S, what=lambda: f"idle hosts: {hints.running}")
        world.prover_works()

    world.hosts_work = hosts_work  # type: ignore[method-assign]
    watch, started = Watch(layers), time.monotonic()

    sectors = pledged(world, miner, count=SECTORS)
    world.until(lambda: all(fresh(one).active for one in sectors), epochs=EPOCHS, stride=SKIP)

    took_s = time.monotonic() - started
    watch.is_over.set()
    sectors = [fresh(one) for one in sectors]
    places = kernels._places["pc1"]
    resident = resident_mib(kernels._children[places[0].number].pid)
    equal = sum(
        comm_r_alone(one, tmp_path / f"alone-{one.number}") == bytes(one.comm_r or b"") for one in sectors
    )
    drives = [Path(drive) for drive in layers.drives]
    measured = drives_measure(drives, page_bytes=32 * LANES, seconds=2.0, file_bytes=1 << 26)
    figures = {
        "sectors": SECTORS,
        "unequal": SECTORS - equal,
        "resident": resident,
        "reads": watch.reads_milli / 1000,
        "read_us": measured.cpu_us,
        "minutes": took_s / 60,
    }
    if FIGURES:
        Path(FIGURES).write_text(json.dumps(figures))
    threads.shutdown()
    assert equal == SECTORS
    assert watch.sectors in (0, SECTORS), "they were one batch, if it took long enough to say so"
    assert FIGURES or resident <= 300, "MiB; whoever asks for figures has a limit of its own"
