"""A lotus cluster moves into the pool, which makes all its blocks, also after its node was killed, and back.

The daemon is lotus' own, with its chain on disk and every proof checked: the WinningPoSt of each block, too.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from poolsite.filecoin.actors.decode import params_encode
from tests.acceptance.chain import POST_METHOD
from tests.acceptance.pool import RunningPool
from tests.integration.pools import SITE, wait_until
from tests.real_chain.daemon import FIRST_WINDOW, MINER, SECTORS, WINDOW, LotusCluster
from tests.real_chain.node import STEP_S
from tests.real_chain.steps import DISPUTE_METHOD, landed, messages, policy_change, pool_on

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

BLOCKS: Final = 10
OLD: Final = {"name": "old", "address": MINER, "proven_by": "other"}
MOVE: Final = f"/api/v1/miners/{MINER}/move"
NUMBER: Final = 99
"""What stands for the highest sector number that lotus-miner gave."""
LEAVES_AT: Final = FIRST_WINDOW + 2 * WINDOW
"""The opening of deadline 2: those of 0 and 1 are the pool's, 2 is lotus-miner's."""
MESSAGES: Final = 30
KILLED_AFTER: Final = 20
"""So many messages are pushed before the node dies, the rest while it is dead."""
PROOF_BYTES: Final = 192
HOSTS: Final = 2
"""A sealer and a prover."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[LotusCluster]:
    """What a lotus operator has before the move."""
    with LotusCluster() as running:
        running.miner_init()
        yield running


@pytest.fixture(scope="module")
def pool(cluster: LotusCluster) -> Iterator[RunningPool]:
    """A pool with an empty var on the cluster's node, which signs by the pool's signer."""
    address = f"127.0.0.1:{cluster.signer_port}"
    with pool_on(cluster.node.text, SIGNER_LISTEN=address) as running:
        yield running


def command(pool: RunningPool, *words: str) -> str:
    """Run one of the pool's programs as its operator does."""
    done = subprocess.run(
        [sys.executable, *words], cwd=SITE, env=pool.env, check=True, capture_output=True, text=True
    )
    return done.stdout


def hosts(pool: RunningPool) -> list[str]:
    """Return the names of the sealer and the prover, once they have registered."""
    return [row["name"] for row in pool.read("/api/v1/workers")["results"]]


@pytest.fixture(scope="module")
def moved(pool: RunningPool, cluster: LotusCluster) -> str:
    """The miner once key, sectors and blocks are the pool's; its worker's address."""
    wait_until((pool.var / "signer.json").exists, within_s=STEP_S, what=pool.diagnosis)
    signer = str(pool.var / "signer")
    command(pool, "-m", "workers", "signer", "import", "--dir", signer, str(cluster.key_file))
    policy_change(pool, "--miner", MINER)
    token = command(pool, "-m", "workers", "signer", "token", "--dir", signer, "sign").strip()
    cluster.run("lotus", "wallet", "delete", cluster.run("lotus", "wallet", "default").strip())
    cluster.sign_by(token)
    pool.wait_all_up()

    answer: Any = None

    def is_imported() -> bool:
        nonlocal answer
        answer = pool.ask("POST", "/api/v1/miners", json=OLD)
        return bool(answer.status_code == 201)

    wait_until(is_imported, within_s=STEP_S, what=lambda: f"{answer.text}\n{pool.diagnosis()}")
    wait_until(lambda: len(hosts(pool)) == HOSTS, within_s=STEP_S, what=pool.diagnosis)
    for host in hosts(pool):
        attached = {"worker_id": host, "path": str(cluster.sectors)}
        assert pool.ask("POST", "/api/v1/stores", json=attached).status_code == 201
    assert answer.json()["works_until"] == 0
    taken_over(pool, cluster)
    return str(answer.json()["worker"])


def steps(pool: RunningPool, way: str) -> dict[str, dict[str, Any]]:
    """Return the steps of the move by their keys."""
    return {step["key"]: step for step in pool.read(f"{MOVE}?way={way}")["steps"]}


def states(pool: RunningPool, way: str, *keys: str) -> set[str]:
    """Return the states of some steps."""
    found = steps(pool, way)
    return {found[key]["state"] for key in keys}


