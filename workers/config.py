"""What a worker on a host is told when it starts: folders, console, token, slots.

Everything can be given on the command line; `<dir>/config.toml` holds what stays, as `[slots]`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.wire.hosts import SLOTS_MAX
from poolsite.wire.pipeline import WORKER_STAGES
from workers.config_mistakes import BadConfig, near_of
from workers.host_file import HostFile, host_file
from workers.host_settings import (
    ROOM_LEAST,
    ROOM_SECTORS,
    SECTOR_ROOM,
    SECTORS_MAX,
    HostSettings,
    merge,
    numbers_of,
    rules_default,
    slots_default,
    slots_named,
)
from workers.host_sums import HostAsks, room_proposed
from workers.stage_processors import HostProcessors, StageProcessor
from workers.storage.bucket import SCHEME, BucketSettings, url_fault
from workers.storage.bucket_files import store_path
from workers.storage.files import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.host_settings import Levels
    from workers.stage_processors import Location

DEFAULT_SLOTS: Final = {stage: spec.slots for stage, spec in WORKER_STAGES.items()}
"""Stages at a time on a host that says nothing else."""

KERNEL_STAGES: Final = (
    *(spec.task for spec in WORKER_STAGES.values() if spec.task),
    "synthetic",
    "snap_decode",
)
"""Stages that run in kernel children; the others only move files."""

COMPILE_PROGRESS_FILE: Final = "compile_progress.json"
"""In a worker's folder: how far its kernel child has compiled."""

ONLY: Final = "only"
"""Word of `--slots`."""

DEFAULT_STORE: Final = Path("var/store")
CONFIG_FILE: Final = "config.toml"
"""In a worker's folder: what stays, as `[slots]`."""
FIELD_FILE: Final = "worker.toml"
"""The same, as a damocles-worker names it."""
UID_FILE: Final = "uid"
"""In a worker's folder: the name under which the console knows what is on this disk."""
SIZE_FILE: Final = "sector_bytes"
"""In a worker's folder: the sector size of the pool's miners, as the console told it last."""
TOKEN_FILE: Final = "token"  # noqa: S105  # the name of a file
"""In a worker's folder: the token that it got when it joined."""

SNARKS: Final = ("auto", "groth16", "vanilla", "external")
"""Forms of proofs (`workers.processors.snark_choice.Snark`)."""
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
    is_size_told: bool = True
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
    locations: tuple[Location, ...] = ()
    """Sealing threads of a damocles-worker's file; empty: all sectors are sealed in `folder`."""
    notes: tuple[str, ...] = ()
    """What of a damocles-worker's file is not obeyed."""

    @property
    def slots(self) -> dict[str, int]:
        """Stages at a time."""
        return self.settings.slots()


def uid_of(folder: Path) -> str:
    """Read the uid of a worker's folder, or make it in one step that survives a kill."""
    path = folder / UID_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{UID_FILE}.{secrets.token_hex(4)}"
        with fresh.open("w") as file:
            file.write(f"{socket.gethostname()[:40]}-{secrets.token_hex(8)}\n")
            file.flush()
            os.fsync(file.fileno())  # an empty name after a power cut would lose the sectors on this disk
        try:
            os.link(fresh, path)  # of two starts at once one wins, and both read the winner's
        except FileExistsError:
            pass
        fresh.unlink()
    return path.read_text().strip()


def common_arguments(parser: argparse.ArgumentParser, *, folder: str) -> None:
    """Add what sealer and prover both take."""
    parser.add_argument("--dir", type=Path, default=Path(folder), help="the worker's own folder")
    parser.add_argument(
        "--config",
        type=Path,
        help=f"the worker's config file; default: {CONFIG_FILE} or {FIELD_FILE} in --dir",
    )
    parser.add_argument(
        "--store",
        type=store_path,
        action="append",
        help=f"store for finished sectors, repeatable: a folder or s3://bucket/prefix ({DEFAULT_STORE})",
    )
    parser.add_argument("--console", default="http://127.0.0.1:8000", help="address of the console")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--token", default="", help="join token from Hosts, Join a host; used once")
    secret.add_argument("--token-file", type=Path, help="file with a token from the Tokens page")
    parser.add_argument("--name", default="", help="name shown on the console")
    parser.add_argument(
        "--host", default="", help="machine name, used to assign roles; default: the hostname"
    )
    parser.add_argument("--snark", choices=SNARKS, default="auto", help="form of the proofs (docs/snark.md)")
    parser.add_argument(
        "--sector-size", default="", help="2KiB, 8MiB, … 64GiB; default: that of the pool's miners"
    )
    parser.add_argument(
        "--parameter-seed", default="", help="generate missing parameters from this seed: TOXIC"
    )


