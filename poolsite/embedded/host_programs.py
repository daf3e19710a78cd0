"""The programs of a tenant's hosts as a pool's children: signer, sealer and prover."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poolsite.embedded.children import Child, ready_after
from poolsite.embedded.errors import StartupError
from poolsite.embedded.options import SIZE_VARIABLE, Options
from poolsite.embedded.paths import SITE

if TYPE_CHECKING:
    from poolsite.embedded.paths import PoolPaths


def hosts(paths: PoolPaths, options: Options, *, after: set[str]) -> list[Child]:
    """List the programs of a tenant's hosts: they reach the console over its port, as anywhere else.

    Raises StartupError where they lack the sector size that `--snark groth16` needs.
    """
    var = paths.var
    host_name = "127.0.0.1" if options.host == "localhost" else options.bracketed_host
    address = f"{host_name}:{options.port}"
    gateway = ("--console", f"ws://{address}/rpc/v1")
    console = ("--console", f"http://{address}", "--store", var / "store")
    keys = ("signer", "--dir", var / "signer")
    proofs: tuple[str, ...] = ("--snark", options.snark)
    if options.sector_size:
        proofs += ("--sector-size", options.sector_size)
    elif options.snark == "groth16" and not options.disabled >= {"sealer", "prover"}:
        raise StartupError(f"POOLSITE_SNARK=groth16 with CHAIN_URLS needs {SIZE_VARIABLE}, for example 32GiB")
    if options.parameter_seed:  # never on a public network: see `preparation`
        proofs += ("--parameter-seed", options.parameter_seed)
    sealer = ("sealer", "--dir", var / "sealer", *console, *token(paths, "sealer"), *proofs)
    prover = ("prover", "--dir", var / "prover", *console, *token(paths, "prover"), *proofs)
    return [
        host("signer-init", "signer", "init", *keys[1:], once=True, output=paths.signer),
        host(
            "signer",
            *keys,
            *gateway,
            *token(paths, "signer"),
            "--listen",
            options.signer_listen,
            after=after | {"signer-init"},
        ),
        host("sealer", *sealer, after=after, stop_s=20.0),
        host("prover", *prover, after=after),
    ]


def token(paths: PoolPaths, name: str) -> tuple[str | Path, ...]:
    """Return the words that name a program's token, which bootstrap has written."""
    return ("--token-file", paths.var / "tokens" / name)


def host(name: str, *words: str | Path, after: Collection[str] = (), **how: Any) -> Child:
    """Describe a program of a tenant's host; its heartbeats come through its connection or heartbeat."""
    return Child(
        name=name,
        argv=[sys.executable, "-m", "workers", *map(str, words)],
        after=frozenset(after),
        cwd=SITE,
        ready=None if how.get("once") else ready_after(1.0),
        **how,
    )
