"""Creates the environment in .venv, or leaves it unchanged if its stamp shows that it is up to date.

Run: PYTHON .ci/environment.py FOLDER REQUIREMENTS.  Needs nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent.parent
ROOM_BYTES = 1536 * 1024 * 1024
"""The environment with all tools takes 0.7 GB, and as much while it is unpacked."""


def files_of(requirements: Path) -> list[Path]:
    """List a requirements file and those that it includes."""
    included = re.findall(r"^-r (.+)$", requirements.read_text(), re.MULTILINE)
    return [requirements, *(file for name in included for file in files_of(requirements.parent / name))]


def stamp_of(folder: Path, requirements: Path) -> str:
    """Name an environment by all that makes it: place, Python, pins."""
    digest = hashlib.sha256(f"{folder} {sys.version_info[:2]}".encode())
    for file in files_of(requirements):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_usable(folder: Path) -> bool:
    """Tell whether the environment's Python runs and is of our version."""
    program = folder / "bin" / "python"
    if not program.exists():
        return False
    command: list[str | Path] = [program, "-c", "import sys, pip; print(sys.version_info[:2])"]
    said = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    return bool(said.stdout.strip() == str(sys.version_info[:2]))


def is_made(folder: Path, requirements: Path) -> bool:
    """Tell whether the environment is this one already."""
    return (folder / "stamps" / stamp_of(folder, requirements)).exists() and is_usable(folder)


def environment_make(folder: Path, requirements: Path) -> str:
    """Make or bring up to date; gives the sentence that says why it failed, or nothing."""
    if is_made(folder, requirements):
        return ""
    stamps = folder / "stamps"
    free = shutil.disk_usage(SITE).free
    if free < ROOM_BYTES:
        return f"The disk has {free // 2**20} MiB free, the environment needs {ROOM_BYTES // 2**20} MiB."
    sys.stdout.write(f"Installing into {folder} (once; a minute or two)\n")
    sys.stdout.flush()
    if not is_usable(folder):
        made = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "venv", "--clear", folder], check=False, capture_output=True, text=True
        )
        if made.returncode:
            return f"Cannot create the environment: {(made.stderr or made.stdout).strip().splitlines()[-1]}"
    log = folder / "install.log"
    command: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    with log.open("w") as out:
        installed = subprocess.run(  # noqa: S603
            [*command, "-r", requirements], check=False, stdout=out, stderr=subprocess.STDOUT
        )
    if installed.returncode:
        lines = [line for line in log.read_text().splitlines() if line.strip()] or ["no reason given"]
        return f"The packages cannot be installed: {lines[-1].strip()} (full output in {log})"
    shutil.rmtree(stamps, ignore_errors=True)  # of other pins: they no longer hold
    stamps.mkdir()
    for file in files_of(requirements):
        (stamps / stamp_of(folder, file)).touch()
    return ""


def command_write(folder: Path) -> None:
    """Write bin/poolsite, the pool's REST as a command, from every folder and with no code of it."""
    path = folder / "bin" / "poolsite"
    text = f'#!/bin/sh\nPYTHONPATH="{SITE}" exec "{folder}/bin/python" -P -m poolsite "$@"\n'
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)


def main() -> int:
    """Let one process at a time work on the environment: `make test` may run beside `make up`."""
    folder, requirements = SITE / sys.argv[1], SITE / sys.argv[2]
    try:
        with (SITE / f"{sys.argv[1]}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            problem = environment_make(folder, requirements)
            if not problem:
                command_write(folder)
    except PermissionError:  # somebody else's checkout: what is made there can still be used
        refusal = f"You have no write permission for {SITE}: use your own clone."
        problem = "" if is_made(folder, requirements) else refusal
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
