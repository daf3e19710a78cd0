"""`python -m workers sealer`: the agent with its broker and its Celery worker, one process tree."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.tracing import tracing_start
from poolsite.wire.commands import UPGRADE_EXIT
from poolsite.wire.jobs import STAGED
from workers.agent.children import ChildCommand, Children, ProgramMissing, broker_command
from workers.agent.deal_folder import DealFolder
from workers.agent.drives_reset import DrivesReset
from workers.agent.inventory import sectors_here, stored_here
from workers.agent.journal import Journal, journal_open
from workers.agent.loop import Agent
from workers.agent.places import SealingPlaces
from workers.agent.removal import Removals, stage_end
from workers.agent.sealing_leftovers import SealingLeftovers
from workers.agent.sealing_stores import SealingStores
from workers.agent.stage_deaths import StageDeaths
from workers.agent.storing import half_copies_remove
from workers.broker import BROKER_VARIABLE, QUEUES, app_make
from workers.config import KERNEL_STAGES, sealer_config
from workers.config_mistakes import BadConfig
from workers.console.client import Console
from workers.console.join import joined, secret_write, size_learned
from workers.console.lease_keeper import LeaseKeeper, TokenRefused
from workers.console.process import (
    MISCONFIGURED,
    AlreadyRunning,
    FolderGone,
    owned,
    refuse,
    starting,
    stop_on_signal,
)
from workers.console.work_bell import WorkBell
from workers.host_folder import COMPILE_PROGRESS_FILE, CONFIG_FILE, TOKEN_FILE, size_note
from workers.logs import logs_set_up
from workers.machine import config_text, machine_read
from workers.machine_report import RATES_FILE, MachineReport, rates_write
from workers.processors.compile_progress import HostCompileProgress
from workers.processors.snark_choice import HostProofs, Snark
from workers.snark.files import CircuitKind
from workers.stage_processors import LOCATIONS_VARIABLE, PROCESSORS_VARIABLE
from workers.storage.store_mark import BadMark
from workers.storage.stores import Stores
from workers.store_watch import StoreWatch, disk_folders

if TYPE_CHECKING:
    from workers.config import SealerConfig

log = structlog.get_logger(__name__)

SOCKET_PATH_MAX: Final = 100
"""Bytes of a UNIX socket's path; the kernel takes 107."""
THREADS_MAX: Final = 256


def socket_path(folder: Path) -> Path:
    """Return the broker's socket: in the worker's folder, or in a short one named by its hash."""
    path = folder / "broker" / "redis.sock"
    if len(str(path).encode()) <= SOCKET_PATH_MAX:
        return path
    short = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ps-{os.getuid()}-{short}" / "redis.sock"


def celery_command(config: SealerConfig, broker: str) -> ChildCommand:
    """Return the command of the host's Celery worker; it has threads for whatever the slots allow."""
    argv = [sys.executable, "-m", "celery", "-A", "workers.celery", "worker", "-P", "threads"]
    argv += ["-c", str(THREADS_MAX), "-Q", ",".join(QUEUES), "-n", f"sealer@{config.uid}", "-l", "WARNING"]
    argv += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return ChildCommand(
        name="celery",
        argv=tuple(argv),
        environment={
            BROKER_VARIABLE: broker,
            "POOLSITE_SEALER_DIR": str(config.folder),
            "POOLSITE_SEALER_READ_ONLY": json.dumps(sorted(map(str, config.read_only_stores))),
            "POOLSITE_SEALER_CONSOLE": config.console,
            "POOLSITE_SEALER_TOKEN": config.token,
            "POOLSITE_SEALER_TOKEN_FILE": str(config.token_file or config.folder / TOKEN_FILE),
            LOCATIONS_VARIABLE: msgspec.json.encode(config.locations).decode(),
            PROCESSORS_VARIABLE: msgspec.json.encode(config.children).decode(),
            "POOLSITE_SEALER_SNARK": config.snark,
        },
        # A warm stop would wait for the stages; every stage can be done again.
        stop_signal=signal.SIGQUIT,
        stop_s=1.0,
    )


def _children(config: SealerConfig, broker: str) -> Children:
    commands = [broker_command(config.folder, socket_path(config.folder)), celery_command(config, broker)]
    return Children(commands, log_folder=config.folder / "log")


def sealing_folders(config: SealerConfig, places: SealingPlaces) -> tuple[Path, ...]:
    """Return the folders in which sectors are sealed, as far as they are there."""
    return (config.folder, *(Path(one.path) for one in config.locations if not places.thread_fault(one)))