def sealer_config(argv: Sequence[str]) -> SealerConfig:
    """Read the command line and the file of a sealing worker.  Raises BadConfig."""
    parser = argparse.ArgumentParser(prog="python -m workers sealer", description="Seal sectors for a pool.")
    common_arguments(parser, folder="var/sealer")
    parser.add_argument(
        "--slots",
        default="",
        help="slots per stage: pc1=2,pc2=1; start with `only` for no other stages: only,c2=2",
    )
    given = parser.parse_args(argv)
    path = config_path(given.dir, given.config)
    file = host_file(path, is_named=given.config is not None)
    damocles = file.damocles
    own: Levels = {
        "default": slots_default() | {SECTORS_MAX: 0} | rules_default(),
        "file": {**damocles.settings, **damocles.rules, **file.settings},
        "file of thread": damocles.thread_rules,
        "command line": slots_named(slots_read(slots_parse(given.slots))),
    }
    given.name = given.name or damocles.name
    given.sector_size = given.sector_size or damocles.sector_size
    common = _common_read(given, file, program="sealer")
    children = HostProcessors(
        children=(
            *(StageProcessor(stage=stage, command=command) for stage, command in file.processors.items()),
            *damocles.processors.children,
        ),
        locks=damocles.processors.locks,
        staggered_s=damocles.processors.staggered_s,
    )
    room = max(ROOM_LEAST, ROOM_SECTORS * common["sector_bytes"])
    own["default"] = {**own["default"], SECTOR_ROOM: room}
    own["proposed"] = room_proposed(file.proposed, sector_bytes=common["sector_bytes"])
    common["processors"] = children.foreign
    common["read_only_stores"] = frozenset(store_path(place).resolve() for place in damocles.read_only)
    asks = HostAsks(
        path=str(path),
        sector_bytes=common["sector_bytes"],
        snark=common["snark"],
        children=children,
    )
    asks.check(numbers_of(merge(own)))
    return SealerConfig(
        **common,
        settings=HostSettings(
            common["folder"],
            own,
            check=asks.check,
            file=os.fsencode(path.resolve()).decode(errors="replace"),
        ),
        notes=tuple(damocles.notes),
        children=children,
        sealing_stores=tuple(Path(place) for place in file.sealing_stores),
        locations=tuple(damocles.locations),
    )


def prover_config(argv: Sequence[str]) -> HostConfig:
    """Read the command line and the file of a prover.  Raises BadConfig."""
    parser = argparse.ArgumentParser(prog="python -m workers prover", description="Prove sectors for a pool.")
    common_arguments(parser, folder="var/prover")
    given = parser.parse_args(argv)
    path = config_path(given.dir, given.config)
    return HostConfig(
        **_common_read(given, host_file(path, is_named=given.config is not None), program="prover")
    )


def config_path(folder: Path, named: Path | None) -> Path:
    """Return a worker's file: the one that the command names, or that in its folder.  Raises BadConfig."""
    if named is not None:
        return named
    ours, field = folder / CONFIG_FILE, folder / FIELD_FILE
    if ours.exists() and field.exists():
        raise BadConfig(f"{ours} and {field} both exist: keep one of them, or choose one with --config")
    return field if field.exists() else ours


