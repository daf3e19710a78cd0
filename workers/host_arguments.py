"""The command line of sealer and prover: its options, and how their values are read."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.wire.hosts import SLOTS_MAX
from poolsite.wire.pipeline import WORKER_STAGES
from workers.config_mistakes import BadConfig, near_of
from workers.host_folder import CONFIG_FILE, FIELD_FILE
from workers.storage.bucket_files import store_path

ONLY: Final = "only"
"""Word of `--slots`."""

DEFAULT_STORE: Final = Path("var/store")

SPACE: Final = re.compile(r"\s")

SNARKS: Final = ("auto", "groth16", "vanilla", "external")
"""Forms of proofs (`workers.processors.snark_choice.Snark`)."""


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
    secret.add_argument(
        "--join-token-file", type=Path, help="file with a join token from Hosts, Join a host; used once"
    )
    secret.add_argument("--token", default="", help="the same, seen by others on this machine")
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


def sector_size_read(text: str) -> int:
    """Return a registered sector size.  Raises BadConfig."""
    for size in SECTOR_SIZES:
        if text in (str(size), f"{size >> 10}KiB", f"{size >> 20}MiB", f"{size >> 30}GiB") and text[0] != "0":
            return size
    raise BadConfig(f"--sector-size is {text!r}: use 2KiB, 8MiB, 512MiB, 32GiB or 64GiB")


def is_address(url: str, *schemes: str) -> bool:
    """Return whether it is an address with one of these schemes that can be connected to."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and not SPACE.search(url)
    except ValueError:  # a port above 65535, half of an IPv6 address
        return False


def console_read(url: str) -> str:
    """Check the console's address.  Raises BadConfig."""
    if not is_address(url, "http", "https"):
        raise BadConfig(f"the console's address is {url!r}: use http://host:port or https://host")
    return url.rstrip("/")


def slots_parse(text: str) -> dict[str, Any]:
    """Read `pc1=2,pc2=1`; after `only` the stages that are not named have no slot.  Raises BadConfig."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    others = dict.fromkeys(map(str.lower, WORKER_STAGES), 0) if ONLY in parts else {}
    pairs = [part.partition("=") for part in parts if part != ONLY]
    try:
        return others | {name.strip().lower(): int(count) for name, _, count in pairs}
    except ValueError:
        raise BadConfig(f"--slots is {text!r}: use stage=number, for example pc1=2,pc2=1") from None


def slots_read(entries: dict[str, Any]) -> dict[str, int]:
    """Check slots of the command line by stage.  Raises BadConfig."""
    slots = {}
    for name, count in entries.items():
        stage = name.upper()
        if stage not in WORKER_STAGES:
            raise BadConfig(f"--slots: unknown stage {name!r}: {near_of(stage, WORKER_STAGES)}")
        if not 0 <= count <= SLOTS_MAX:
            raise BadConfig(f"--slots: {name} is {count}: use a whole number from 0 to {SLOTS_MAX}")
        slots[stage] = count
    return slots
