"""lotus-wallet itself, to which the pool connects: its keys are proved, sign, and are dropped with it."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import httpx
import pytest

from poolsite.filecoin.amounts import FIL
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.programs import built_program
from tests.peers.questions import transfer
from tests.servers import port_free, tied_to_us

pytestmark = pytest.mark.peer

SHOWN_S: Final = 60
"""The pool lists a wallet's keys every 15 seconds."""
FUND: Final = FIL


class LotusWallet:
    """A lotus-wallet with a repository of its own."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.log_path = program, folder / "log"
        self.env = os.environ | {"WALLET_PATH": str(folder / "repository")}
        self.url = f"http://127.0.0.1:{port_free()}"
        self.token = subprocess.run(
            [program, "get-api-key"], env=self.env, check=True, capture_output=True, text=True
        ).stdout.strip()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it takes calls."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "run", "--offline", "--listen", self.url.removeprefix("http://")],
                env=self.env,
                stdout=log,
                stderr=log,
                preexec_fn=tied_to_us(signal.SIGKILL),
            )
        wait_until(self.answers, within_s=SHOWN_S, what=lambda: self.log_path.read_text(errors="replace"))

    def kill(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def answers(self) -> bool:
        """Return whether it takes calls."""
        try:
            return isinstance(self.call("WalletList"), list)
        except httpx.TransportError:
            return False

    def call(self, method: str, *params: Any) -> Any:
        """Call it with its own key."""
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": list(params)}
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.post(f"{self.url}/rpc/v0", json=body, headers=headers).json()["result"]


@pytest.fixture
def wallet(tmp_path: Path) -> Iterator[LotusWallet]:
    shows = "the pool connects to it, proves its keys and has it sign"
    program = built_program("lotus-wallet", version="v1.36.2, tag 2k", shows=shows)
    with LotusWallet(program, tmp_path) as running:
        yield running


def test_its_keys_are_proved_sign_and_go_with_it(wallet: LotusWallet, pool: RunningPool, worker: str) -> None:
    tenant = tenant_new(pool, f"remote-{uuid.uuid4().hex[:8]}")
    token = token_of(pool, tenant)
    keys = [f"f{wallet.call('WalletNew', kind)[1:]}" for kind in ("secp256k1", "bls")]
    body = {"tenant": tenant, "name": "cold", "url": wallet.url, "token": wallet.token}

    answer = pool.ask("POST", "/api/v1/remote-wallets", json=body)

    assert answer.status_code == 201, answer.text
    assert wallet.token not in answer.text

    def listed() -> list[str]:
        return list(pool.rpc("Filecoin.WalletList", token=token)["result"] or [])

    wait_until(lambda: sorted(listed()) == sorted(keys), within_s=SHOWN_S, what=pool.diagnosis)
    for key in keys:
        funding = {**transfer(worker), "To": key, "Value": str(FUND)}
        pool.rpc("Message.WaitMessage", pool.rpc("Message.PushMessage", funding, None)["result"], 0)
        pushed = pool.rpc("Message.PushMessage", transfer(key), None, token=token)["result"]
        landed = pool.rpc("Message.WaitMessage", pushed, 0, token=token)["result"]
        assert landed["Receipt"]["ExitCode"] == 0

    later = f"f{wallet.call('WalletNew', 'secp256k1')[1:]}"
    wait_until(lambda: later in listed(), within_s=SHOWN_S, what=pool.diagnosis)

    def shown() -> dict[str, Any]:
        [row] = [one for one in pool.read("/api/v1/remote-wallets") if one["tenant"] == tenant]
        return dict(row)

    assert shown()["error"] == ""
    wallet.kill()
    wait_until(lambda: "does not respond" in shown()["error"], within_s=SHOWN_S, what=lambda: str(shown()))
    wallet.start()
    wait_until(lambda: shown()["error"] == "", within_s=SHOWN_S, what=lambda: str(shown()))
    pushed = pool.rpc("Message.PushMessage", transfer(keys[0]), None, token=token)["result"]
    assert pool.rpc("Message.WaitMessage", pushed, 0, token=token)["result"]["Receipt"]["ExitCode"] == 0