def run(config: SealerConfig, *, stop: threading.Event, folder_require: Callable[[], None]) -> int:
    """Work until `stop` is set, the console tells another sector size, or to make room for another version.

    Return the exit code; UPGRADE_EXIT ends the program.  Call it from the main thread.
    Raises ProgramMissing, TokenRefused, BadMark, FolderGone.
    """
    broker = f"redis+socket://{socket_path(config.folder)}"
    children = _children(config, broker)
    console = Console(config.console, config.token, token_file=config.token_file)
    leases = LeaseKeeper(config, console, kinds=STAGED, slots=dict(config.slots))
    leases.settings = config.settings
    journal = journal_open(config.folder)
    places = _places_open(config, journal)
    stores = _stores_open(config, places)
    watch = StoreWatch(stores, sector_bytes=config.sector_bytes)
    machine = _machine_report(config, places=places, stores=stores)
    machine.report_with(leases)
    leases.watch_stores(watch)
    removals, leftovers = _files_report(leases, places=places, stores=stores, journal=journal)
    leases.drives_reset = DrivesReset(config.folder, config.file).order
    own = [stage for stage in KERNEL_STAGES if stage not in config.children.stages]
    compiling = HostCompileProgress(config.folder / COMPILE_PROGRESS_FILE, own)
    bell = WorkBell(console, leases)
    agent = Agent(
        config,
        console=console,
        leases=leases,
        journal=journal,
        app=app_make(broker),
        uncompiled_stages=compiling.uncompiled_stages,
        bell=bell,
        watch=watch,
    )
    agent.capacity.places, places.beside = places, watch.promised
    leases.parked, leftovers.unknown_jobs = agent.parked, leases.unknown_jobs
    deals = DealFolder(config, console, leases)
    try:
        watch.start()
        threading.Thread(target=half_copies_remove, args=(stores, journal), daemon=True).start()
        leftovers.start()
        children.tick()
        machine.start()
        threading.Thread(target=leases.register_until_known, daemon=True).start()
        leases.start()
        bell.start()
        deals.start()
        return _seal(
            agent,
            stop=stop,
            children=children,
            compiling=compiling,
            proofs=_proofs(config, slots=leases.slots),
            folder_require=folder_require,
        )
    finally:
        for part in (deals, bell, leases, machine, watch, removals, leftovers, children):
            part.stop()
        StageDeaths(config.folder, journal).stop()
        console.close()


def _machine_report(config: SealerConfig, *, places: SealingPlaces, stores: Stores) -> MachineReport:
    """Return what looks at the machine, and at the disks of all folders that the host uses."""
    return MachineReport(
        config.folder,
        lambda: (*sealing_folders(config, places), *disk_folders(stores)),
        places.reported,
        [Path(one.path) for one in config.locations],
        config.children.layers,
    )


def _files_report(
    leases: LeaseKeeper, *, places: SealingPlaces, stores: Stores, journal: Journal
) -> tuple[Removals, SealingLeftovers]:
    """Report by heartbeats the files that are here, and carry out orders to remove some."""
    leases.sectors, leases.stored = partial(sectors_here, journal), partial(stored_here, stores)
    removals = Removals(places=places, stores=stores, journal=journal)
    leases.stage_end = partial(stage_end, journal)
    leases.files_remove, leases.report.removing_bytes = removals.remove, lambda: removals.bytes_left
    leftovers = SealingLeftovers(places=places, stores=stores, journal=journal)
    leases.leftovers, leases.leftover_remove = leftovers.reported, leftovers.order
    return removals, leftovers


def _seal(
    agent: Agent,
    *,
    stop: threading.Event,
    children: Children,
    compiling: HostCompileProgress,
    proofs: HostProofs,
    folder_require: Callable[[], None],
) -> int:
    """Seal until `stop` is set, the sector size is another one or another version waits; the exit code."""
    leases, is_size_known = agent.leases, False
    while not stop.is_set():
        folder_require()  # else sectors would begin under the mount of a disk that is gone
        leases.require_accepted()
        if not is_size_known and leases.registered is not None:
            is_size_known = True
            if size_learned(agent.config, leases.sector_bytes):
                return 0
        if leases.is_upgrading and not agent.held and leases.upgrade_reported():
            log.info("upgrade", code=UPGRADE_EXIT)
            return UPGRADE_EXIT
        children.tick()
        leases.report.kernels_report(**asdict(compiling.read()), trials=compiling.trials())
        proofs_follow(proofs, agent=agent, leases=leases)
        stop.wait(agent.tick() if leases.registered is not None else 0.1)
    return 0


