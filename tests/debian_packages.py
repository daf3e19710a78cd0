"""Programs of Debian's packages for tests: the installed one, or the package unpacked into a folder."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LIBRARIES = "usr/lib/x86_64-linux-gnu"


def program_find(name: str, *packages: str, folder: Path) -> list[str]:
    """Return the command that runs a program; skips the test if it is not here and cannot be had.

    `packages`: what it is unpacked from, itself first, then the libraries that it needs.
    """
    import pytest

    installed = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if installed is not None:
        return [installed]
    if reason := packages_unpack(*packages, folder=folder):
        pytest.skip(f"{name} is not installed, and {packages[0]} cannot be unpacked: {reason}")
    program = next(path for place in ("usr/sbin", "usr/bin") if (path := folder / place / name).exists())
    return ["env", f"LD_LIBRARY_PATH={folder / LIBRARIES}", str(program)]


def packages_unpack(*packages: str, folder: Path) -> str:
    """Unpack packages below a folder; return why that failed, or nothing."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    folder.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(  # the names are the tests' own
        ["apt-get", "download", *packages],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    if fetched.returncode:
        return (fetched.stderr.strip().splitlines() or ["apt-get failed"])[-1]
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, folder], check=True)
    return ""
