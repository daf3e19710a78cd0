"""A win is proved before a window's proof begins, on one machine, whatever program makes either."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.prover.winning_first import WinningFirst

HOLD = """
import sys, time
from pathlib import Path
from workers.prover.winning_first import WinningFirst
with WinningFirst(Path(sys.argv[1])).winning():
    print("in", flush=True)
    time.sleep(600)
"""
EVER_S = 1000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def once() -> Callable[[], bool]:
    """Return what is wanted at the first look alone: whoever waits would look again."""
    looks = iter([True])
    return lambda: next(looks)


def test_window_does_not_wait_without_a_win(path: Path) -> None:
    WinningFirst(path).window_wait(is_wanted=once())


def test_window_waits_for_every_win_and_wins_for_nobody(path: Path) -> None:
    ended: list[str] = []
    gate = WinningFirst(path)

    def window() -> None:
        WinningFirst(path).window_wait(is_wanted=lambda: True)
        ended.append("window")

    thread = threading.Thread(target=window)
    with gate.winning():
        with WinningFirst(path).winning():
            thread.start()
            time.sleep(0.2)
            ended.append("second win")
        time.sleep(0.2)
        ended.append("first win")
    thread.join(60)

    assert ended == ["second win", "first win", "window"]


def test_window_goes_on_after_its_longest_wait_and_when_it_is_not_wanted(path: Path) -> None:
    gate = WinningFirst(path)

    with gate.winning():
        assert gate.window_wait(is_wanted=lambda: True, most_s=0.2) >= 0.2
        gate.window_wait(is_wanted=lambda: False, most_s=EVER_S)


def test_gate_falls_with_a_killed_program(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        gate = WinningFirst(path)
        assert gate.window_wait(is_wanted=lambda: True, most_s=0.2) >= 0.2
        other.kill()
        other.wait()

        gate.window_wait(is_wanted=once(), most_s=EVER_S)


def test_proofs_are_made_where_there_can_be_no_gate(tmp_path: Path) -> None:
    gate = WinningFirst(tmp_path / "nowhere" / "gate")

    with gate.winning():
        gate.window_wait(is_wanted=once())
