"""What the supervisor does about processes that cannot be killed: they wait for a disk that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.embedded import children, supervisor
from poolsite.embedded.children import Child, Slot
from poolsite.embedded.supervisor import Supervisor, exit_text, last_line

SUPERVISOR = """
import os, subprocess, sys, time
from pathlib import Path
from poolsite.embedded.supervisor import Supervisor

kill, os.kill = os.kill, lambda *_: None
orphan = subprocess.Popen(["sleep", "600"])
pool = Supervisor([], var=Path(sys.argv[1]), lease=0, report=print)
pool.tick()
print("went on", pool.orphan_pids() == [orphan.pid])
os.kill = kill
for _ in range(200):
    pool.tick()
    if not pool.orphan_pids():
        break
    time.sleep(0.1)
print("left", pool.orphan_pids())
"""
"""A supervisor with one process that is no child of its table, and that no signal ends at first."""


def test_orphan_that_cannot_end_holds_up_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "went on True\nleft []\n"


def test_stop_goes_on_without_what_cannot_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    monkeypatch.setattr(children, "KILL_WAIT_S", 0.1)
    monkeypatch.setattr(supervisor, "KILL_WAIT_S", 0.1)
    monkeypatch.setattr(Supervisor, "orphan_pids", lambda _: [4_194_305])  # above any process id
    monkeypatch.setattr(Supervisor, "orphans_kill", lambda _: None)
    pool = Supervisor([Child(name="prover", argv=[], stop_s=0.1)], var=tmp_path, lease=0, report=said.append)
    hung: Any = SimpleNamespace(pid=1, send_signal=lambda _: None, kill=lambda: None, poll=lambda: None)
    pool.slots[0].process = hung
    pool.stop()
    assert pool.slots[0].process is None
    assert said == ["Still ending, as the kernel cannot kill them yet: 4194305"]


def test_last_line_of_an_earlier_run_is_not_of_this_one(tmp_path: Path) -> None:
    log = tmp_path / "web-1.log"
    log.write_text("Finished server process\n")
    slot = Slot(Child(name="web-1", argv=["true"]))
    slot.start(log_folder=tmp_path, lease=os.open(tmp_path, os.O_RDONLY))
    assert slot.process is not None
    slot.process.wait()

    begin = slot.log_begin
    assert begin is not None
    assert last_line(log, begin=begin) == ""
    with log.open("a") as file:
        file.write("Started server process\n")
    assert last_line(log, begin=begin) == "Started server process"
    log.write_text("cut\n")
    assert last_line(log, begin=begin) == "cut"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (None, "could not be started"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-40, "killed by signal 40"),
    ],
)
def test_every_end_of_a_process_has_a_text(code: int | None, text: str) -> None:
    assert exit_text(code) == text
