"""What the environment decides of a pool: ports, processes, proofs, and what runs elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from poolsite.embedded.errors import StartupError

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

HOST_PROGRAMS: Final = frozenset({"signer-init", "signer", "sealer", "prover"})
"""Of the pool's own tenant; they run where the pool began, or on hosts that joined."""

DEMO_VARIABLE: Final = "DEMO"
DEMO_NETWORK: Final = "demo"

TASK_THREADS: Final = 8
"""Of a task process unless chosen otherwise: most tasks wait, for a signer, a prover or a node."""


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
    runs_database: bool
    runs_redis: bool
    runs_chain: bool
    is_demo: bool
    """Whether it shows a made-up pool: neither chain, signer nor host is started, and nothing follows one."""

    @classmethod
    def of_environment(cls, *, is_joined: bool = False) -> Options:
        """Read the variables of docs/settings.md; a machine that joined a pool runs the console alone."""
        env = os.environ
        is_demo = demo(env.get(DEMO_VARIABLE, ""), network=env.get("POOLSITE_NETWORK", ""))
        elsewhere = HOST_PROGRAMS if is_joined else frozenset()
        return cls(
            port=number("PORT", 8000),
            host=env.get("POOLSITE_HOST") or "localhost",
            devnet_listen=env.get("DEVNET_LISTEN") or "127.0.0.1:1234",
            web_processes=number("POOLSITE_WEB_PROCESSES", 2),
            task_threads=number("POOLSITE_TASK_THREADS", TASK_THREADS),
            network=env.get("POOLSITE_NETWORK") or "demo",
            snark=snark(env.get("POOLSITE_SNARK", "")),
            sector_size=sector_size(env.get(SIZE_VARIABLE, ""), runs_chain=not env.get("CHAIN_URLS")),
            parameter_seed=env.get(SEED_VARIABLE) or ("" if env.get("CHAIN_URLS") else DEVNET_SEED),
            disabled=elsewhere.union(filter(None, env.get("POOLSITE_DISABLE", "").split(","))),
            compat_ports=compat_ports(env.get("COMPAT_PORTS", "")),
            runs_database=not env.get("DATABASE_URL"),
            runs_redis=not env.get("REDIS_URL"),
            runs_chain=not env.get("CHAIN_URLS") and not is_demo,
            is_demo=is_demo,
        )

    @property
    def ports(self) -> list[int]:
        """Every port that the web processes serve."""
        compatible = (port for port in self.compat_ports if port != SIGNER_PORT)
        return list(dict.fromkeys((self.port, *compatible)))

    @property
    def signer_listen(self) -> str:
        """Return where the signer answers as a wallet; on a port of its choice if nobody needs to know it."""
        port = SIGNER_PORT if SIGNER_PORT in self.compat_ports else 0
        return os.environ.get("SIGNER_LISTEN") or f"127.0.0.1:{port}"

    @property
    def reserved_addresses(self) -> list[str]:
        """Addresses that children bind themselves, some seconds after the start."""
        chain = [self.devnet_listen] if self.runs_chain else []
        signer = [] if "signer" in self.disabled or self.is_demo else [self.signer_listen]
        return [address for address in (*chain, *signer) if not address.endswith(":0")]

    @property
    def url(self) -> str:
        """Return what a person types; a name, since passkeys need one."""
        return f"http://{self.bracketed_host}:{self.port}"

    @property
    def bracketed_host(self) -> str:
        """The host as URLs write it: an IPv6 address stands in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


def demo(text: str, *, network: str) -> bool:
    """Read DEMO.  Raises StartupError beside what a real pool needs."""
    if text.lower() in {"", "0", "false", "no", "off"}:
        return False
    if text.lower() not in {"1", "true", "yes", "on"}:
        raise StartupError(f"DEMO is {text!r}: use 1, or nothing")
    if network not in ("", DEMO_NETWORK):
        raise StartupError(f"DEMO is for the network {DEMO_NETWORK}, and POOLSITE_NETWORK is {network!r}")
    if os.environ.get("CHAIN_URLS"):
        raise StartupError("DEMO shows made-up data and asks no node: unset CHAIN_URLS")
    return True


def snark(text: str) -> str:
    """Read POOLSITE_SNARK.  Raises StartupError."""
    if text and text not in SNARKS:
        raise StartupError(f"POOLSITE_SNARK is {text!r}: use one of {', '.join(SNARKS)}")
    return text or SNARKS[0]


def sector_size(text: str, *, runs_chain: bool) -> str:
    """Read POOLSITE_SECTOR_SIZE.  Raises StartupError."""
    if text and text not in SECTOR_SIZES:
        raise StartupError(f"{SIZE_VARIABLE} is {text!r}: use one of {', '.join(SECTOR_SIZES)}")
    if text and runs_chain and text != SECTOR_SIZES[0]:
        raise StartupError(
            f"{SIZE_VARIABLE} is {text!r}: without CHAIN_URLS only {SECTOR_SIZES[0]} is supported"
        )
    return text or (SECTOR_SIZES[0] if runs_chain else "")


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
