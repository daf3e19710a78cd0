"""Programs of Debian's packages and of wheels for tests: installed ones, or unpacked into a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final
from zipfile import ZipFile

LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
LOADER: Final = "usr/lib64/ld-linux-x86-64.so.2"
"""Of a newer Debian's C library: its programs do not run with this machine's."""
KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"


def program_find(name: str, *packages: str, folder: Path) -> list[str]:
    """Return the command that runs a program; skips the test if it is not here and cannot be had.

    `packages`: what it is unpacked from, itself first, then the libraries that it needs.
    """
    installed = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if installed is not None:
        return [installed]
    return program_unpacked(name, *packages, folder=folder)


def program_unpacked(name: str, *packages: str, folder: Path, suite: str = "") -> list[str]:
    """Return the command that runs a package's program, of this machine's Debian or of a newer one.

    Skips the test if it cannot be had.
    """
    import pytest

    if reason := packages_unpack(*packages, folder=folder, suite=suite):
        pytest.skip(f"{packages[0]}{f' of {suite}' if suite else ''} cannot be unpacked: {reason}")
    program = next(path for place in ("usr/sbin", "usr/bin") if (path := folder / place / name).exists())
    if (folder / LOADER).exists():
        return [str(folder / LOADER), "--library-path", str(folder / LIBRARIES), str(program)]
    return ["env", f"LD_LIBRARY_PATH={folder / LIBRARIES}", str(program)]


def packages_unpack(*packages: str, folder: Path, suite: str = "") -> str:
    """Unpack packages below a folder; return why that failed, or nothing."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    folder.mkdir(parents=True, exist_ok=True)
    options: list[str] = []
    if suite:
        if not (mirror := _mirror()):
            return "apt knows no mirror of Debian"
        options = _options(folder / "apt", mirror, suite)
    for words in (*([["update"]] if suite else []), ["download", *packages]):  # the names are the tests' own
        done = subprocess.run(
            ["apt-get", *options, *words], check=False, capture_output=True, text=True, cwd=folder
        )
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["apt-get failed"])[-1]
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, folder], check=True)
    return ""


def _mirror() -> str:
    """Return where this machine has Debian's packages from."""
    words = ["--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian"]
    told = subprocess.run(["apt-get", "indextargets", *words], check=False, capture_output=True, text=True)
    return next(iter(told.stdout.split()), "")


def _options(state: Path, mirror: str, suite: str) -> list[str]:
    """Return apt's options for another Debian than this machine's, whose lists stay as they are."""
    for name in ("lists/partial", "cache/archives/partial", "parts"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(f"deb [signed-by={KEYS}] {mirror} {suite} main\n")
    (state / "status").touch()
    places = {
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": state / "parts",
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Acquire::Languages": "none",
    }
    return [word for name, value in places.items() for word in ("-o", f"{name}={value}")]


def wheel_unpack(requirement: str, *, folder: Path) -> str:
    """Unpack a wheel below a folder, installed nowhere; return why that failed, or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, requirement],
        check=False,
        capture_output=True,
        text=True,
    )
    if fetched.returncode:
        return (fetched.stderr.strip().splitlines() or ["pip failed"])[-1]
    for wheel in folder.glob("*.whl"):
        with ZipFile(wheel) as archive:
            for entry in archive.infolist():
                path = Path(archive.extract(entry, folder))
                path.chmod((entry.external_attr >> 16) & 0o777 or 0o755)
    return ""
