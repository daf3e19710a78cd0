"""Where an embedded pool keeps its files: everything under one folder, sockets in a short one."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

SITE: Final = Path(__file__).resolve().parent.parent.parent
"""The checkout."""


@dataclass(frozen=True, slots=True)
class PoolPaths:
    """The folders and files of a pool in `var`."""

    var: Path

    @classmethod
    def of_environment(cls) -> Self:
        """Return the paths below POOLSITE_VAR; `var/` of the checkout if it is not set."""
        return cls(Path(os.environ.get("POOLSITE_VAR") or SITE / "var").resolve())

    @property
    def digest(self) -> str:
        """A short name for this folder and its owner."""
        return hashlib.sha256(f"{os.geteuid()}:{self.var}".encode()).hexdigest()[:12]

    @property
    def sockets(self) -> Path:
        """A short folder: a socket's path ends at 107 bytes.  Not TMPDIR: every shell must find it."""
        return Path("/tmp") / f"poolsite-{self.digest}"  # noqa: S108  # made with mode 711, owner checked

    @property
    def database_url(self) -> str:
        """Return how the embedded PostgreSQL is reached."""
        return f"postgresql:///poolsite?host={quote(str(self.sockets / 'pg'), safe='/')}&user=poolsite"

    @property
    def redis_socket(self) -> Path:
        """The embedded Redis."""
        return self.sockets / "redis.sock"

    @property
    def redis_url(self) -> str:
        """Return how the embedded Redis is reached."""
        return f"unix://{self.redis_socket}"

    @property
    def metrics(self) -> Path:
        """Figures that processes share: mapped files, which on a full disk would end whoever writes them."""
        memory = Path("/dev/shm")  # noqa: S108  # made with mode 700, never entered if somebody else made it
        return memory / f"poolsite-{self.digest}" if os.access(memory, os.W_OK) else self.var / "metrics"

    @property
    def log(self) -> Path:
        """One file per process."""
        return self.var / "log"

    @property
    def processes(self) -> Path:
        """Return what the supervisor last wrote of its children."""
        return self.var / "processes.json"

    @property
    def last_backup(self) -> Path:
        """Return when the last backup was taken, and where it is."""
        return self.var / "last_backup.json"

    @property
    def operator(self) -> Path:
        """Address, operator's name and password, token: for the person and for scripts."""
        return self.var / "operator.json"

    @property
    def secret(self) -> Path:
        """The key that signs sessions; made by the supervisor at the first start."""
        return self.var / "keys" / "django_secret"

    @property
    def signer(self) -> Path:
        """Addresses of the pool's first keys, as `signer init` printed them: no secret in it."""
        return self.var / "signer.json"

    @property
    def miner(self) -> Path:
        """Address of the miner that the first start made on the small chain."""
        return self.var / "miner"

    def secret_key(self) -> str:
        """Read the session key; empty before the first start, which Django refuses when it needs one."""
        return self.secret.read_text().strip() if self.secret.exists() else ""
