"""lotus-miner itself with the pool as its node, on a real chain: from the pledge to an active sector.

It seals and makes the Groth16 proof; the pool signs, sends and finds its messages, and proves the window by a
prover of the tenant's own that reads lotus-miner's files where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.chain import COMMIT_METHODS, POST_METHOD, PRECOMMIT_METHODS
from tests.acceptance.pool import RunningPool
from tests.acceptance.roles import Machine
from tests.integration.pools import wait_until
from tests.peers.conftest import token_of
from tests.peers.farm import VERSION, Farm
from tests.peers.programs import built_program
from tests.real_chain.daemon import PROGRAMS_VARIABLE
from tests.real_chain.node import STEP_S, Hurry, RealNode
from tests.real_chain.steps import SECTOR_BYTES, dispute_fails, landed

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

WEB: Final = ("web-1", "web-2")
"""The console's processes."""
PRECOMMIT: Final = min(PRECOMMIT_METHODS)
COMMIT: Final = min(COMMIT_METHODS)


@pytest.fixture(scope="module")
def begin(node: RealNode) -> int:
    """The height of the chain before the tenant's keys had FIL."""
    return node.height()


@pytest.fixture(scope="module")
def farm(pool: RunningPool, begin: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A tenant with a signer and a lotus-miner, whose miner the pool proves from its creation on."""
    shows = "a sector that it seals with the pool as its node becomes active, its window proven by the pool"
    program = built_program("lotus-miner", version=VERSION, shows=shows, variable=PROGRAMS_VARIABLE)
    folder = tmp_path_factory.mktemp("farm")
    with ExitStack() as running:
        made = Farm.made(pool, program, folder, running=running)
        assert created(pool) == {made.miner}, "the console names what a program created"
        wish = {"name": "farm", "address": made.miner, "tenant": made.tenant, "proven_by": "pool"}
        answer = pool.ask("POST", "/api/v1/miners", json=wish)
        assert answer.status_code == 201, answer.text
        assert created(pool) == set()
        yield made


def created(pool: RunningPool) -> set[str]:
    """Return the miners that the check of created miners names."""
    [check] = [row for row in pool.read("/api/v1/checks")["checks"] if row["name"] == "miners_created"]
    return {finding["key"].removeprefix("created-") for finding in check["findings"]}


@pytest.fixture(scope="module")
def sealed(farm: Farm, node: RealNode) -> int:
    """The number of a sector that it has sealed and committed, whatever was replaced and killed meanwhile."""
    pool, program = farm.pool, farm.program
    with node.halted():
        number = farm.pledge()
        farm.wait_state(number, "PreCommitBatchWait")
        given = program.call("SectorsStatus", number, False)["PreCommitMsg"]
        [row] = farm.messages(PRECOMMIT)
        assert (row["state"], row["cid"]) == ("FILLED", given["/"])
        replaced = pool.ask("POST", f"/api/v1/messages/{row['id']}/replace", json={}, token=farm.token)
        assert replaced.status_code == 200, replaced.text
        assert searched(farm, given) is None, "neither of them has landed"
    farm.wait_state(number, "WaitSeed", "Committing")
    [row] = farm.messages(PRECOMMIT)
    assert (row["state"], row["receipt"]["exit_code"]) == ("LANDED", 0)
    assert row["cid"] != given["/"], "what landed is the replacement"
    assert searched(farm, given)["Message"]["/"] == row["cid"]

    program.kill()
    program.start()
    farm.wait_state(number, "Committing")
    for name in WEB:
        pool.kill(name)
    with node.halted():
        farm.wait_state(number, "CommitAggregateWait", "CommitWait")
        program.kill()
        program.start()
    farm.wait_state(number, "Proving")
    return number


def searched(farm: Farm, cid: dict[str, str]) -> Any:
    """Return what the pool finds for a message's CID."""
    return farm.pool.rpc("Filecoin.StateSearchMsg", [], cid, -1, True, token=farm.token)["result"]


def test_a_sector_that_it_seals_is_committed_once(
    sealed: int, farm: Farm, node: RealNode, begin: int
) -> None:
    for method in (PRECOMMIT, COMMIT):
        [row] = farm.messages(method)
        assert (row["state"], row["to"], row["receipt"]["exit_code"]) == ("LANDED", farm.miner, 0)
        print(f"method {method}: epoch {row['height']}, {row['receipt']['gas_used']:,} gas")
    on_chain = node.executed(since=begin)
    sent = [row for row in on_chain if row.to == farm.miner and row.method in (PRECOMMIT, COMMIT)]
    assert [(row.method, row.exit_code) for row in sent] == [(PRECOMMIT, 0), (COMMIT, 0)]
    assert node.sectors(farm.miner) == {sealed}
    nonces = [row.nonce for row in on_chain if row.sender == sent[0].sender]
    assert nonces == list(range(len(nonces)))


def test_its_window_is_proven_by_the_pool(
    sealed: int, farm: Farm, pool: RunningPool, node: RealNode, tmp_path: Path
) -> None:
    miner, deadline, partition = farm.miner, *node.place_of(farm.miner, sealed)
    token = tmp_path / "token"
    token.write_text(token_of(pool, farm.tenant, perm="write", scopes=["prover"]))
    prover = Machine(pool, "farm", token, store=farm.store, snark="groth16")
    prover.start()
    try:
        wait_until(lambda: stores(pool, farm), within_s=STEP_S, what=pool.diagnosis)
        adopted(pool, farm, sealed)
        with Hurry(node, miner, deadline):
            pool.wait_active(miner, {sealed}, within_s=STEP_S)
            message = landed(pool, POST_METHOD, miner)
            wait_until(
                lambda: int(node.deadline(miner)["Index"]) != deadline,
                within_s=STEP_S,
                what="the window's close",
            )
            dispute_fails(node, miner, deadline, partition)
    finally:
        prover.kill()
    assert node.raw_power(miner) == SECTOR_BYTES
    print(f"window: epoch {message['height']}, {message['receipt']['gas_used']:,} gas")
    listed = farm.program.run("sectors", "list")
    assert ("Proving" in listed, listed.count("YES")) == (True, 2), "on chain, and active"


def stores(pool: RunningPool, farm: Farm) -> list[dict[str, Any]]:
    """Return the rows of lotus-miner's store, once a prover has named it."""
    rows = pool.read("/api/v1/stores")["results"]
    return [row for row in rows if str(farm.store) in {one["path"] for one in row["attachments"]}]


def adopted(pool: RunningPool, farm: Farm, number: int) -> None:
    """Give the sector a row, with its files where they lie."""
    answer = pool.ask("POST", f"/api/v1/miners/{farm.miner}/adoptions", json={})
    assert answer.status_code == 201, answer.text

    def adoption() -> dict[str, Any]:
        row: dict[str, Any] = pool.read(f"/api/v1/miners/{farm.miner}/adoptions")["results"][0]
        return row

    wait_until(lambda: adoption()["state"] == "DONE", within_s=STEP_S, what=lambda: f"{adoption()}")
    assert (adoption()["written"], adoption()["unplaced"]) == (1, 0), adoption()
    [row] = pool.read(f"/api/v1/sectors?miner={farm.miner}")["results"]
    [store] = stores(pool, farm)
    assert (row["number"], row["state"], row["store"]) == (number, "PROVING", store["name"])


def test_its_command_line_withdraws_from_the_miner(sealed: int, farm: Farm) -> None:
    row = farm.withdraw()

    assert (row["state"], row["receipt"]["exit_code"]) == ("LANDED", 0)
