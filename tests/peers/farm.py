"""A tenant whose lotus-miner has a pool as its node, and whose keys are at a signer of its own."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.amounts import FIL
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.lotus_miner import LotusMiner
from tests.peers.questions import transfer
from tests.peers.signer import RunningSigner

VERSION: Final = "v1.36.2, tag 2k"
FUND: Final = 20 * FIL
GIVEN: Final = FIL
FUNDS_S: Final = 120
SEALED_S: Final = 900
"""For PC1 and PC2 of a sector on a busy machine, ten seconds on a quiet one; a C2 takes minutes."""
WITHDRAWALS: Final = """
[[rule]]
name = "withdrawals of {miner}"
methods = ["miner.WithdrawBalance"]
to = ["{miner}"]
value_max = "10 FIL"
fee_max = "1 FIL"
premium_max = "0.1 FIL"
"""


@dataclass(frozen=True, slots=True)
class Farm:
    """A tenant with a signer and a lotus-miner of its own."""

    tenant: str
    token: str
    signer: RunningSigner
    program: LotusMiner
    store: Path
    """Where its lotus-miner keeps what it seals."""
    pool: RunningPool

    @classmethod
    def made(cls, pool: RunningPool, program: Path, folder: Path, *, running: ExitStack) -> Self:
        """Return one whose miner is created and allowed, and whose lotus-miner runs."""
        tenant = tenant_new(pool, f"lotus-{uuid.uuid4().hex[:8]}")
        token = token_of(pool, tenant)
        hub = f"ws://127.0.0.1:{pool.port}/rpc/v1"
        signer = running.enter_context(RunningSigner(folder / "signer", hub=hub, token=token))
        signer.logged("gateway_connected")
        for key in ("owner", "worker"):
            funds_send(pool, signer.keys[key])
        lotus_miner = LotusMiner(program, folder, pool=pool, token=token)
        lotus_miner.init(owner=signer.keys["owner"], worker=signer.keys["worker"])
        running.enter_context(lotus_miner)
        signer.run("policy", "--miner", lotus_miner.miner, "--by", "test")
        store = folder / "store"
        store.mkdir()
        lotus_miner.run("storage", "attach", "--init", "--seal", "--store", str(store))
        return cls(tenant, token, signer, lotus_miner, store, pool)

    @property
    def miner(self) -> str:
        """Its miner's address."""
        return self.program.miner

    def messages(self, method: int) -> list[dict[str, Any]]:
        """The tenant's messages of a method, the newest first."""
        answer = self.pool.ask("GET", "/api/v1/messages?limit=500", token=self.token)
        return [row for row in answer.json()["results"] if row["method"] == method]

    def pledge(self) -> int:
        """Begin a sector; gives its number."""
        return int(self.program.call("PledgeSector")["Number"])

    def wait_state(self, number: int, *states: str) -> None:
        """Wait until a sector is in one of these states."""
        wait_until(
            lambda: self.program.state(number) in states,
            within_s=SEALED_S,
            what=lambda: f"{states}: {self.program.state(number)}\n{self.program.log()}",
        )

    def withdraw(self) -> dict[str, Any]:
        """Withdraw what was given to the miner before, by lotus-miner's command line; gives the message."""
        policy, wished = self.signer.folder / "policy.toml", self.signer.folder / "wished.toml"
        wished.write_text(policy.read_text() + WITHDRAWALS.format(miner=self.miner))
        self.signer.run("policy", "--take", str(wished), "--by", "test")
        funding = {**transfer(self.signer.keys["worker"]), "To": self.miner, "Value": str(GIVEN)}
        pushed = self.pool.rpc("Message.PushMessage", funding, None, token=self.token)["result"]
        self.pool.rpc("Message.WaitMessage", pushed, 0, token=self.token)

        self.program.run("actor", "withdraw", "1")

        [row] = self.messages(Method.WITHDRAW_BALANCE)
        return row


def funds_send(pool: RunningPool, address: str) -> None:
    """Send an address FIL of the node's own wallet, and wait until it is there."""
    faucet = pool.rpc("Filecoin.WalletDefaultAddress")["result"]
    funding = {**transfer(faucet), "To": address, "Value": str(FUND)}
    assert "result" in pool.rpc("Filecoin.MpoolPushMessage", funding, None)
    wait_until(
        lambda: int(pool.rpc("Filecoin.WalletBalance", address)["result"]) >= FUND,
        within_s=FUNDS_S,
        what=pool.diagnosis,
    )
