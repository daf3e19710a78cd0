"""Programs that stand for machines of their own: begun with a log, ended as by a power cut."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.pools import SITE


def machine_start(
    words: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path = SITE
) -> subprocess.Popen[bytes]:
    """Run it in a session of its own, so that its children end with it."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [*words], cwd=cwd, env=dict(env), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )


def machine_kill(process: subprocess.Popen[bytes]) -> None:
    """End it with all its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
