"""What the supervisor does about processes that cannot be killed: they wait for a disk that hangs."""

from __future__ import annotations

import select
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from poolsite.embedded import children, supervisor
from poolsite.embedded.children import Child
from poolsite.embedded.supervisor import Supervisor

if TYPE_CHECKING:
    from pathlib import Path

SUPERVISOR = """
import subprocess, sys, time
from pathlib import Path
from poolsite.embedded.supervisor import Supervisor

let_trace = "import ctypes, time; ctypes.CDLL(None).prctl(0x59616D61, -1); print(flush=True); time.sleep(60)"
orphan = subprocess.Popen([sys.executable, "-c", let_trace], stdout=subprocess.PIPE)
orphan.stdout.readline()
print(orphan.pid, flush=True)
sys.stdin.readline()
pool = Supervisor([], var=Path(sys.argv[1]), lease=0, report=print)
pool.tick()
print("went on", flush=True)
sys.stdin.readline()
for _ in range(200):  # it ends a moment after its tracer
    pool.tick()
    if not pool.orphan_pids():
        break
    time.sleep(0.1)
print(pool.orphan_pids())
"""
"""A supervisor with one process that is no child of its table."""

TRACER = """
import ctypes, sys
trace = ctypes.CDLL(None).ptrace
trace.argtypes = [ctypes.c_long] * 4
print(trace(0x4206, int(sys.argv[1]), 0, 0), flush=True)
sys.stdin.readline()
"""
"""Seizes a process and does not reap it: until it ends, nobody else can."""


def program(text: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", text, *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_orphan_that_cannot_end_holds_up_nothing(tmp_path: Path) -> None:
    with program(SUPERVISOR, str(tmp_path)) as pool:
        assert pool.stdout
        with program(TRACER, pool.stdout.readline().strip()) as tracer:
            assert tracer.stdout
            if tracer.stdout.readline() != "0\n":
                tracer.kill()
                pool.kill()
                pytest.skip("processes may not be traced here")
            say(pool)
            is_free, _, _ = select.select([pool.stdout], [], [], 20)
            tracer.kill()
        say(pool)
        assert is_free
        assert pool.stdout.read() == "went on\n[]\n"


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
