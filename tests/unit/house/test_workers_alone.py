"""The library and the kernels load where only `workers/requirements.txt` is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parent.parent.parent.parent

REFUSING = """
import sys

class OnlyPinned:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {foreign!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed on a sealing host", name=name)
        return None

sys.meta_path.insert(0, OnlyPinned())
import pkgutil, importlib
import poolsite.filecoin, workers.kernels
for package in ("poolsite.filecoin", "poolsite.wire", "workers"):
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print(len(sys.modules))
"""


def names_of(requirements: Path) -> set[str]:
    """Names that a requirements file pins, included files left out."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==", requirements.read_text(), re.MULTILINE)
    return {name.lower().replace("-", "_") for name in found}


def foreign_modules() -> set[str]:
    """Top-level modules that the console or the tools bring along and a sealing host has not."""
    console = names_of(SITE / "requirements.txt") | names_of(SITE / "tests" / "requirements.txt")
    renamed = {"djangorestframework": "rest_framework", "pyyaml": "yaml", "psycopg2_binary": "psycopg2"}
    return {renamed.get(name, name) for name in console} - names_of(SITE / "workers" / "requirements.txt")


def test_everything_a_sealing_host_runs_imports_without_the_console(tmp_path: Path) -> None:
    foreign = foreign_modules()
    assert {"django", "rest_framework", "channels", "psycopg2"} <= foreign

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", REFUSING.format(foreign=foreign)],
        cwd=SITE,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("program", ["workers.celery", "workers.agent.sealer", "workers.prover.main"])
def test_only_the_kernel_children_load_the_compiler(program: str) -> None:
    words = f"import sys, {program}; sys.exit('numba' in sys.modules or 'llvmlite' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", words], cwd=SITE, check=False, timeout=120)

    assert done.returncode == 0


def test_every_package_is_pinned_and_pinned_once() -> None:
    files = [
        SITE / "requirements.txt",
        SITE / "workers" / "requirements.txt",
        SITE / "tests" / "requirements.txt",
    ]
    lines = [
        line
        for file in files
        for line in file.read_text().splitlines()
        if line and not line.startswith(("#", "-r "))
    ]

    assert all("==" in line for line in lines)
    names = [line.partition("==")[0].lower().replace("_", "-") for line in lines]
    assert len(names) == len(set(names))
