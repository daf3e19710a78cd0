"""The command that runs the devnet: it refuses in a sentence, and loads nothing of the console."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from poolsite.devnet.__main__ import BadStart, run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--time-scale", "9"), "--time-scale must be above 0 and at most 5"),
        (("--listen", "nowhere"), "--listen must be host:port, not 'nowhere'"),
        (("--fund", "f01=much"), "--fund f01=much"),
        (("--network", "elsewhere"), "the devnet cannot start"),
    ],
)
def test_what_it_cannot_start_with_is_told(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadStart) as refusal:
        run(["--data", str(tmp_path / "chain.sqlite"), *words])

    assert says in str(refusal.value)


def test_it_runs_without_django() -> None:
    """Django and the apps would be half of its memory."""
    loaded = "print({'django', 'celery', 'apps'} & {*sys.modules})"
    look = f"import sys; from poolsite.devnet import __main__; {loaded}"
    said = subprocess.run(
        [sys.executable, "-c", look], check=True, capture_output=True, text=True, timeout=60
    )

    assert said.stdout.strip() == "set()"


def test_a_refusal_is_one_line_and_no_success() -> None:
    words = [sys.executable, "-m", "poolsite.devnet", "--time-scale", "9"]
    ended = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
