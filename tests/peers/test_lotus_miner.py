"""lotus-miner itself, with the pool as its node: it seals, the pool signs and sends what it pushes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.chain import PRECOMMIT_METHODS
from tests.acceptance.pool import RunningPool
from tests.peers.farm import VERSION, Farm
from tests.peers.programs import built_program

pytestmark = pytest.mark.peer

WEB: Final = ("web-1", "web-2")
"""The console's processes."""
COMMITTING: Final = ("WaitSeed", "Committing", "CommitFailed", "ComputeProofFailed")
"""States behind a pre-commit that has landed; a proof needs parameters that the devnet need not have."""


@pytest.fixture(scope="module")
def lotus_miner() -> Path:
    """lotus-miner itself."""
    shows = "with the pool as its node it creates a miner, seals, pre-commits, withdraws and starts again"
    return built_program("lotus-miner", version=VERSION, shows=shows)


@pytest.fixture(scope="module")
def farm(
    lotus_miner: Path, pool: RunningPool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Farm]]:
    """Make a farm whose miner is created and allowed, and whose lotus-miner runs."""
    with ExitStack() as running:

        def make() -> Farm:
            return Farm.made(pool, lotus_miner, tmp_path_factory.mktemp("farm"), running=running)

        yield make


@pytest.fixture(scope="module")
def first(farm: Callable[[], Farm]) -> Farm:
    return farm()


def test_its_pre_commit_is_signed_by_the_tenants_signer_and_lands(first: Farm) -> None:
    number = first.pledge()

    first.wait_state(number, *COMMITTING)
    [row] = first.messages(min(PRECOMMIT_METHODS))
    assert (row["state"], row["to"]) == ("LANDED", first.miner)
    found = first.pool.rpc("Filecoin.StateSectorPreCommitInfo", first.miner, number, None)
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
    row = first.withdraw()

    assert (row["state"], row["from"]) == ("LANDED", first.signer.keys["owner"])


def test_miners_of_two_tenants_seal_side_by_side(first: Farm, farm: Callable[[], Farm]) -> None:
    second = farm()
    farms = (first, second)
    before = [len(one.messages(min(PRECOMMIT_METHODS))) for one in farms]

    numbers = [one.pledge() for one in farms]

    for one, number in zip(farms, numbers, strict=True):
        one.wait_state(number, *COMMITTING)
    after = [len(one.messages(min(PRECOMMIT_METHODS))) for one in farms]
    assert after == [count + 1 for count in before], "each sees its own messages alone"
    assert first.miner != second.miner
