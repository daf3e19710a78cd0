"""The signer as a process of its own, with a folder and keys."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import Message
from tests import people
from tests.hub import WebProcess
from tests.servers import SITE, tied_to_us


def workers(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers", "signer", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=SITE, check=False, **options
    )


class SignerProcess:
    """A running signer."""

    def __init__(self, folder: Path, token_file: Path, web: WebProcess) -> None:
        words = ["--dir", folder, "--console", web.ws, "--token-file", token_file, "--listen", "127.0.0.1:0"]
        self.log_path = folder / f"log-{time.monotonic_ns()}"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers", "signer", *map(str, words)],
                stderr=log,
                cwd=SITE,
                preexec_fn=tied_to_us(signal.SIGKILL),
            )

    def logged(self, pattern: str) -> str:
        """Wait for a line of the log."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            found = re.search(pattern, self.log_path.read_text())
            if found:
                return found.group(found.lastindex or 0)
            assert self.process.poll() is None, self.log_path.read_text()
            time.sleep(0.02)
        raise AssertionError(self.log_path.read_text())


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signer's folder as `init` makes it."""
    folder = tmp_path_factory.mktemp("signer") / "signer"
    made = workers("init", "--dir", folder)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def folder(made_once: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(made_once, tmp_path / "signer")


@pytest.fixture
def start(web: WebProcess, folder: Path, tmp_path: Path) -> Iterator[Any]:
    """Start signers with a token of the tenant alice."""
    token_file = tmp_path / "token"
    token_file.write_text(people.token("read", scopes=["signer"]) + "\n")
    running: list[SignerProcess] = []

    def one() -> SignerProcess:
        running.append(SignerProcess(folder, token_file, web))
        return running[-1]

    yield one
    for signer in running:
        with contextlib.suppress(ProcessLookupError):
            signer.process.kill()
        signer.process.wait(60)


def message(sender: str) -> Message:
    fields: dict[str, Any] = {"value": 1, "gas_limit": 10, "gas_fee_cap": 1, "gas_premium": 1, "nonce": 0}
    return Message(to=address_parse("f01234"), from_=address_parse(sender), **fields)