def _common_read(given: argparse.Namespace, file: HostFile, *, program: str) -> dict[str, Any]:
    """Return the fields of `HostConfig`.  Raises BadConfig."""
    processors, own = file.processors, given.dir / TOKEN_FILE
    stores = given.store or [store_path(place) for place in file.damocles.stores]
    for store in map(str, stores):
        if store.startswith(SCHEME) and (fault := url_fault(store)):
            raise BadConfig(f"--store is {store!r}: {fault}")
    if given.token_file is None and not given.token and not own.exists():
        raise BadConfig("the console's token is missing: pass --token (Hosts, Join a host) or --token-file")
    foreign = {**processors, **file.damocles.processors.foreign}
    missing = [f"{stage} = [...]" for stage in PROOF_STAGES[program] if stage not in foreign]
    if given.snark == "external" and missing:
        raise BadConfig(f"--snark external needs [processors] {' and '.join(missing)} in {file.path}")
    if given.snark == "groth16" and not given.sector_size:
        raise BadConfig("--snark groth16 needs --sector-size, for example --sector-size 32GiB")
    return {
        "folder": given.dir.resolve(),
        "stores": tuple(dict.fromkeys(path.resolve() for path in stores or [DEFAULT_STORE])),
        "buckets": file.damocles.buckets,
        "console": console_read(given.console),
        "token": "" if given.token else token_read(given.token_file or own),
        "join_token": given.token,
        "name": given.name or f"{program}-{(given.host or host_name())[:60]}",
        "host": given.host[:HOST_MAX] or host_name(),
        "snark": given.snark,
        "file": file.path,
        "sector_bytes": sector_size_read(given.sector_size or str(size_noted(given.dir) or SECTOR_SIZES[0])),
        "is_size_told": bool(given.sector_size),
        "parameter_seed": given.parameter_seed,
        "processors": processors,
    }


def size_noted(folder: Path) -> int:
    """Return the sector size that the console told last; 0 where it has told none."""
    try:
        size = int((folder / SIZE_FILE).read_text())
    except (OSError, ValueError):
        return 0
    return size if size in SECTOR_SIZES else 0


def size_note(folder: Path, sector_bytes: int) -> None:
    """Write down the sector size that the console tells; 0: it tells none."""
    if sector_bytes in SECTOR_SIZES:
        write_file(folder / SIZE_FILE, str(sector_bytes).encode())


def sector_size_read(text: str) -> int:
    """Return a registered sector size.  Raises BadConfig."""
    for size in SECTOR_SIZES:
        if text in (str(size), f"{size >> 10}KiB", f"{size >> 20}MiB", f"{size >> 30}GiB") and text[0] != "0":
            return size
    raise BadConfig(f"--sector-size is {text!r}: use 2KiB, 8MiB, 512MiB, 32GiB or 64GiB")


def console_read(url: str) -> str:
    """Check the console's address.  Raises BadConfig."""
    if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        raise BadConfig(f"the console's address is {url!r}: use http://host:port or https://host")
    return url.rstrip("/")


def token_read(path: Path) -> str:
    """Read the console's token.  Raises BadConfig."""
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise BadConfig(f"the token file {path} cannot be read: {error.strerror}") from None
    if not token:
        raise BadConfig(f"the token file {path} is empty")
    return token


def slots_parse(text: str) -> dict[str, Any]:
    """Read `pc1=2,pc2=1`; after `only` the stages that are not named have no slot.  Raises BadConfig."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    others = dict.fromkeys(map(str.lower, WORKER_STAGES), 0) if ONLY in parts else {}
    pairs = [part.partition("=") for part in parts if part != ONLY]
    try:
        return others | {name.strip().lower(): int(count) for name, _, count in pairs}
    except ValueError:
        raise BadConfig(f"--slots is {text!r}: use stage=number, for example pc1=2,pc2=1") from None


def slots_read(given: dict[str, Any]) -> dict[str, int]:
    """Check slots of the command line by stage.  Raises BadConfig."""
    slots = {}
    for name, count in given.items():
        stage = name.upper()
        if stage not in WORKER_STAGES:
            raise BadConfig(f"--slots: unknown stage {name!r}: {near_of(stage, WORKER_STAGES)}")
        if not 0 <= count <= SLOTS_MAX:
            raise BadConfig(f"--slots: {name} is {count}: use a whole number from 0 to {SLOTS_MAX}")
        slots[stage] = count
    return slots
