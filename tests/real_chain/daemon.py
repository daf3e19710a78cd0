"""A lotus daemon with a genesis of its own, as a process that can be killed; see docs/real-chain.md."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import httpx

from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from tests.acceptance.chain import NodeRefused
from tests.integration.pools import wait_until
from tests.real_chain.node import STEP_S, RealNode
from tests.servers import folder_new, port_free, tied_to_us

PROGRAMS_VARIABLE: Final = "REAL_CHAIN_LOTUS"
"""Environment variable: the folder with `lotus` and its -seed, -miner and -shed, built with the tag `2k`."""
PROGRAMS: Final = ("lotus", "lotus-seed", "lotus-miner", "lotus-shed")
MINER: Final = "f01000"
SECTORS: Final = 8
"""Two for each of the first four deadlines."""
EPOCH_S: Final = 4
WINDOW: Final = 60
"""Epochs of a deadline's window."""
FIRST_WINDOW: Final = 658
"""Epoch at which the first deadline of such a genesis' miner opens: its address decides."""
AGE_EPOCHS: Final = FIRST_WINDOW - 210
"""So old is the genesis when the daemon starts: a chain that was halted, 14 minutes before that window."""


class LotusCluster:
    """What a lotus operator has: a daemon, its repository, a miner's sectors, the key of owner and worker."""

    def __init__(self) -> None:
        programs = os.environ.get(PROGRAMS_VARIABLE, "")
        lacking = [name for name in PROGRAMS if not (Path(programs or os.devnull) / name).is_file()]
        assert not lacking, (
            f"{PROGRAMS_VARIABLE} must name a folder of built programs; {', '.join(lacking)} lacking in "
            f"{programs or 'no folder'}: not shown is that a lotus cluster moves into the pool and back"
        )
        assert os.environ.get(FOLDER_VARIABLE), (
            f"{FOLDER_VARIABLE} must name the folder of the pool's and the node's parameters"
        )
        self.programs = Path(programs).absolute()
        self.folder = folder_new()
        self.sectors = self.folder / "storage"
        self.repository, self.miner_repository = self.folder / "node", self.folder / "miner"
        self.port, self.signer_port = port_free(), port_free()
        self.env = os.environ | {
            "LOTUS_PATH": str(self.repository),
            "LOTUS_MINER_PATH": str(self.miner_repository),
            "LOTUS_SKIP_GENESIS_CHECK": "_yes_",
            "TRUST_PARAMS": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.miner: subprocess.Popen[bytes] | None = None

    @property
    def key_file(self) -> Path:
        """The key of owner and worker, as `lotus wallet export` writes it."""
        return self.sectors / f"pre-seal-t{MINER[1:]}.key"

    def __enter__(self) -> Self:
        template, genesis = self.folder / "localnet.json", self.folder / "devgen.car"
        born = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - AGE_EPOCHS * EPOCH_S))
        self._seed("pre-seal", "--sector-size", "2KiB", "--num-sectors", str(SECTORS))
        self._seed("genesis", "new", "--timestamp", born, str(template))
        self._seed("genesis", "add-miner", str(template), str(self.key_file.with_suffix(".json")))
        self.start("--lotus-make-genesis", str(genesis), "--genesis-template", str(template))
        return self

    def __exit__(self, *_: object) -> None:
        self.miner_kill()
        self._forget()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _seed(self, *words: str) -> None:
        command = [str(self.programs / "lotus-seed"), "--sector-dir", str(self.sectors), *words]
        subprocess.run(command, env=self.env, check=True, cwd=self.folder)

    def run(self, *words: str) -> str:
        """Return what one of lotus' programs says."""
        command = [str(self.programs / words[0]), *words[1:]]
        done = subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr[-2000:]}\n{self.log()}"
        return done.stdout

    def miner_init(self) -> None:
        """Make lotus-miner's repository, which knows the sectors; it makes the first blocks while it does."""
        self.run("lotus", "wallet", "import", "--as-default", str(self.key_file))
        self.run(
            *(
                "lotus-miner",
                "init",
                "--genesis-miner",
                f"--actor=t{MINER[1:]}",
                "--sector-size=2KiB",
                "--nosync",
            ),
            f"--pre-sealed-sectors={self.sectors}",
            f"--pre-sealed-metadata={self.key_file.with_suffix('.json')}",
        )

    def miner_start(self) -> None:
        """Start lotus-miner; it proves, and makes blocks."""
        with (self.folder / "miner.log").open("ab") as log:
            self.miner = subprocess.Popen(
                [str(self.programs / "lotus-miner"), "run", "--nosync"],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=tied_to_us(signal.SIGKILL),
            )

    def miner_kill(self) -> None:
        """End it."""
        if self.miner is not None:
            self.miner.kill()
            self.miner.wait()
            self.miner = None

    def start(self, *words: str) -> None:
        """Start the daemon, and wait until it answers."""
        command = [
            str(self.programs / "lotus"),
            "daemon",
            "--api",
            str(self.port),
            "--bootstrap=false",
            *words,
        ]
        with (self.folder / "lotus.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=tied_to_us(signal.SIGKILL),
            )
        wait_until(self.answers, within_s=STEP_S, what=self.log)

    def kill(self) -> None:
        """End the daemon as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def answers(self) -> bool:
        """Return whether its JSON-RPC takes questions; fail with its log if it has ended."""
        assert self.process is None or self.process.poll() is None, self.log()
        try:
            return bool(self.node.call("ChainHead"))
        except (OSError, ValueError, NodeRefused, httpx.HTTPError):
            self._forget()
            return False

    def _forget(self) -> None:
        """Close the connections to a daemon that has ended."""
        if (stale := self.__dict__.pop("node", None)) is not None:
            stale.client.close()

    @cached_property
    def node(self) -> RealNode:
        """The node as its operator asks it."""
        token = (self.repository / "token").read_text(encoding="ascii")
        return RealNode(f"http://127.0.0.1:{self.port}/rpc/v1", token=token)

    def sign_by(self, token: str) -> None:
        """Have the node ask the pool's signer where its own wallet lacks a key, as its operator sets it."""
        file = self.repository / "config.toml"
        backend = f'RemoteBackend = "{token}:http://127.0.0.1:{self.signer_port}"'
        file.write_text(re.sub(r"#RemoteBackend = .*", backend, file.read_text()))
        self.kill()
        self.start()

    def sign_alone(self, key_file: Path) -> None:
        """Have the node sign by its own wallet again, with a key that is imported, as its operator does."""
        file = self.repository / "config.toml"
        file.write_text(re.sub(r"RemoteBackend = .*", '#RemoteBackend = ""', file.read_text()))
        self.kill()
        self.start()
        self.run("lotus", "wallet", "import", str(key_file))

    def log(self) -> str:
        """Return the end of the daemon's log."""
        files = [self.folder / name for name in ("lotus.log", "miner.log")]
        return "\n".join(file.read_text(errors="replace")[-2000:] for file in files if file.exists())
