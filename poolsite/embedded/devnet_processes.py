"""The small chain as a pool's children: its node, its first miner, and that miner in the signer's policy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.embedded.children import Child, accepts
from poolsite.embedded.console_processes import step
from poolsite.embedded.paths import SITE

if TYPE_CHECKING:
    from poolsite.embedded.options import Options
    from poolsite.embedded.paths import PoolPaths

FIRST_FIL: Final = 10_000
"""What each of the signer's first addresses has in a new chain."""

MINER_PATIENCE_S: Final = 60
"""How long one run of the step that makes the miner asks again, before the supervisor runs it again."""


def miner_step(paths: PoolPaths, manage: Path) -> Child:
    """Describe the step that creates the pool's miner on the small chain; on a real one people do."""
    return step(
        "bootstrap-miner",
        manage,
        "bootstrap",
        "--skip-checks",
        "--miner",
        "--within",
        MINER_PATIENCE_S,
        "--address-file",
        paths.miner,
        after={"tasks", "follower", "signer", "devnet"},
        env={"POOLSITE_SIGNER_FILE": str(paths.signer)},
    )


def policy_step(paths: PoolPaths) -> Child:
    """Describe the step that names the pool's first miner in the signer's policy, as its owner: once.

    What somebody decided since stays: `--first` changes a policy that never named a miner only.
    """

    def command() -> list[str | Path]:
        verb = ("policy", "--dir", paths.var / "signer", "--first", "--by", "make up")
        return [sys.executable, "-m", "workers", "signer", *verb, "--miner", paths.miner.read_text().strip()]

    return Child(
        name="signer-policy",
        argv=command,
        after=frozenset({"bootstrap-miner", "signer-init"}),
        cwd=SITE,
        once=True,
    )


def devnet_child(paths: PoolPaths, options: Options) -> Child:
    """Describe the small chain; the signer's first addresses are funded in its genesis.

    It starts last: its time stands still until then, and from its first epoch on deadlines run, which
    need signer, prover and tasks at work.
    """

    def command() -> list[str | Path]:
        addresses = dict.fromkeys(json.loads(paths.signer.read_text()).values())
        funds = [argument for address in addresses for argument in ("--fund", f"{address}={FIRST_FIL}")]
        data = ("--data", paths.var / "devnet" / "chain.sqlite")
        listen = ("--listen", options.devnet_listen, "--network", options.network)
        return [sys.executable, "-m", "poolsite.devnet", *listen, *data, *funds]

    address, _, port = options.devnet_listen.rpartition(":")
    return Child(
        name="devnet",
        argv=command,
        after=frozenset({"signer-init", "signer", "tasks", "tasks-slow", "sealer", "prover"}),
        cwd=SITE,
        ready=accepts(address.strip("[]"), int(port)),
        env={"POOLSITE_PROCESS": "devnet"},
    )
