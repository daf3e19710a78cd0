"""venus-wallet itself at our hub: registers its keys, signs for our messages, comes back."""

from __future__ import annotations

import json
import subprocess
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

import pytest

from tests.integration.pools import port_free, wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.programs import NoSource, Peer, go_source
from tests.peers.questions import transfer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.pool import RunningPool

pytestmark = pytest.mark.peer

REPOSITORY: Final = "https://github.com/filecoin-project/venus-wallet"
PASSWORD: Final = "a wallet's password"
CONFIG: Final = """
[API]
ListenAddress = "/ip4/127.0.0.1/tcp/{port}/http"
[Factor]
ScryptN = 1024
ScryptP = 1
"""
"""A port of its own, and quick keys; the rest it fills in itself."""
FUND: Final = 10**18


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return go_source(REPOSITORY, tag="v1.20.0", package="./cmd/wallet")
    except NoSource as error:
        pytest.skip(str(error))


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
        """Give a command to the running wallet."""
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
def started(program: Path, pool: RunningPool, tenant: str, tmp_path: Path) -> Iterator[Any]:
    """Start it for the tenant; a second start uses the same repo."""
    running: list[VenusWallet] = []
    hub = ["--gateway-api", f"/ip4/127.0.0.1/tcp/{pool.port}"]
    account = ["--gateway-token", token_of(pool, tenant), "--support-accounts", tenant]
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "config.toml").write_text(CONFIG.format(port=port_free()))

    def start() -> VenusWallet:
        running.append(VenusWallet(program, repo, [*hub, *account]))
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
    """Give the sender money, and have a message of it land."""
    funding = {**transfer(worker), "To": sender, "Value": str(FUND)}
    pool.rpc("Message.WaitMessage", pool.rpc("Message.PushMessage", funding, None)["result"], 0)
    token = token_of(pool, tenant)
    pushed = pool.rpc("Message.PushMessage", transfer(sender), None, token=token)
    landed: dict[str, Any] = pool.rpc("Message.WaitMessage", pushed["result"], 0, token=token)["result"]
    return landed
