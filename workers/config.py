"""What a worker on a host is told when it starts: folders, console, token, slots.

Everything can be given on the command line; `<dir>/config.toml` holds what stays, as `[slots]`.
"""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.wire.pipeline import WORKER_STAGES, Stage
from workers.config_mistakes import BadConfig
from workers.host_arguments import (
    DEFAULT_STORE,
    common_arguments,
    console_read,
    sector_size_read,
    slots_parse,
    slots_read,
)
from workers.host_file import LAYERS, HostFile, host_file
from workers.host_folder import (
    CONFIG_FILE,
    TOKEN_FILE,
    config_path,
    size_noted,
    token_checked,
    token_read,
    uid_of,
)
from workers.host_settings import ROOM_LEAST, ROOM_SECTORS, SECTOR_ROOM, SECTORS_MAX, HostSettings
from workers.host_sums import HostRequirements, room_proposed
from workers.processors.layer_drives import LayerDrives
from workers.setting_levels import SLOTS, merge, numbers_of, rules_default, slots_default, slots_named
from workers.stage_processors import HostProcessors, StageProcessor
from workers.storage.bucket_files import store_path
from workers.storage.bucket_settings import SCHEME, BucketSettings, url_fault

if TYPE_CHECKING:
    from workers.setting_levels import Levels
    from workers.stage_processors import Location

DEFAULT_SLOTS: Final = {stage: spec.slots for stage, spec in WORKER_STAGES.items()}
"""Stages at a time on a host that says nothing else."""

KERNEL_STAGES: Final = (
    *(spec.task for spec in WORKER_STAGES.values() if spec.task),
    "synthetic",
    "snap_decode",
)
"""Stages that run in kernel children; the others only move files."""

READ_LAYERS: Final = ("pc2", "c1", "synthetic")
"""Stages that read a sector's layers: an own binary reads them from files."""

PROOF_STAGES: Final = {"sealer": ("c2",), "prover": ("window_post", "winning_post")}
"""The stages that own binaries must make for `--snark external`."""

HOST_MAX: Final = 100
"""Characters of a machine's name."""


