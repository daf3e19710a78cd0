"""Which tests may be run a second time, and that it is noted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import reruns
from tests.timing import SITE, TIMING, is_timing


@pytest.mark.parametrize("name", TIMING)
def test_what_meets_a_clock_exists(name: str) -> None:
    assert (SITE / name).exists()


def test_only_named_files_and_folders_meet_a_clock() -> None:
    assert is_timing("tests/browser/test_live.py::test_x[a]")
    assert is_timing("tests/wire/gateway/test_market.py::test_x")
    assert not is_timing("tests/unit/wire/test_codec.py::test_x")
    assert not is_timing("tests/browserless/test_x.py::test_x")


@pytest.fixture
def second_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A run that failed, and every second run passes; gives the commands."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(returncode=0, stdout="abc1234\n")

    monkeypatch.setattr(reruns, "FAILED", tmp_path / "lastfailed")
    monkeypatch.setattr(reruns, "SITE", tmp_path)
    monkeypatch.setattr(reruns, "RERUNS", tmp_path / "var" / "test-reruns.txt")
    monkeypatch.setattr(subprocess, "run", run)
    return ran


def test_a_rerun_is_written_down_and_printed(
    second_run: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    name = "tests/browser/test_live.py::test_x"
    reruns.FAILED.write_text(json.dumps({name: True}))

    assert reruns.main([]) == 0
    assert second_run[0][-1] == name
    assert reruns.RERUNS.read_text().endswith(f" abc1234 passed {name}\n")
    assert f"passed {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "names",
    [
        ["tests/unit/wire/test_codec.py::test_x"],
        ["tests/unit/wire/test_codec.py::test_x", "tests/browser/test_live.py::test_x"],
        [f"tests/browser/test_live.py::test_{number}" for number in range(9)],
    ],
    ids=["no clock", "one without a clock", "too many"],
)
def test_other_failures_stay_failures(second_run: list[list[str]], names: list[str]) -> None:
    reruns.FAILED.write_text(json.dumps(dict.fromkeys(names, True)))

    assert reruns.main([]) == 1
    assert not second_run
