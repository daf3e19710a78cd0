"""`python -m workers prover`: proves what the store holds, as often as the chain asks."""

from __future__ import annotations

import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.structs import replace

from poolsite.tracing import tracing_start
from poolsite.wire.commands import UPGRADE_EXIT
from poolsite.wire.jobs import JobKind
from workers.config import prover_config
from workers.config_mistakes import BadConfig
from workers.console.client import Console
from workers.console.join import joined, size_learned
from workers.console.lease_keeper import LeaseKeeper, TokenRefused
from workers.console.process import MISCONFIGURED, AlreadyRunning, owned, refuse, starting, stop_on_signal
from workers.console.work_bell import WorkBell
from workers.host_folder import COMPILE_PROGRESS_FILE
from workers.logs import logs_set_up
from workers.machine_report import MachineReport
from workers.processors.compile_progress import (
    COMPILE_PROGRESS_VARIABLE,
    TRIALS_VARIABLE,
    HostCompileProgress,
)
from workers.processors.errors import BadFile
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.processors.snark_choice import SNARK_VARIABLE, HostProofs, Snark
from workers.prover.gateway import ProofLine, gateway_url
from workers.prover.loop import Prover
from workers.prover.near import near_clear, task_near
from workers.prover.preparation import Preparation
from workers.prover.winning import compute_proof
from workers.prover.winning_first import WinningFirst
from workers.snark.files import CircuitKind, powers_path
from workers.storage.store_mark import BadMark
from workers.storage.stores import Stores
from workers.store_watch import StoreWatch, disk_folders

if TYPE_CHECKING:
    from workers.config import HostConfig
    from workers.processors.post_tasks import WinningPostTask

log = structlog.get_logger(__name__)

WINNING = "winning_post"
STAGES = ("window_post", WINNING, "sector_check")
CLAIM_ANYWAY_S = 10.0
"""As often a prover claims although nobody told it of work: a window is not to be missed."""
WINDOW_NICENESS = 5
"""Of the child that proves windows, where wins have one of their own."""
JOBS = (JobKind.WINDOW_POST, JobKind.SECTOR_CHECK)
KINDS = (CircuitKind.WINDOW_POST,)
"""Circuits without whose parameters no job is claimed."""
WIN_KINDS = (CircuitKind.WINNING_POST,)
"""Without these windows are proven all the same, and a win is answered with what is missing."""


def run(config: HostConfig, *, stop: threading.Event) -> int:
    """Work until `stop` is set, the console tells another sector size, or to make room for another version.

    Return the exit code; UPGRADE_EXIT ends the program.  Raises TokenRefused, BadMark.
    """
    console = Console(config.console, config.token, token_file=config.token_file)
    near_clear(config.folder)
    stores = Stores(config.folder, config.stores, read_only=config.read_only_stores, buckets=config.buckets)
    stores.open()
    watch = StoreWatch(stores, sector_bytes=config.sector_bytes)
    kinds = (*JOBS, JobKind.AGGREGATE) if powers_path().exists() else JOBS
    leases = LeaseKeeper(config, console, kinds=kinds, slots={"WINDOW_POST": 1})
    machine = MachineReport(config.folder, lambda: (config.folder, *disk_folders(stores)))
    machine.report_with(leases)
    leases.watch_stores(watch)
    own = tuple(stage for stage in STAGES if stage not in config.processors)
    compiling = HostCompileProgress(config.folder / COMPILE_PROGRESS_FILE, own)
    snark = Snark(config.snark)
    proofs = HostProofs(snark, () if "window_post" in config.processors else KINDS, config.sector_bytes)
    wins = HostProofs(snark, () if WINNING in config.processors else WIN_KINDS, config.sector_bytes)
    for reason in filter(None, (proofs.error(), wins.error())):
        log.error("parameters_missing", reason=reason)
    pool = _pool(config, own, compiling=compiling, makes_aggregates=JobKind.AGGREGATE in kinds)
    preparation = Preparation(
        config,
        proofs,
        wins,
        is_idle=lambda: compiling.read().is_complete and leases.registered is not None,
    )
    gate = WinningFirst()
    bell = WorkBell(console, leases, anyway_s=CLAIM_ANYWAY_S)
    prover = Prover(
        console=console, leases=leases, pool=pool, stores=stores, gate=gate, kinds=kinds, bell=bell
    )

    gateway = _gateway(config, leases=leases, pool=pool, stores=stores, gate=gate)
    try:
        watch.start()
        machine.start()
        threading.Thread(target=pool.keep_running, daemon=True).start()
        threading.Thread(target=leases.register_until_known, daemon=True).start()
        leases.start()
        bell.start()
        gateway.start()
        if snark in (Snark.AUTO, Snark.GROTH16):
            preparation.start()
        return _prove(
            config,
            stop=stop,
            prover=prover,
            gateway=gateway,
            compiling=compiling,
            proofs=proofs,
            wins=wins,
        )
    finally:
        for part in (machine, watch, preparation, gateway, bell, leases):
            part.stop()
        for line in (pool, console):
            line.close()


