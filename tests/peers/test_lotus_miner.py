"""lotus-miner itself, with the pool as its node: it seals, the pool signs and sends what it pushes."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from poolsite.filecoin.amounts import FIL
from tests.acceptance.chain import PRECOMMIT_METHODS
from tests.integration.pools import wait_until
from tests.peers.conftest import tenant_new, token_of
from tests.peers.lotus_miner import LotusMiner
from tests.peers.programs import built_program
from tests.peers.questions import transfer
from tests.peers.signer import RunningSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.acceptance.pool import RunningPool

pytestmark = pytest.mark.peer

FUND: Final = 20 * FIL
GIVEN: Final = FIL
SEALED_S: Final = 900
"""For PC1 and PC2 of a sector on a busy machine; ten seconds on a quiet one."""
WEB: Final = ("web-1", "web-2")
"""The console's processes."""
COMMITTING: Final = ("WaitSeed", "Committing", "CommitFailed", "ComputeProofFailed")
"""States behind a pre-commit that has landed; a proof needs parameters that the devnet need not have."""
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

    token: str
    signer: RunningSigner
    program: LotusMiner
    pool: RunningPool

    @property
    def owner(self) -> str:
        return self.signer.keys["owner"]

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


def funds_send(pool: RunningPool, address: str) -> None:
    """Send an address FIL of the devnet node's own wallet, and wait until it is there."""
    faucet = pool.rpc("Filecoin.WalletDefaultAddress")["result"]
    funding = {**transfer(faucet), "To": address, "Value": str(FUND)}
    assert "result" in pool.rpc("Filecoin.MpoolPushMessage", funding, None)
    wait_until(
        lambda: int(pool.rpc("Filecoin.WalletBalance", address)["result"]) >= FUND,
        within_s=120,
        what=pool.diagnosis,
    )


@pytest.fixture(scope="module")
def lotus_miner() -> Path:
    """lotus-miner itself."""
    shows = "with the pool as its node it creates a miner, seals, pre-commits, withdraws and starts again"
    return built_program("lotus-miner", version="v1.36.2, tag 2k", shows=shows)


@pytest.fixture(scope="module")
def farm(
    lotus_miner: Path, pool: RunningPool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Farm]]:
    """Make a farm whose miner is created and allowed, and whose lotus-miner runs."""
    with ExitStack() as running:

        def make() -> Farm:
            token = token_of(pool, tenant_new(pool, f"lotus-{uuid.uuid4().hex[:8]}"))
            folder = tmp_path_factory.mktemp("farm")
            hub = f"ws://127.0.0.1:{pool.port}/rpc/v1"
            signer = running.enter_context(RunningSigner(folder / "signer", hub=hub, token=token))
            signer.logged("gateway_connected")
            for key in ("owner", "worker"):
                funds_send(pool, signer.keys[key])
            program = LotusMiner(lotus_miner, folder, pool=pool, token=token)
            program.init(owner=signer.keys["owner"], worker=signer.keys["worker"])
            running.enter_context(program)
            signer.run("policy", "--miner", program.miner, "--by", "test")
            store = folder / "store"
            store.mkdir()
            program.run("storage", "attach", "--init", "--seal", "--store", str(store))
            return Farm(token, signer, program, pool)

        yield make


@pytest.fixture(scope="module")
def first(farm: Callable[[], Farm]) -> Farm:
    return farm()


def test_its_pre_commit_is_signed_by_the_tenants_signer_and_lands(first: Farm) -> None:
    number = first.pledge()

    first.wait_state(number, *COMMITTING)
    [row] = first.messages(min(PRECOMMIT_METHODS))
    assert (row["state"], row["to"]) == ("LANDED", first.program.miner)
    found = first.pool.rpc("Filecoin.StateSectorPreCommitInfo", first.program.miner, number, None)
    assert found["result"]["Info"]["SectorNumber"] == number


def test_it_is_killed_while_it_waits_and_finds_its_message_again(first: Farm) -> None:
    before = len(first.messages(min(PRECOMMIT_METHODS)))
    number = first.pledge()
    first.wait_state(number, "PreCommitBatchWait")

    first.program.kill()
    first.program.start()

    first.wait_state(number, *COMMITTING)
    assert len(first.messages(min(PRECOMMIT_METHODS))) == before + 1, "no second message for one sector"


def test_the_console_is_killed_while_it_seals_and_pushes(first: Farm) -> None:
    before = len(first.messages(min(PRECOMMIT_METHODS)))
    number = first.pledge()

    for name in WEB:
        first.pool.kill(name)
    first.pool.wait_all_up()

    first.wait_state(number, *COMMITTING)
    assert len(first.messages(min(PRECOMMIT_METHODS))) == before + 1, "pushed again under its id"


def test_its_command_line_withdraws_from_the_miner(first: Farm) -> None:
    miner, signer = first.program.miner, first.signer
    policy = signer.folder / "policy.toml"
    wished = signer.folder / "wished.toml"
    wished.write_text(policy.read_text() + WITHDRAWALS.format(miner=miner))
    signer.run("policy", "--take", str(wished), "--by", "test")
    funding = {**transfer(signer.keys["worker"]), "To": miner, "Value": str(GIVEN)}
    pushed = first.pool.rpc("Message.PushMessage", funding, None, token=first.token)["result"]
    first.pool.rpc("Message.WaitMessage", pushed, 0, token=first.token)

    first.program.run("actor", "withdraw", "1")

    [row] = first.messages(16)
    assert (row["state"], row["from"]) == ("LANDED", first.owner)


def test_miners_of_two_tenants_seal_side_by_side(first: Farm, farm: Callable[[], Farm]) -> None:
    second = farm()
    farms = (first, second)
    before = [len(one.messages(min(PRECOMMIT_METHODS))) for one in farms]

    numbers = [one.pledge() for one in farms]

    for one, number in zip(farms, numbers, strict=True):
        one.wait_state(number, *COMMITTING)
    after = [len(one.messages(min(PRECOMMIT_METHODS))) for one in farms]
    assert after == [count + 1 for count in before], "each sees its own messages alone"
    assert first.program.miner != second.program.miner
