"""The service of blocks a second time, beside the one of the pool."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.pool import RunningPool
from tests.integration.pools import SITE


@contextlib.contextmanager
def service_beside(pool: RunningPool) -> Iterator[subprocess.Popen[bytes]]:
    """A second block service with the same settings."""
    read = Path(f"/proc/{pool.pid('blocks')}/environ").read_bytes().decode().split("\0")
    env = dict(one.split("=", 1) for one in read if "=" in one)
    env |= {"POOLSITE_PROCESS": "blocks-2"}
    env.pop("POOLSITE_READY_FD", None)
    with (pool.base / "blocks-2.log").open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "manage.py", "blocks", "--skip-checks"],
            cwd=SITE,
            env={**os.environ, **env},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield child
        finally:
            child.kill()
            child.wait(10)