def act(pool: RunningPool, method: str, path: str, body: dict[str, Any]) -> None:
    """Do an act over REST."""
    answer = pool.ask(method, path, json=body)
    assert answer.status_code == 200, answer.text


def taken_over(pool: RunningPool, cluster: LotusCluster) -> None:
    """Set the height once nothing but that is missing; lotus-miner has stopped, so the chain stands still."""
    wait_until(
        lambda: states(pool, "in", "keys", "policy", "funds", "provers", "node") == {"done"},
        within_s=STEP_S,
        what=lambda: f"{steps(pool, 'in')}",
    )
    assert states(pool, "in", "numbers", "rows") == {"to_do"}
    act(pool, "POST", MOVE, {"way": "in", "last_number": NUMBER})
    height = int(cluster.node.call("ChainHead")["Height"]) + 1
    signer = ("--dir", str(pool.var / "signer"), "--by", "test")
    command(pool, "-m", "workers", "signer", "heights", *signer, "--miner", MINER, "--close", str(height - 1))
    act(pool, "POST", MOVE, {"way": "in", "height": height})
    act(pool, "PUT", f"/api/v1/miners/{MINER}/mining", {"on": True})
    assert states(pool, "in", "numbers", "height") == {"done"}


def blocks_of(cluster: LotusCluster, *, above: int) -> list[dict[str, Any]]:
    """Return the blocks of the chain above a height, the newest first."""
    node, found = cluster.node, []
    tipset = node.call("ChainHead")
    while int(tipset["Height"]) > above:
        found += tipset["Blocks"]
        tipset = node.call("ChainGetTipSet", tipset["Blocks"][0]["Parents"])
    return found


def test_a_halted_chain_goes_on_by_blocks_with_our_own_winning_posts(
    moved: str, pool: RunningPool, cluster: LotusCluster
) -> None:
    begin = pool.read(MOVE)["works_from"] - 1
    wait_until(lambda: len(blocks_of(cluster, above=begin)) >= BLOCKS, within_s=STEP_S, what=pool.diagnosis)

    for block in blocks_of(cluster, above=0):
        assert block["Miner"][1:] == MINER[1:]
        [proof] = block["WinPoStProof"]
        assert len(base64.b64decode(proof["ProofBytes"])) == PROOF_BYTES


def test_the_clusters_sectors_are_adopted_where_they_lie(
    moved: str, pool: RunningPool, cluster: LotusCluster
) -> None:
    answer = pool.ask("POST", f"/api/v1/miners/{MINER}/adoptions", json={})
    assert answer.status_code == 201, answer.text

    def adoption() -> dict[str, Any]:
        row: dict[str, Any] = pool.read(f"/api/v1/miners/{MINER}/adoptions")["results"][0]
        return row

    wait_until(lambda: adoption()["state"] == "DONE", within_s=STEP_S, what=lambda: f"{adoption()}")
    rows = pool.read(f"/api/v1/sectors?miner={MINER}")["results"]
    [store] = {row["store"] for row in rows}
    assert len(rows) == SECTORS
    assert {row["state"] for row in rows} == {"PROVING"}
    [found] = [one for one in pool.read("/api/v1/stores")["results"] if one["name"] == store]
    assert {one["path"] for one in found["attachments"]} == {str(cluster.sectors)}


def test_messages_land_once_though_the_node_is_killed(
    moved: str, pool: RunningPool, cluster: LotusCluster
) -> None:
    receiver = pool.read("/api/v1/wallets")["results"][-1]["address"]

    def push(number: int) -> None:
        body = {"from": moved, "to": receiver, "method": 0, "value": str(number)}
        answer = pool.ask("POST", "/api/v1/messages", json=body | {"id": f"kill-{number}"})
        assert answer.status_code == 201, answer.text

    def rows() -> list[dict[str, Any]]:
        return [pool.read(f"/api/v1/messages/kill-{number}") for number in range(MESSAGES)]

    for number in range(KILLED_AFTER):
        push(number)
    cluster.kill()
    for number in range(KILLED_AFTER, MESSAGES):
        push(number)
    cluster.start()

    wait_until(lambda: {row["state"] for row in rows()} == {"LANDED"}, within_s=STEP_S, what=pool.diagnosis)
    assert {row["receipt"]["exit_code"] for row in rows()} == {0}
    nonces = sorted(row["nonce"] for row in rows())
    assert nonces == list(range(nonces[0], nonces[0] + MESSAGES))
    there = [row.cid for row in cluster.node.executed() if row.nonce in nonces and row.method == 0]
    assert sorted(there) == sorted(row["cid"] for row in rows())


