"""The table of a pool's processes: what runs, after what, how it is known to work and how it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from poolsite.embedded import postgres, redis
from poolsite.embedded.children import Child, accepts, alive_for, pause_even, pause_patient
from poolsite.embedded.errors import StartupError
from poolsite.embedded.paths import SITE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from poolsite.embedded.paths import PoolPaths
    from poolsite.embedded.postgres import Cluster

FIRST_FIL: Final = 10_000
"""What each of the signer's first addresses has in a new chain."""

MINER_PATIENCE_S: Final = 60
"""How long one run of the step that makes the miner asks again, before the supervisor runs it again."""

SIGNER_PORT: Final = 5678
"""The port of the wallet that the signer replaces."""

COMPAT_PORTS: Final = {
    8989: "sophon-auth",
    45132: "sophon-gateway",
    39812: "sophon-messager",
    12308: "sophon-miner",
    3453: "venus",
    1789: "damocles-manager",
}
"""Ports of the programs whose methods the web processes answer."""

SNARKS: Final = ("auto", "groth16", "vanilla", "external")
"""Forms of the pool's proofs, for its sealer and its prover."""

SECTOR_SIZES: Final = ("2KiB", "8MiB", "512MiB", "32GiB", "64GiB")
"""What a sector may have, as `--sector-size` takes it; our own chain has the smallest alone."""

SIZE_VARIABLE: Final = "POOLSITE_SECTOR_SIZE"

DEVNET_SEED: Final = "poolsite-devnet"
"""The seed of the small chain's Groth16 parameters, which everybody knows."""

SEED_VARIABLE: Final = "POOLSITE_PARAMETER_SEED"
"""Environment variable: another seed, also for a devnet of one's own behind CHAIN_URLS."""

FIRST_WEB: Final = "web-1"
"""What the pool is announced by and the hosts wait for."""

TASK_THREADS: Final = 8
"""Of a task process unless chosen otherwise: most tasks wait, for a signer, a prover or a node."""

TASK_QUEUES: Final = {"tasks": "head,messages", "tasks-slow": "proving,blocks,io"}
"""Task process and its queues."""

ROOT_IS_MEANT: Final = {"PYTHONWARNINGS": "ignore:You're running the worker with superuser"}
"""The pool runs as whoever starts it, root too; Celery's advice would be no event in the log."""


ARENAS: Final = "2"
"""Heaps of a console process: the C library would give each of a dozen threads its own, which grows alone."""

