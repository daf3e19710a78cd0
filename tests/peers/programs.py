"""Other people's programs that drive our servers: building them, and talking to them line by line."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import queue
import shutil
import subprocess
import threading
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

SITE: Final = Path(__file__).resolve().parent.parent.parent
SOURCES: Final = Path(__file__).resolve().parent
CACHE: Final = Path(os.environ.get("POOLSITE_PEERS") or SITE / "var" / "peers")
"""Where built programs and installed packages are kept."""

BUILD_S: Final = 900
"""The first build of a client compiles some 600 packages: two to four minutes on two busy cores."""

ANSWER_S: Final = 60
"""Longest wait for one answer; most come at once, a message lands after some blocks."""

SOPHON_AUTH: Final = "github.com/ipfs-force-community/sophon-auth/cmd/server"
"""The main package of sophon-auth: server and command line in one."""


PROGRAMS_VARIABLE: Final = "POOLSITE_PEER_PROGRAMS"
"""Environment variable: a folder with built programs that no registry serves, as `make peers PROGRAMS=folder`
sets it."""


class PeerRefused(Exception):
    """What the client library gave as its error."""


def go_program(name: str, package: str = ".") -> Path:
    """Build a program of ours, or one of its module's dependencies; gives its path."""
    target = CACHE / "go" / (name if package == "." else package.split("/")[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE / "building").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["go", "build", "-o", target, package],
            cwd=SOURCES / "go" / name,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return target


def built_program(name: str, *, version: str, shows: str, variable: str = PROGRAMS_VARIABLE) -> Path:
    """Return a program that no registry serves, as somebody built it from its repository.

    Fails where the folder is not named or lacks it, and says what its tests would have shown.
    """
    folder = os.environ.get(variable, "")
    program = Path(folder).absolute() / name
    where = f"{folder} has no {name}" if folder else f"{variable} names no folder with {name}"
    is_there = bool(folder) and program.is_file()
    assert is_there, f"{where} ({version}), which would show that {shows} (docs/peers.md)"
    return program


def node_packages(name: str) -> Path:
    """Install the pinned packages of a folder below `npm`; gives the folder in which its scripts run."""
    source, target = SOURCES / "npm" / name, CACHE / "npm" / name
    target.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"installing-{name}").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (source / "package-lock.json").read_bytes()
        installed = target / "package-lock.json"
        is_there = installed.exists() and installed.read_bytes() == wanted
        for file in source.iterdir():
            shutil.copy(file, target / file.name)
        if not (is_there and (target / "installed").exists()):
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(
                command, cwd=target, capture_output=True, text=True, timeout=BUILD_S, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            (target / "installed").touch()
    return target


def node_begin(folder: Path, script: str, *words: str) -> subprocess.Popen[str]:
    """Start a script of a folder of npm packages."""
    return subprocess.Popen(
        ["node", script, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def node_end(running: subprocess.Popen[str]) -> Any:
    """What a script printed as JSON."""
    try:
        said, complained = running.communicate(timeout=ANSWER_S)
    finally:
        running.kill()
        running.wait(10)
    assert running.returncode == 0, complained
    return json.loads(said)


def python_environment(name: str) -> Path:
    """Make an environment with the pinned packages of a folder below `python`; gives its interpreter."""
    wanted, target = SOURCES / name / "requirements.txt", CACHE / name
    target.parent.mkdir(parents=True, exist_ok=True)
    interpreter, installed = target / "bin" / "python", target / "requirements.txt"
    with (CACHE / f"installing-{name}").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (installed.exists() and installed.read_bytes() == wanted.read_bytes()):
            venv.create(target, with_pip=True, clear=True)
            command: list[str | Path] = [interpreter, "-m", "pip", "install", "-q", "-r", wanted]
            done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            shutil.copy(wanted, installed)
    return interpreter


class Peer:
    """A running program that reads requests on standard input, one JSON object a line."""

    def __init__(self, command: list[str | Path], *, token: str = "", env: Mapping[str, str] = {}) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env, "PEER_TOKEN": token},
        )
        self.numbers = itertools.count(1)
        self.answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self.said: list[str] = []
        self.readers = [
            threading.Thread(target=self.read_answers, daemon=True),
            threading.Thread(target=self.read_words, daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        for reader in self.readers:
            reader.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def read_answers(self) -> None:
        """Hand answers to those who wait for them."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            self.answers[answer["id"]].put(answer)
        for waiting in self.answers.values():
            waiting.put({"error": "the program ended"})

    def read_words(self) -> None:
        """Keep what the program logs."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))

    def words(self) -> str:
        """What the program logged last."""
        return "\n".join(self.said[-30:])

    def begin(self, method: str, *params: Any) -> int:
        """Send a request; gives its number."""
        number = next(self.numbers)
        self.answers[number] = queue.Queue()
        assert self.process.stdin is not None
        request = {"id": number, "method": method, "params": list(params)}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return number

    def end(self, number: int, *, within_s: float = ANSWER_S) -> dict[str, Any]:
        """The next answer to a request.  Raises PeerRefused."""
        try:
            answer = self.answers[number].get(timeout=within_s)
        except queue.Empty:
            raise AssertionError(f"no answer within {within_s} s\n{self.words()}") from None
        if "error" in answer:
            raise PeerRefused(answer["error"])
        return answer

    def call(self, method: str, *params: Any) -> Any:
        """Call a method of the client and wait for what it gives.  Raises PeerRefused."""
        return self.end(self.begin(method, *params)).get("result")

    def cancel(self, number: int) -> None:
        """Cancel the context of a running call."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"cancel": number}) + "\n")
        self.process.stdin.flush()