def _places_open(config: SealerConfig, journal: Journal) -> SealingPlaces:
    """Return where sectors are sealed, its stores looked at.  Raises BadMark."""
    places = SealingPlaces(config.folder, journal, config.locations, settings=config.settings)
    places.stores = SealingStores(config.folder, config.sealing_stores)
    places.stores.open()
    with suppress(OSError):  # a full disk: the next sector that begins notes them
        places.threads_note()
    return places


def _stores_open(config: SealerConfig, places: SealingPlaces) -> Stores:
    """Return the stores, none of them where the host seals.  Raises BadMark."""
    stores = Stores(config.folder, config.stores, read_only=config.read_only_stores, buckets=config.buckets)
    stores.sealing_roots = places.all_roots()
    stores.open()
    return stores


def _proofs(config: SealerConfig, *, slots: dict[str, int]) -> HostProofs:
    """Return the proofs that the host can make; log what parameters it lacks for its slots."""
    proofs = HostProofs(Snark(config.snark), (), config.sector_bytes)
    proofs.makes(**proofs_made(config, slots))
    if proofs.error():
        log.error("parameters_missing", reason=proofs.error())
    return proofs


def proofs_made(config: SealerConfig, slots: dict[str, int]) -> dict[str, Any]:
    """Return for which proofs a host needs parameters: those with slots, and no program of its own."""
    made = {
        task for task in ("c2", "snap_prove") if task not in config.processors and slots.get(task.upper())
    }
    return {"kinds": (CircuitKind.POREP,) if "c2" in made else (), "has_updates": "snap_prove" in made}


def proofs_follow(proofs: HostProofs, *, agent: Agent, leases: LeaseKeeper) -> None:
    """Report which proofs the host makes with the slots that it has now, and let it claim by that."""
    proofs.makes(**proofs_made(agent.config, leases.slots))
    no_updates = proofs.update_error(needs_groth16=not leases.takes_containers)
    leases.report.proofs_report(
        proofs.forms(),
        parameters=proofs.progress,
        error=proofs.error(),
        update_error=no_updates,
        update_sizes=SECTOR_SIZES if "snap_prove" in agent.config.processors else proofs.update_sizes(),
        foreign=proofs.foreign(),
    )
    agent.is_able = bool(proofs.forms())
    agent.can_update = leases.is_chain_known and not no_updates


def configured(config: SealerConfig, arguments: list[str], *, stop: threading.Event) -> SealerConfig:
    """Return the configuration of a host that has joined; one without a file gets what fits its machine.

    Raises BadConfig, TokenRefused.
    """
    with starting(config.folder):
        return _configured(joined(config, stop=stop), arguments, stop=stop)


def _configured(config: SealerConfig, arguments: list[str], *, stop: threading.Event) -> SealerConfig:
    path = config.folder / CONFIG_FILE
    if not config.join_token or config.file.exists():
        return config
    machine = machine_read((config.folder, *config.stores))
    rates_write(config.folder / RATES_FILE, machine.disks)
    secret_write(path, config_text(machine, config.sector_bytes).rstrip())
    log.info("config_proposed", path=str(path))
    return joined(sealer_config(arguments), stop=stop)


def config_for_told_size(
    config: SealerConfig, arguments: list[str], *, stop: threading.Event
) -> SealerConfig:
    """Return the configuration for the sector size that the console tells; the last one where that fails.

    A size that this machine cannot serve must not end a host with sectors in progress.  Raises TokenRefused.
    """
    try:
        return joined(sealer_config(arguments), stop=stop)
    except BadConfig as error:
        log.error("sector_size_not_taken", kept=config.sector_bytes, reason=str(error))
        size_note(config.folder, config.sector_bytes)  # else the next start would be refused
        return replace(config, is_size_set=True)


def main(argv: list[str] | None = None) -> int:
    """Run a sealing worker until SIGTERM or SIGINT; gives the exit code."""
    try:
        arguments = sys.argv[1:] if argv is None else argv
        config = sealer_config(arguments)
        with owned(config.folder, name="sealer") as folder_require:
            logs_set_up("sealer")
            tracing_start("sealer")
            stop = stop_on_signal()
            for note in config.notes:
                log.warning("config_not_obeyed", note=note)
            config = configured(config, arguments, stop=stop)
            code = run(config, stop=stop, folder_require=folder_require)
            while not code and not stop.is_set():  # it told the sector size: once, before any work
                config = config_for_told_size(config, arguments, stop=stop)
                code = run(config, stop=stop, folder_require=folder_require)
            return code
    except BadConfig as error:
        return refuse(str(error), code=MISCONFIGURED)
    except (AlreadyRunning, FolderGone, ProgramMissing, TokenRefused, BadMark) as error:
        return refuse(str(error))