def test_the_window_of_sectors_that_lotus_sealed_is_proven(
    moved: str, pool: RunningPool, cluster: LotusCluster
) -> None:
    node = cluster.node
    message = landed(pool, POST_METHOD, MINER)
    deadline = 0
    wait_until(
        lambda: int(node.deadline(MINER)["Index"]) > deadline, within_s=STEP_S, what="the window's close"
    )

    params = params_encode("miner", DISPUTE_METHOD, {"Deadline": deadline, "PoStIndex": 0})
    dispute = {
        "From": moved,
        "To": MINER,
        "Method": DISPUTE_METHOD,
        "Params": base64.b64encode(params).decode(),
        "Value": "0",
        "GasLimit": 10_000_000_000,
        "GasFeeCap": "0",
        "GasPremium": "0",
        "Nonce": 0,
        "Version": 0,
    }
    answer = node.call("StateCall", dispute, None)
    assert "failed to dispute valid post" in answer["Error"], answer
    assert message["receipt"]["exit_code"] == 0
    assert node.faulty(MINER) == set()
    assert states(pool, "in", "rows", "files", "stop", "blocks", "window") == {"done"}


def test_the_pool_stops_at_a_height_and_lotus_miner_proves_the_next_window(
    moved: str, pool: RunningPool, cluster: LotusCluster
) -> None:
    key = cluster.folder / "exported.key"
    act(pool, "POST", MOVE, {"way": "out", "give_numbers": True})
    act(pool, "POST", MOVE, {"way": "out", "height": LEAVES_AT})
    wait_until(
        lambda: states(pool, "out", "height", "proofs", "blocks") == {"done"},
        within_s=STEP_S,
        what=lambda: f"{steps(pool, 'out')}\n{pool.diagnosis()}",
    )
    assert max(block["Height"] for block in blocks_of(cluster, above=0)) < LEAVES_AT

    file = cluster.folder / "f01000.lotus"
    command(pool, "manage.py", "sector_records", "lotus", MINER, "--to", str(file), "--all")
    signer = ("signer", "export", "--dir", str(pool.var / "signer"), moved)
    key.write_text(command(pool, "-m", "workers", *signer))
    cluster.sign_alone(key)
    shed = ("lotus-shed", "--repo", str(cluster.miner_repository), "datastore", "import")
    told = cluster.run(*shed, "--repo-type", "StorageMiner", "--really-do-it", "/metadata", str(file))
    assert f'importing: "/sectors/{SECTORS - 1}"' in told
    cluster.miner_start()

    wait_until(lambda: "Next free" in numbers_of(cluster), within_s=STEP_S, what=cluster.log)
    assert f"Next free: {NUMBER + 1}" in numbers_of(cluster)
    listed = cluster.run("lotus-miner", "sectors", "list")
    assert listed.count("Proving") == SECTORS
    wait_until(
        lambda: states(pool, "out", "start", "window") == {"done"},
        within_s=2 * STEP_S,
        what=lambda: f"{steps(pool, 'out')}\n{cluster.log()}",
    )
    assert cluster.node.faulty(MINER) == set()
    posts = messages(pool, POST_METHOD, MINER)
    assert len(posts) == 2, "the pool proved the windows of deadlines 0 and 1, each once"
    newest = blocks_of(cluster, above=LEAVES_AT - 1)
    made = {row["height"] for row in pool.read(f"/api/v1/miners/{MINER}/blocks?limit=500")["results"]}
    assert newest
    assert not made & {block["Height"] for block in newest}


def numbers_of(cluster: LotusCluster) -> str:
    """Return what lotus-miner says of its sector numbers; empty while it does not answer."""
    try:
        return cluster.run("lotus-miner", "sectors", "numbers", "info")
    except AssertionError:
        return ""
