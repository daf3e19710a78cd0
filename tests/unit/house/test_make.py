"""What a command of the Makefile runs, with and without the words that it takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parent.parent.parent.parent


@pytest.mark.parametrize(
    ("words", "size"), [((), "2KiB"), (("SECTOR_SIZE=8MiB",), "8MiB"), (("SECTOR_SIZE=",), "2KiB")]
)
def test_params_are_made_for_a_size(words: tuple[str, ...], size: str) -> None:
    make = shutil.which("make")
    assert make is not None
    command = [make, "-n", "-C", str(SITE), "params", *words]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    made = [line for line in said.splitlines() if " params prepare " in line]
    assert [line.partition(" prepare ")[2].split()[0] for line in made] == ["porep", "update"]
    assert all(f'--size "{size}"' in line for line in made)