def _pool(
    config: HostConfig, stages: tuple[str, ...], *, compiling: HostCompileProgress, makes_aggregates: bool
) -> ProcessorPool:
    """Return the kernel children, not started yet."""
    specs = specs_of(config, stages, compiling=compiling.path)
    if makes_aggregates:  # in a child of its own: a proof that is due never waits for it
        specs.append(ChildSpec(stages=("aggregate",), environment={SNARK_VARIABLE: config.snark}))
    return ProcessorPool(specs)


def _gateway(
    config: HostConfig, *, leases: LeaseKeeper, pool: ProcessorPool, stores: Stores, gate: WinningFirst
) -> ProofLine:
    """Return the line on which the console asks for proofs of wins; a window's proof gives way to one."""

    def compute(miner: int, request: Any) -> Any:
        def prove(task: WinningPostTask) -> Any:
            with gate.winning():
                # wins are proven one after the other: those that wait share the epoch
                share_s = min(leases.epoch_s, max(leases.epoch_s // max(line.answering, 1), 1))  # 0: unknown
                winning = replace(task, needs_groth16=not leases.takes_containers, seconds_left=share_s)
                with task_near(winning, stores) as (near, unread):
                    if unread:  # to the processor a file of its one sector is missing
                        raise BadFile(next(iter(unread.values())))
                    return pool.call(WINNING, near)

        return compute_proof(request, stores=stores, miner_id=miner, prove=prove)

    line = ProofLine(
        url=gateway_url(config.console),
        token=lambda: leases.console.auth.token(),
        miners=stores.miners,
        compute=compute,
        host=config.host,
    )
    return line


def _prove(
    config: HostConfig,
    *,
    stop: threading.Event,
    prover: Prover,
    gateway: ProofLine,
    compiling: HostCompileProgress,
    proofs: HostProofs,
    wins: HostProofs,
) -> int:
    """Prove until `stop` is set, the sector size is another one or another version waits; the exit code."""
    leases, is_size_known = prover.leases, False
    while not stop.is_set():
        leases.require_accepted()
        if not is_size_known and leases.registered is not None:
            is_size_known = True
            if size_learned(config, leases.sector_bytes):
                return 0
        if leases.is_upgrading and upgrade_ready(leases, prover=prover, gateway=gateway):
            log.info("upgrade", code=UPGRADE_EXIT)
            return UPGRADE_EXIT
        compiled = compiling.read()
        leases.report.kernels_report(**asdict(compiled), trials=compiling.trials())
        leases.report.proofs_report(
            proofs.forms(),
            parameters=proofs.progress,
            error=proofs.error(),
            foreign=proofs.foreign(),
            winning=wins.winning(epoch_s=leases.epoch_s, needs_groth16=not leases.takes_containers),
        )
        is_able = leases.registered is not None and compiled.is_complete and bool(proofs.forms())
        stop.wait(prover.tick() if is_able else 0.1)
    return 0


def upgrade_ready(leases: LeaseKeeper, *, prover: Prover, gateway: ProofLine) -> bool:
    """Return whether nothing is proven now, and the console knows that this start ends."""
    if prover.running or gateway.answering or not leases.upgrade_reported():
        return False
    return not gateway.answering  # a win may be asked for while the console is told


def specs_of(config: HostConfig, own: tuple[str, ...], *, compiling: Path) -> list[ChildSpec]:
    """Return the children of ours, and one for each own binary.

    A host that makes SNARKs proves wins in a child of their own: a window's SNARK keeps its child busy for
    minutes, and gives way to it.  Where all proofs are vanilla, a few leaves read, one child is enough.
    """
    foreign = [
        ChildSpec(stages=(stage,), command=config.processors[stage])
        for stage in STAGES
        if stage in config.processors
    ]
    snark = {SNARK_VARIABLE: config.snark, TRIALS_VARIABLE: str(compiling.parent)}
    telling = snark | {COMPILE_PROGRESS_VARIABLE: str(compiling)}
    rest = tuple(stage for stage in own if stage != WINNING)
    if config.snark == Snark.VANILLA or WINNING not in own or not rest:
        return [*foreign, ChildSpec(stages=own, environment=telling)] if own else foreign
    # in this order: what the first one compiles the second one finds
    windows = ChildSpec(stages=rest, environment=telling, niceness=WINDOW_NICENESS)
    return [*foreign, windows, ChildSpec(stages=(WINNING,), environment=snark)]


def main(argv: list[str] | None = None) -> int:
    """Run a prover until SIGTERM or SIGINT; gives the exit code."""
    try:
        arguments = sys.argv[1:] if argv is None else argv
        config = prover_config(arguments)
        with owned(config.folder, name="prover"):
            logs_set_up("prover")
            tracing_start("prover")
            stop = stop_on_signal()
            with starting(config.folder):
                config = joined(config, stop=stop)
            code = run(config, stop=stop)
            while not code and not stop.is_set():  # it told the sector size: once, before any work
                code = run(joined(prover_config(arguments), stop=stop), stop=stop)
            return code
    except BadConfig as error:
        return refuse(str(error), code=MISCONFIGURED)
    except (AlreadyRunning, TokenRefused, BadMark) as error:
        return refuse(str(error))
