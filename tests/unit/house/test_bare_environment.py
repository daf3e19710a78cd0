"""A real environment of `workers/requirements.txt` alone; it installs packages, so it is in `make soak`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parent.parent.parent.parent


@pytest.mark.slow
def test_a_sealing_hosts_environment_imports_library_and_kernels(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    requirements = SITE / "workers" / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)

    done = subprocess.run(
        [python, "-W", "error", "-c", "import poolsite.filecoin, workers.kernels"],
        cwd=SITE,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