def host_name() -> str:
    """Return this machine's own name."""
    return socket.gethostname()[:HOST_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """What sealer and prover have in common."""

    folder: Path
    """The worker's own folder: its uid, its journal, its logs."""
    stores: tuple[Path, ...]
    """Where finished sectors lie; sealer and prover of one pool share them."""
    read_only_stores: frozenset[Path] = frozenset()
    """Those of them that this host puts nothing into."""
    buckets: dict[str, BucketSettings] = field(default_factory=dict)
    """Those of them that are buckets, by url: how each is reached."""
    console: str
    """Address of the console, as http://localhost:8000."""
    token: str = field(repr=False)
    """Empty until a join token was exchanged (`workers.console.join`)."""
    token_file: Path | None = None
    """Where the token lies, and a renewed one while the host runs."""
    join_token: str = field(default="", repr=False)
    """What `--token` gave: exchanged once for the host's own token, which is kept in its folder."""
    name: str
    host: str = field(default_factory=host_name)
    """The machine, by which roles are given; programs of one machine have the same."""
    snark: str = "vanilla"
    """Form of the proofs: one of SNARKS."""
    file: Path = Path(CONFIG_FILE)
    """What it reads at its start, where that is there."""
    sector_bytes: int = 2 << 10
    """Size of the sectors that the host has memory, disk and Groth16 parameters for."""
    is_size_set: bool = True
    """Whether command or file says it; otherwise it is what the console told last of the pool's miners."""
    parameter_seed: str = ""
    """Missing parameters are made from it: toxic, for a chain of one's own; empty: never."""
    processors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Stage (`pc1`, …) to the command of an own binary; the others are ours."""

    @property
    def uid(self) -> str:
        """The name under which the console knows what is on this disk; made at the first start."""
        return uid_of(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealerConfig(HostConfig):
    """What a sealing worker is told."""

    settings: HostSettings
    """Slots by stage and what else the console may set."""
    children: HostProcessors = field(default_factory=HostProcessors)
    """Processors that have a child of their own."""
    sealing_stores: tuple[Path, ...] = ()
    """Disks on which sectors are sealed, where the host's file names some."""
    deal_folder: Path | None = None
    """Folder with data of offline deals."""
    locations: tuple[Location, ...] = ()
    """Sealing threads of a damocles-worker's file; empty: all sectors are sealed in `folder`."""
    notes: tuple[str, ...] = ()
    """What of a damocles-worker's file is not obeyed."""

    @property
    def slots(self) -> dict[str, int]:
        """Stages at a time."""
        return self.settings.slots()


def sealer_config(argv: Sequence[str]) -> SealerConfig:
    """Read the command line and the file of a sealing worker.  Raises BadConfig."""
    parser = argparse.ArgumentParser(prog="python -m workers sealer", description="Seal sectors for a pool.")
    common_arguments(parser, folder="var/sealer")
    parser.add_argument(
        "--slots",
        default="",
        help="slots per stage: pc1=2,pc2=1; start with `only` for no other stages: only,c2=2",
    )
    options = parser.parse_args(argv)
    path = config_path(options.dir, options.config)
    file = host_file(path, is_named=options.config is not None)
    damocles = file.damocles
    own: Levels = {
        "default": slots_default() | {SECTORS_MAX: 0} | rules_default(),
        "file": {**damocles.settings, **damocles.rules, **file.settings},
        "file of thread": damocles.thread_rules,
        "command line": slots_named(slots_read(slots_parse(options.slots))),
    }
    options.name = options.name or damocles.name
    options.sector_size = options.sector_size or damocles.sector_size
    common = _common_read(options, file, program="sealer")
    children = HostProcessors(
        children=(
            *(StageProcessor(stage=stage, command=command) for stage, command in file.processors.items()),
            *damocles.processors.children,
        ),
        locks=damocles.processors.locks,
        staggered_s=damocles.processors.staggered_s,
        layers=_layers_read(file, damocles.processors.children, folder=common["folder"]),
    )
    room = max(ROOM_LEAST, ROOM_SECTORS * common["sector_bytes"])
    own["default"] = {**own["default"], SECTOR_ROOM: room}
    own["proposed"] = room_proposed(file.proposed, sector_bytes=common["sector_bytes"])
    common["processors"] = children.foreign
    common["read_only_stores"] = frozenset(store_path(place).resolve() for place in damocles.read_only)
    requirements = HostRequirements(
        path=str(path),
        sector_bytes=common["sector_bytes"],
        snark=common["snark"],
        children=children,
    )
    requirements.check(numbers_of(merge(own)))
    settings = HostSettings(
        common["folder"],
        own,
        check=requirements.check,
        file=os.fsencode(path.resolve()).decode(errors="replace"),
    )
    slots = settings.get(f"{SLOTS}{Stage.PC1}")
    return SealerConfig(
        **common,
        settings=settings,
        notes=tuple(damocles.notes),
        children=_layers_complete(children, sector_bytes=common["sector_bytes"], slots=slots),
        sealing_stores=tuple(Path(place) for place in file.sealing_stores),
        deal_folder=Path(file.deal_folder) if file.deal_folder else None,
        locations=tuple(damocles.locations),
    )


def _layers_read(file: HostFile, others: Sequence[StageProcessor], *, folder: Path) -> LayerDrives | None:
    """Return the drives that layers lie on; their batches' files are in the host's folder."""
    if file.layers is None:
        return None
    own = [one for one in others if one.stage == "pc1"]
    if "pc1" in file.processors or len(own) > 1 or any(one.command for one in own):
        text = "[layers] conflicts with pc1 of [processors]: drives belong to one process of ours"
        raise BadConfig(f"{file.path}: {text}: keep one of them")
    is_foreign = any(stage in file.processors for stage in READ_LAYERS)
    is_foreign |= any(one.command for one in others if one.stage in READ_LAYERS)
    return msgspec.structs.replace(file.layers, folder=str(folder / LAYERS), writes_files=is_foreign)


def _layers_complete(children: HostProcessors, *, sector_bytes: int, slots: int) -> HostProcessors:
    """Return the children with what the size of batches depends on."""
    if children.layers is None:
        return children
    layers = msgspec.structs.replace(children.layers, sector_bytes=sector_bytes, slots=slots)
    return msgspec.structs.replace(children, layers=layers)


def prover_config(argv: Sequence[str]) -> HostConfig:
    """Read the command line and the file of a prover.  Raises BadConfig."""
    parser = argparse.ArgumentParser(prog="python -m workers prover", description="Prove sectors for a pool.")
    common_arguments(parser, folder="var/prover")
    options = parser.parse_args(argv)
    path = config_path(options.dir, options.config)
    return HostConfig(
        **_common_read(options, host_file(path, is_named=options.config is not None), program="prover")
    )


def join_token_read(options: argparse.Namespace, *, own: Path) -> str:
    """Return the join token that the command line or its file has; empty without one.  Raises BadConfig.

    Once the host has a token of its own the file may be gone.
    """
    file = options.join_token_file
    if file is None or (own.exists() and not file.exists()):
        return token_checked(options.token, origin="--token")
    return token_read(file)


def _common_read(options: argparse.Namespace, file: HostFile, *, program: str) -> dict[str, Any]:
    """Return the fields of `HostConfig`.  Raises BadConfig."""
    processors, own = file.processors, options.dir / TOKEN_FILE
    stores = options.store or [store_path(place) for place in file.damocles.stores]
    for store in map(str, stores):
        if store.startswith(SCHEME) and (fault := url_fault(store)):
            raise BadConfig(f"--store is {store!r}: {fault}")
    join_token = join_token_read(options, own=own)
    if options.token_file is None and not join_token and not own.exists():
        raise BadConfig(
            "the console's token is missing: pass --join-token-file (Hosts, Join a host) or --token-file"
        )
    foreign = {**processors, **file.damocles.processors.foreign}
    missing = [f"{stage} = [...]" for stage in PROOF_STAGES[program] if stage not in foreign]
    if options.snark == "external" and missing:
        raise BadConfig(f"--snark external needs [processors] {' and '.join(missing)} in {file.path}")
    if options.snark == "groth16" and not options.sector_size:
        raise BadConfig("--snark groth16 needs --sector-size, for example --sector-size 32GiB")
    return {
        "folder": options.dir.resolve(),
        "stores": tuple(dict.fromkeys(path.resolve() for path in stores or [DEFAULT_STORE])),
        "buckets": file.damocles.buckets,
        "console": console_read(options.console),
        "token": "" if join_token else token_read(options.token_file or own),
        "token_file": (options.token_file or own).resolve(),
        "join_token": join_token,
        "name": options.name or f"{program}-{(options.host or host_name())[:60]}",
        "host": options.host[:HOST_MAX] or host_name(),
        "snark": options.snark,
        "file": file.path,
        "sector_bytes": sector_size_read(
            options.sector_size or str(size_noted(options.dir) or SECTOR_SIZES[0])
        ),
        "is_size_set": bool(options.sector_size),
        "parameter_seed": options.parameter_seed,
        "processors": processors,
    }
