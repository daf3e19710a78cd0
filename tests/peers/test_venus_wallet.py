"""venus-wallet itself at our hub: registers its keys, signs for our messages, comes back."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import pytest

from poolsite.filecoin.keys import key_import
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.programs import Peer
from tests.peers.questions import transfer
from tests.peers.signer import RunningSigner
from tests.servers import port_free

pytestmark = pytest.mark.peer

PASSWORD: Final = "a wallet's password"
CONFIG: Final = """
[API]
ListenAddress = "/ip4/127.0.0.1/tcp/{port}/http"
[Factor]
ScryptN = 1024
ScryptP = 1
"""
"""A port of its own, and quick keys; the rest it fills in itself."""
REMOTE: Final = """
[API]
ListenAddress = "/ip4/{host}/tcp/{port}/http"
[JWT]
Token = "{token}"
Secret = "00"
"""
FUND: Final = 10**18


class VenusWallet:
    """A running venus-wallet."""

    def __init__(self, program: Path, repo: Path, words: list[str]) -> None:
        self.program, self.repo = program, repo
        self.log_path = repo.with_suffix(f".{uuid.uuid4().hex[:4]}.log")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "--repo", repo, "run", "--password", PASSWORD, *words], stdout=log, stderr=log
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)

    def words(self) -> str:
        """What it logged."""
        return self.log_path.read_text(errors="replace")

    def wait_logged(self, text: str) -> None:
        """Wait for words in its log."""
        wait_until(lambda: text in self.words(), within_s=60, what=lambda: self.words()[-3000:])

    def command(self, *words: str) -> str:
        """Return a command to the running wallet."""
        done = subprocess.run(
            [self.program, "--repo", self.repo, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@pytest.fixture
def tenant(pool: RunningPool) -> str:
    return tenant_new(pool, f"wallet-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def started(venus_wallet: Path, pool: RunningPool, tenant: str, tmp_path: Path) -> Iterator[Any]:
    """Start it for the tenant; a second start uses the same repo."""
    running: list[VenusWallet] = []
    hub = ["--gateway-api", f"/ip4/127.0.0.1/tcp/{pool.port}"]
    account = ["--gateway-token", token_of(pool, tenant), "--support-accounts", tenant]
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "config.toml").write_text(CONFIG.format(port=port_free()))

    def start() -> VenusWallet:
        running.append(VenusWallet(venus_wallet, repo, [*hub, *account]))
        return running[-1]

    yield start
    for wallet in running:
        wallet.__exit__()


@pytest.fixture
def hub(venus: Path, pool: RunningPool, admin: str) -> Iterator[Peer]:
    with Peer([venus, "gateway", f"ws://127.0.0.1:{pool.port}/rpc/v2"], token=admin) as peer:
        yield peer


def test_it_registers_signs_for_our_messages_and_comes_back(started, hub, pool, tenant, worker):
    wallet = started()
    wallet.wait_logged("connect to server success")

    made = [wallet.command("new", kind) for kind in ("secp256k1", "bls")]

    for key in made:
        wait_until(lambda key=key: hub.call("WalletHas", key, [tenant]), within_s=30, what=wallet.words)
    for sender in made:
        landed = message_lands(pool, tenant, sender, worker)
        assert landed["Receipt"]["ExitCode"] == 0
    records = wallet.command("record", "query", "--limit", "10")
    assert records.count("message") >= len(made)

    wallet.__exit__()
    wait_until(lambda: not hub.call("WalletHas", made[0], [tenant]), within_s=30, what="it is gone")
    again = started()
    again.wait_logged("connect to server success")
    assert hub.call("WalletHas", made[0], [tenant]) is True
    shown = hub.call("ListWalletInfoByWallet", tenant)
    assert sorted(shown["ConnectStates"][0]["Addrs"]) == sorted(made), json.dumps(shown)


def message_lands(pool: RunningPool, tenant: str, sender: str, worker: str) -> dict[str, Any]:
    """Return the sender money, and have a message of it land."""
    funding = {**transfer(worker), "To": sender, "Value": str(FUND)}
    pool.rpc("Message.WaitMessage", pool.rpc("Message.PushMessage", funding, None)["result"], 0)
    token = token_of(pool, tenant)
    pushed = pool.rpc("Message.PushMessage", transfer(sender), None, token=token)
    landed: dict[str, Any] = pool.rpc("Message.WaitMessage", pushed["result"], 0, token=token)["result"]
    return landed


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    with RunningSigner(tmp_path_factory.mktemp("ours") / "signer") as running:
        yield running


@pytest.fixture
def remote(venus_wallet: Path, signer: RunningSigner, tmp_path: Path) -> Callable[..., str]:
    """Its command line as the client of our signer."""
    host, _, port = signer.logged(r'(127\.0\.0\.1:\d+)", "event": "listening"').partition(":")
    token = signer.run("token", "admin").encode().hex()
    (tmp_path / "config.toml").write_text(REMOTE.format(host=host, port=port, token=token))

    def give(*words: str, typed: str = "") -> str:
        command = [venus_wallet, "--repo", tmp_path, *words]
        return typed_into(command, typed) if typed else run(command)

    return give


def run(command: list[Any]) -> str:
    """What a command printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def typed_into(command: list[Any], line: str) -> str:
    """What a command printed that asks for a password at a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], [str(word) for word in command])
    said = b""
    with contextlib.suppress(OSError):  # the terminal ends with the child
        while data := os.read(terminal, 4096):
            if not said:
                os.write(terminal, f"{line}\n".encode())
            said += data
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    return said.decode()


def test_its_command_line_drives_our_signer(remote, signer):
    password = (signer.folder / "password").read_text().strip()

    listed = remote("list")

    assert set(signer.keys.values()) <= set(listed.split())
    assert "unlocked" in remote("lock-state")
    made = remote("new", "bls").split()[-1]
    assert made in remote("list")
    exported = remote("export", made, typed=password)
    assert key_import(exported.split()[-1]).type == "bls"
    info = remote("auth", "api-info", "--perm", "read")
    assert "/ip4/127.0.0.1/tcp/" in info
    assert "signer" in remote("log", "list")
    remote("log", "set-level", "info")
    assert "SIGNER" in remote("record", "query", "--limit", "5")
    assert "wallet lock successfully" in remote("lock", typed=password)
    assert "wallet state: locked" in remote("lock-state")
    assert "wallet unlock successfully" in remote("unlock", typed=password)
