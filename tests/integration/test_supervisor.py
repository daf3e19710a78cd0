"""The supervisor over small children: order, restarts, back-off, orphans, stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from poolsite.embedded.children import pause_growing, pause_patient
from poolsite.embedded.ownership import is_owned
from poolsite.embedded.supervisor import SLOW_S
from tests.integration.pools import SITE, wait_until

SLEEP = ["sleep", "1000"]


class Small:
    """A small pool in a temporary folder."""

    def __init__(self, var: Path, rows: list[dict[str, Any]], *, hangup: Any = signal.SIG_DFL) -> None:
        self.var = var
        # As whoever starts it has it: these tests may run under nohup, which it inherits.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.small_pool", str(var), json.dumps(rows)],
            cwd=SITE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, hangup),
        )

    def row(self, name: str) -> dict[str, Any]:
        path = self.var / "processes.json"
        rows = json.loads(path.read_text())["processes"] if path.exists() else []
        return next((row for row in rows if row["name"] == name), {"pid": None, "up": False, "restarts": 0})

    def wait_up(self, name: str) -> int:
        wait_until(lambda: self.row(name)["up"], within_s=10, what=f"{name} up")
        return int(self.row(name)["pid"] or 0)

    def end(self) -> str:
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=120)
        return out


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[..., Small]]:
    """Starts small pools; ends them."""
    begun: list[Small] = []

    def start(*rows: dict[str, Any], hangup: Any = signal.SIG_DFL) -> Small:
        begun.append(Small(tmp_path, list(rows), hangup=hangup))
        return begun[-1]

    yield start
    for one in begun:
        if one.process.poll() is None:
            one.end()
        if one.process.stdout is not None:
            one.process.stdout.close()


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_list_of_processes_that_found_no_room_is_written_later(
    small: Callable[..., Small], tmp_path: Path
) -> None:
    obstacle = tmp_path / "processes.new"  # as a full disk does, a folder refuses to be written
    obstacle.mkdir()
    pool = small({"name": "one", "words": SLEEP})
    wait_until((tmp_path / "log" / "one.log").exists, within_s=10, what="one is started")
    time.sleep(0.5)
    assert not pool.row("one")["up"]

    obstacle.rmdir()  # nothing changes any more

    pool.wait_up("one")
    assert pool.end().count("processes.new cannot be written") == 1


def test_a_child_starts_only_when_what_it_needs_is_ready(small: Callable[..., Small]) -> None:
    say = "os.write(int(os.environ['POOLSITE_READY_FD']), b'1')"
    late = f"import os, time; time.sleep(0.5); {say}; time.sleep(1000)"
    pool = small(
        {"name": "second", "words": SLEEP, "after": ["first"]},
        {"name": "first", "words": [sys.executable, "-c", late], "says_ready": True},
    )

    wait_until(lambda: pool.row("first")["pid"], within_s=10, what="first started")
    assert pool.row("second")["pid"] is None
    pool.wait_up("second")
    assert pool.row("first")["up"]


def test_a_child_that_was_named_as_late_is_named_when_it_is_ready(small: Callable[..., Small]) -> None:
    say = "os.write(int(os.environ['POOLSITE_READY_FD']), b'1')"
    late = f"import os, time; time.sleep({SLOW_S + 0.5}); {say}; time.sleep(1000)"
    pool = small({"name": "one", "words": [sys.executable, "-c", late], "says_ready": True})

    pool.wait_up("one")

    said = pool.end()
    assert said.count("one is ready\n") == 1
    assert said.index("one is not ready yet") < said.index("one is ready\n")


def test_a_killed_child_is_restarted_at_once_and_counted(small: Callable[..., Small]) -> None:
    pool = small({"name": "one", "words": SLEEP, "pauses": [0, 100_000]})  # any later than at once is a day
    pid = pool.wait_up("one")

    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pool.row("one")["pid"] not in {pid, None}, within_s=5, what="restart")

    assert pool.row("one")["restarts"] == 1
    [ended_at] = pool.row("one")["exits"]
    assert 0 <= time.time() - ended_at < 60
    pool.wait_up("one")
    assert "one exited (killed by SIGKILL); restarting it\none is ready\n" in pool.end()


def test_restart_backoff_ends_at_15_s_and_postgres_gets_a_minute() -> None:
    assert [pause_growing(count) for count in range(8)] == [0, 0.5, 1, 2, 4, 8, 15, 15]
    assert {pause_patient(count) for count in range(120)} == {0.5}
    assert pause_patient(130) == 15


def test_kill_9_of_the_supervisor_leaves_no_child(small: Callable[..., Small]) -> None:
    pool = small({"name": "one", "words": SLEEP}, {"name": "two", "words": SLEEP, "orphan_signal": 15})
    pids = [pool.wait_up("one"), pool.wait_up("two")]

    pool.process.kill()
    pool.process.wait(60)

    wait_until(lambda: not any(map(is_alive, pids)), within_s=2, what="children gone")
    assert not is_owned(pool.var)


def test_a_grandchild_that_lost_its_parent_is_ended(small: Callable[..., Small], tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    words = ["sh", "-c", f"setsid sleep 1000 & echo $! > {note}; wait"]
    pool = small({"name": "parent", "words": words})
    parent = pool.wait_up("parent")
    wait_until(lambda: note.exists() and note.read_text().strip(), within_s=5, what="grandchild")
    grandchild = int(note.read_text())

    os.kill(parent, signal.SIGKILL)

    wait_until(lambda: not is_alive(grandchild), within_s=3, what="grandchild gone")


def test_a_step_that_can_never_succeed_ends_the_pool_with_its_last_word(small: Callable[..., Small]) -> None:
    pool = small(
        {"name": "server", "words": SLEEP},
        {"name": "step", "words": ["sh", "-c", "echo the key is missing; exit 78"], "once": True},
    )
    server = pool.wait_up("server")

    out, _ = pool.process.communicate(timeout=120)

    assert pool.process.returncode == 1
    assert "step failed permanently: the key is missing" in out
    assert not is_alive(server)


def test_a_step_is_asked_again_until_it_holds(small: Callable[..., Small], tmp_path: Path) -> None:
    note = tmp_path / "note"
    words = ["sh", "-c", f"test -e {note} || {{ touch {note}; exit 1; }}"]
    pool = small(
        {"name": "step", "words": words, "once": True, "tries": 5},
        {"name": "after", "words": SLEEP, "after": ["step"]},
    )

    pool.wait_up("after")

    assert pool.row("step")["restarts"] == 1


def test_a_step_that_keeps_failing_ends_the_pool_after_its_tries(small: Callable[..., Small]) -> None:
    pool = small({"name": "step", "words": ["sh", "-c", "echo no; exit 1"], "once": True, "tries": 2})

    out, _ = pool.process.communicate(timeout=120)

    assert pool.process.returncode == 1
    assert "step failed permanently: no" in out


def test_a_step_that_is_killed_is_asked_again(small: Callable[..., Small], tmp_path: Path) -> None:
    """As by the kernel, for its memory: that says nothing of whether it can succeed."""
    note = tmp_path / "note"
    words = ["sh", "-c", f"echo x >> {note}; test $(wc -l < {note}) -gt 3 || kill -9 $$"]
    pool = small({"name": "step", "words": words, "once": True, "tries": 2})

    pool.wait_up("step")

    assert pool.row("step")["restarts"] == 3


def test_a_program_that_is_missing_is_a_failure_in_its_own_log(small: Callable[..., Small]) -> None:
    pool = small({"name": "ghost", "words": ["/nowhere/ghost"]}, {"name": "one", "words": SLEEP})

    pool.wait_up("one")
    wait_until(lambda: pool.row("ghost")["restarts"] >= 2, within_s=5, what="two failures")

    assert "cannot start ghost" in (pool.var / "log" / "ghost.log").read_text()


def test_a_log_that_cannot_be_opened_now_is_tried_again(small: Callable[..., Small], tmp_path: Path) -> None:
    blocked = tmp_path / "log" / "one.log"
    blocked.mkdir(parents=True)
    pool = small({"name": "one", "words": SLEEP}, {"name": "two", "words": SLEEP})
    pool.wait_up("two")
    wait_until(lambda: pool.row("one")["restarts"] >= 2, within_s=5, what="two failures")

    blocked.rmdir()

    pool.wait_up("one")


def test_a_child_that_ignores_its_stop_signal_is_killed(small: Callable[..., Small]) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
    pool = small({"name": "deaf", "words": [sys.executable, "-c", deaf], "stop_s": 0.5})
    pid = pool.wait_up("deaf")
    wait_until(lambda: b"SIG_IGN" in Path(f"/proc/{pid}/cmdline").read_bytes(), within_s=5, what="exec")

    pool.end()

    assert pool.process.returncode == 0
    assert not is_alive(pid)


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGTERM, signal.SIGHUP))],
)
def test_a_second_signal_of_whatever_kind_kills_what_would_take_its_time(
    small: Callable[..., Small], tmp_path: Path, number: signal.Signals
) -> None:
    note = tmp_path / "asked"
    slow = (
        "import os, signal, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: open({str(note)!r}, 'w').close())\n"
        "os.write(int(os.environ['POOLSITE_READY_FD']), b'1')\n"
        "while True: time.sleep(1)\n"
    )
    row = {"name": "slow", "words": [sys.executable, "-c", slow], "says_ready": True, "stop_s": 1000}
    pool = small(row, {"name": "needs it", "words": SLEEP, "after": ["slow"]})
    pids = [pool.wait_up("slow"), pool.wait_up("needs it")]

    pool.process.send_signal(number)
    wait_until(note.exists, within_s=5, what="slow asked to stop")
    pool.process.send_signal(signal.SIGTERM)
    out, _ = pool.process.communicate(timeout=120)

    assert pool.process.returncode == 0
    assert f"Stopping ({number.name}); repeat to kill the remaining processes" in out
    assert not any(map(is_alive, pids))


def test_under_nohup_a_terminal_that_closes_stops_nothing(small: Callable[..., Small]) -> None:
    pool = small({"name": "one", "words": SLEEP}, hangup=signal.SIG_IGN)
    pid = pool.wait_up("one")

    pool.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)

    assert is_alive(pid)
    assert "Stopping (SIGINT)" in pool.end()


TELL = (
    "import os, signal, sys, time\n"
    "def stop(*_):\n"
    "    time.sleep(float(sys.argv[2])); open(sys.argv[3], 'a').write(sys.argv[1]); sys.exit()\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "os.write(int(os.environ['POOLSITE_READY_FD']), b'1')\n"
    "while True: time.sleep(1)\n"
)
"""Writes its letter when it is stopped, after a pause."""
MEET = (
    "import glob, os, signal, sys, time\n"
    "def stop(*_):\n"
    "    open(sys.argv[2] + sys.argv[1], 'w').close()\n"
    "    while len(glob.glob(sys.argv[2] + '?')) < 4: time.sleep(0.02)\n"
    "    open(sys.argv[2], 'a').write(sys.argv[1]); sys.exit()\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "os.write(int(os.environ['POOLSITE_READY_FD']), b'1')\n"
    "while True: time.sleep(1)\n"
)
"""Writes its letter when it and three others are being stopped."""


def test_what_others_need_is_stopped_after_them(small: Callable[..., Small], tmp_path: Path) -> None:
    note = tmp_path / "order"
    words = [sys.executable, "-c", TELL]
    pool = small(
        {"name": "base", "words": [*words, "a", "0", str(note)], "says_ready": True},
        {"name": "step", "words": ["true"], "after": ["base"], "once": True},
        {"name": "top", "words": [*words, "b", "0.3", str(note)], "after": ["step"], "says_ready": True},
    )
    pool.wait_up("top")

    pool.end()

    assert note.read_text() == "ba"


def test_neighbours_are_stopped_together(small: Callable[..., Small], tmp_path: Path) -> None:
    note = tmp_path / "order"
    words = [sys.executable, "-c", MEET]
    how = {"says_ready": True, "stop_s": 60}
    rows = [{"name": name, "words": [*words, name, str(note)], **how} for name in "abcd"]
    pool = small(*rows)
    for name in "abcd":
        pool.wait_up(name)

    pool.end()

    assert sorted(note.read_text()) == ["a", "b", "c", "d"], "each waited until all were asked to stop"


def test_a_second_supervisor_in_the_same_folder_is_refused(small: Callable[..., Small]) -> None:
    pool = small({"name": "one", "words": SLEEP})
    pool.wait_up("one")

    second = small({"name": "one", "words": SLEEP})
    out, _ = second.process.communicate(timeout=120)

    assert "a pool is already running in" in out
    assert pool.row("one")["up"]