WORKER_ENV: Final = {**ROOT_IS_MEANT, "DATABASE_CONN_MAX_AGE": "600", "CELERY_SKIP_CHECKS": "1"}
"""Of a task process: its threads keep their database connections for ten minutes, and it leaves out
Django's checks: they load every page and view, 22 MiB that no task needs."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the environment decides."""

    port: int
    host: str
    devnet_listen: str
    web_processes: int
    task_threads: int
    network: str
    snark: str
    """Form of the proofs: one of SNARKS."""
    sector_size: str
    """For which the pool's own sealer and prover are started; empty: what the console tells of the miners."""
    parameter_seed: str
    """Missing Groth16 parameters are made from it: toxic, for a chain of one's own; empty: never."""
    disabled: frozenset[str]
    compat_ports: tuple[int, ...]
    is_database_ours: bool
    is_redis_ours: bool
    is_chain_ours: bool

    @classmethod
    def of_environment(cls) -> Options:
        """Read the variables that the README names."""
        env = os.environ
        return cls(
            port=number("PORT", 8000),
            host=env.get("POOLSITE_HOST") or "localhost",
            devnet_listen=env.get("DEVNET_LISTEN") or "127.0.0.1:1234",
            web_processes=number("POOLSITE_WEB_PROCESSES", 2),
            task_threads=number("POOLSITE_TASK_THREADS", TASK_THREADS),
            network=env.get("POOLSITE_NETWORK") or "demo",
            snark=snark(env.get("POOLSITE_SNARK", "")),
            sector_size=sector_size(env.get(SIZE_VARIABLE, ""), is_chain_ours=not env.get("CHAIN_URLS")),
            parameter_seed=env.get(SEED_VARIABLE) or ("" if env.get("CHAIN_URLS") else DEVNET_SEED),
            disabled=frozenset(filter(None, env.get("POOLSITE_DISABLE", "").split(","))),
            compat_ports=compat_ports(env.get("COMPAT_PORTS", "")),
            is_database_ours=not env.get("DATABASE_URL"),
            is_redis_ours=not env.get("REDIS_URL"),
            is_chain_ours=not env.get("CHAIN_URLS"),
        )

    @property
    def ports(self) -> list[int]:
        """Every port that the web processes serve."""
        return [self.port, *(port for port in self.compat_ports if port != SIGNER_PORT)]

    @property
    def signer_listen(self) -> str:
        """Where the signer answers as a wallet; a port of its own choice if nobody needs to know it."""
        port = SIGNER_PORT if SIGNER_PORT in self.compat_ports else 0
        return os.environ.get("SIGNER_LISTEN") or f"127.0.0.1:{port}"

    @property
    def listened_later(self) -> list[str]:
        """Addresses that children bind themselves, some seconds after the start."""
        chain = [self.devnet_listen] if self.is_chain_ours else []
        signer = [] if "signer" in self.disabled else [self.signer_listen]
        return [address for address in (*chain, *signer) if not address.endswith(":0")]

    @property
    def url(self) -> str:
        """What a person types; a name, since passkeys need one."""
        return f"http://{self.bracketed_host}:{self.port}"

    @property
    def bracketed_host(self) -> str:
        """The host as URLs write it: an IPv6 address stands in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


def snark(word: str) -> str:
    """Read POOLSITE_SNARK.  Raises StartupError."""
    if word and word not in SNARKS:
        raise StartupError(f"POOLSITE_SNARK is {word!r}: use one of {', '.join(SNARKS)}")
    return word or SNARKS[0]


def sector_size(word: str, *, is_chain_ours: bool) -> str:
    """Read POOLSITE_SECTOR_SIZE.  Raises StartupError."""
    if word and word not in SECTOR_SIZES:
        raise StartupError(f"{SIZE_VARIABLE} is {word!r}: use one of {', '.join(SECTOR_SIZES)}")
    if word and is_chain_ours and word != SECTOR_SIZES[0]:
        raise StartupError(
            f"{SIZE_VARIABLE} is {word!r}: without CHAIN_URLS only {SECTOR_SIZES[0]} is supported"
        )
    return word or (SECTOR_SIZES[0] if is_chain_ours else "")


def compat_ports(word: str) -> tuple[int, ...]:
    """Read COMPAT_PORTS: 1 for all of them, or the numbers themselves.  Raises StartupError."""
    if word.lower() in {"", "0", "false", "no", "off"}:
        return ()
    if word.lower() in {"1", "true", "yes", "on"}:
        return (*COMPAT_PORTS, SIGNER_PORT)
    parts = [part.strip() for part in word.split(",")]
    if not all(part.isdecimal() and 0 < int(part) < 65536 for part in parts):
        raise StartupError(f"COMPAT_PORTS is {word!r}: use 1, or ports separated by commas")
    return tuple(dict.fromkeys(map(int, parts)))


def number(name: str, default: int) -> int:
    """Read a whole number from the environment.  Raises StartupError for anything else."""
    word = os.environ.get(name) or str(default)
    if not word.isdecimal() or not int(word):
        raise StartupError(f"{name} is {word!r}: use a whole number of at least 1")
    return int(word)


def pool_table(
    paths: PoolPaths, options: Options, *, cluster: Cluster | None, web_fds: tuple[int, ...]
) -> list[Child]:
    """List the children; adding a process is adding its line here."""
    manage = SITE / "manage.py"
    servers = {"postgres"} if cluster else set()
    data = {"prepare", "redis"} if options.is_redis_ours else {"prepare"}
    chain = {"devnet"} if options.is_chain_ours else set()
    web = [f"web-{number}" for number in range(1, options.web_processes + 1)]
    table: list[Child] = []
    if cluster is not None:
        table.append(postgres_child(cluster))
    if options.is_redis_ours:
        table.append(redis_child(paths))
    table += [
        step("prepare", "-m", "poolsite.embedded.preparation", after=servers, tries=5),
        *(process(name, "-m", "poolsite.web", *web_fds, after=data, pass_fds=web_fds) for name in web),
        *(
            process(name, *celery(queues, options), after=data, stop_s=15.0, env=WORKER_ENV)
            for name, queues in TASK_QUEUES.items()
        ),
        process("follower", manage, "follow", "--skip-checks", after=data | chain, ready=alive_for(1.0)),
        process("blocks", manage, "blocks", "--skip-checks", after=data | chain, ready=alive_for(1.0)),
        *hosts(paths, options, after={"web-1"}),
    ]
    if options.is_chain_ours:
        table += [devnet_child(paths, options), miner_step(paths, manage)]
        if not options.disabled & {"signer", "bootstrap-miner"}:
            table.append(policy_step(paths))
    return without(table, options.disabled)


def without(table: list[Child], disabled: frozenset[str]) -> list[Child]:
    """Leave out what runs elsewhere; nobody waits for it.  Raises StartupError for other names."""
    unknown = disabled - {child.name for child in table}
    if unknown:
        raise StartupError(
            f"POOLSITE_DISABLE lists {', '.join(sorted(unknown))}, which is not a process of the pool"
        )
    if FIRST_WEB in disabled:
        raise StartupError(
            f"POOLSITE_DISABLE lists {FIRST_WEB}, which serves the port: set POOLSITE_WEB_PROCESSES instead"
        )
    kept = [child for child in table if child.name not in disabled]
    return [replace(child, after=child.after - disabled) for child in kept]


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
        funds = [word for address in addresses for word in ("--fund", f"{address}={FIRST_FIL}")]
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
        ready=None if how.get("once") else alive_for(1.0),
        **how,
    )


def names_that_sign(table: Iterable[Child]) -> list[str]:
    """List the processes whose heartbeats /readyz waits for."""
    return [child.name for child in table if child.gives_signs and not child.once]


def celery(queues: str, options: Options) -> tuple[str, ...]:
    """Return the words of a worker for some queues: nothing prefetched, no gossip, no banner.

    What its threads are stands in the settings: Celery takes no class for them here.
    """
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO")
    threads = ("--concurrency", str(options.task_threads))
    return ("-m", "celery", "-q", "-A", "poolsite", "worker", *threads, "-Q", queues, *quiet)


def process(name: str, *words: str | int | Path, after: Collection[str], **how: Any) -> Child:
    """Describe a process of the console that stays; all of them give heartbeats."""
    return Child(
        name=name,
        argv=[sys.executable, *map(str, words)],
        after=frozenset(after),
        cwd=SITE,
        env={"POOLSITE_PROCESS": name, "MALLOC_ARENA_MAX": ARENAS, **how.pop("env", {})},
        gives_signs=True,
        **how,
    )


def step(name: str, *words: str | int | Path, after: Collection[str], **how: Any) -> Child:
    """Describe a step that must succeed once, run by this environment's Python."""
    return process(name, *words, after=after, once=True, pause=pause_even, **how)


def postgres_child(cluster: Cluster) -> Child:
    """Describe the database server."""
    return Child(
        name="postgres",
        argv=cluster.command(),
        account=cluster.account,
        cwd=cluster.data,
        prepare=partial(postgres.stale_pid_remove, cluster.data),
        ready=postgres.answers(cluster.sockets),
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        pause=pause_patient,
    )


def redis_child(paths: PoolPaths) -> Child:
    """Describe the broker and channel layer."""
    return Child(
        name="redis",
        argv=redis.command(paths),
        cwd=paths.var,
        ready=redis.answers(paths.redis_socket),
        orphan_signal=signal.SIGTERM,
    )
