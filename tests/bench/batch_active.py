"""128 sectors of 8 MiB in one batch with layers on drives, from ADD_PIECE until the devnet counts them.

A console, a sealing host and a prover with a devnet, by a test that seals each sector alone as well and
compares every comm_r (tests/integration/sealing/test_batch_active.py).  POOLSITE_BATCH_SECTORS takes fewer.
Run: python -m tests.bench batch_active
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from poolsite.wire.page_shape import BATCH_MAX
from tests.bench.page_batch import READS_MAX, RESIDENT_MIB, Figure

TEST: Final = "tests/integration/sealing/test_batch_active.py"
SECTORS: Final = "POOLSITE_BATCH_SECTORS"


def cases() -> list[str]:
    """Name what is measured."""
    return ["unequal", "resident", "reads", "read", "minutes"]


def run(case: str) -> Figure:
    """Measure once; return one figure."""
    found = _measured()
    unit = f"sectors of {found['sectors']}"
    return {
        "unequal": Figure("comm_r other than alone, all active", found["unequal"], unit, limit=0),
        "resident": Figure("peak resident memory of PC1", found["resident"], "MiB", limit=RESIDENT_MIB),
        "reads": Figure("reads a node", found["reads"], "reads", limit=READS_MAX),
        "read": Figure("CPU of a read of a row", found["read_us"], "us"),
        "minutes": Figure("from ADD_PIECE to active", found["minutes"], "minutes"),
    }[case]


@functools.cache
def _measured() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        environment = {SECTORS: str(BATCH_MAX), **os.environ, "POOLSITE_BATCH_FIGURES": str(figures)}
        command = [sys.executable, "-m", "pytest", "-q", "-m", "slow", "-o", "faulthandler_timeout=0", TEST]
        subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
        found: dict[str, Any] = json.loads(figures.read_text())
        return found
