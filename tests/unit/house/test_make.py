"""What a command of the Makefile runs, with and without the words that it takes."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = """#!/bin/sh
[ "$4" = init ] && exit
trap 'touch ended; exit' TERM
touch started
for _ in $(seq 600); do sleep 0.05; done
"""
"""Stands for the environment's Python."""
SITE = Path(__file__).resolve().parent.parent.parent.parent


def make() -> str:
    found = shutil.which("make")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("words", "size"), [((), "2KiB"), (("SECTOR_SIZE=8MiB",), "8MiB"), (("SECTOR_SIZE=",), "2KiB")]
)
def test_params_are_made_for_a_size(words: tuple[str, ...], size: str) -> None:
    command = [make(), "-n", "-C", str(SITE), "params", *words]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    made = [line for line in said.splitlines() if " params prepare " in line]
    assert [line.partition(" prepare ")[2].split()[0] for line in made] == ["porep", "update"]
    assert all(f'--size "{size}"' in line for line in made)


@pytest.mark.parametrize(
    ("part", "folder"),
    [("up", ".venv"), *((one, ".venv-worker") for one in ("worker", "prover", "signer"))],
)
def test_what_ends_make_ends_the_program_that_it_runs(tmp_path: Path, part: str, folder: str) -> None:
    program = tmp_path / folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM)
    program.chmod(0o755)
    words = ["-o", "environment", "-o", "worker-environment", part, "CONSOLE=http://c", "TOKEN_FILE=token"]

    with subprocess.Popen([make(), "-f", str(SITE / "Makefile"), "-C", str(tmp_path), *words]) as running:
        deadline = time.monotonic() + 30
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        running.terminate()
        running.wait(30)

    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    ("part", "words", "said"),
    [
        (
            "worker",
            (),
            "make worker needs CONSOLE=https://... and JOIN_TOKEN_FILE=path or TOKEN_FILE=path; also STORE",
        ),
        ("signer", (), "make signer needs CONSOLE=https://... and TOKEN_FILE=path; also KEYS=folder"),
        ("signer", ("CONSOLE=http://c", "TOKEN=t"), "make signer needs CONSOLE=https://... and TOKEN_FILE="),
    ],
)
def test_what_make_misses_for_a_part_is_said_first(part: str, words: tuple[str, ...], said: str) -> None:
    command = [make(), "-C", str(SITE), part, *words]
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    assert refused.returncode == 2
    assert said in refused.stderr
