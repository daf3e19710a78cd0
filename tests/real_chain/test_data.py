"""Clients' data on a chain with real actors: claimed, snapped up and read back; sectors extended and ended.

The node's wallet must hold the key of the verified registry's root, as a devnet of one's own may.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from apps.miners.due import ESTIMATE_EPOCHS
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.filecoin.pledge import fault_fee, termination_fee
from poolsite.filecoin.power import Estimate, quality_power
from tests.acceptance.chain import COMMIT_METHODS
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.naive.pieces import data_commitment, staged_sector
from tests.real_chain.clients import DAY, TERM_MIN, Client, client_make
from tests.real_chain.node import STEP_S, Hurry, RealNode
from tests.real_chain.steps import (
    SECTOR_BYTES,
    TERMINATIONS,
    Proven,
    change_wait,
    dispute_fails,
    landed,
    miner_make,
    rule_allow,
    sector_first_window,
    sector_prove,
)

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

LARGE: Final = bytes(number % 251 for number in range(1000))
SMALL: Final = b"small" * 20
LATER: Final = bytes(number % 241 for number in range(1016))
PADDED: Final = 1024
"""Bytes of LARGE and of LATER as pieces."""
SHORT_TERM_MAX: Final = 270 * DAY
"""Of a deal of 180 days on the built-in market; a sector without data lives 540."""
VERIFIED_WEIGHT: Final = 10
"""So many times verified data count."""
BEHIND: Final = 5
"""So many epochs the pool's head may be behind the node's."""


def piece_cid(data: bytes) -> str:
    """Return a piece's commitment as the client computes it."""
    size = 128 * -(-len(data) // 127)  # whole quads of 127 raw bytes
    return str(commd_cid(data_commitment(staged_sector(1 << (size - 1).bit_length(), [data]))))


@pytest.fixture(scope="module")
def client(node: RealNode) -> Client:
    """Somebody to whom a verifier gave data cap."""
    return client_make(node, node.call("WalletNew", "secp256k1"))


@pytest.fixture(scope="module")
def miner(pool: RunningPool, keys: dict[str, str]) -> str:
    """A miner of this file alone."""
    return miner_make(pool, keys, "data")


@pytest.fixture(scope="module")
def filled(pool: RunningPool, node: RealNode, miner: str, client: Client) -> Proven:
    """A sector with a piece of verified data and one of other data, proven in its first window."""
    number = client.allocate(miner, piece_cid(LARGE), PADDED, term_max=SHORT_TERM_MAX)
    add(pool, miner, LARGE, client=client.id, allocation=number)
    add(pool, miner, SMALL)
    answer = pool.ask("POST", f"/api/v1/miners/{miner}/pieces/seal", json={})
    assert answer.status_code == 200, answer.text
    wait_until(lambda: piece(pool, LARGE)["sector"] is not None, within_s=STEP_S, what=pool.diagnosis)
    path = f"/api/v1/sectors?miner={miner}&number={piece(pool, LARGE)['sector']}"
    [row] = pool.read(path)["results"]
    pool.wait_state(row["uuid"], "PROVING", within_s=STEP_S)
    commit = landed(pool, min(COMMIT_METHODS), miner)
    return sector_first_window(pool, node, miner, row["uuid"], commit=commit)


@pytest.fixture(scope="module")
def snapped(pool: RunningPool, node: RealNode, miner: str, client: Client, filled: Proven) -> Proven:
    """A proven sector of zeros into which verified data were put."""
    proven = sector_prove(pool, node, miner, beside=filled.deadline)
    number = client.allocate(miner, piece_cid(LATER), PADDED)
    add(pool, miner, LATER, client=client.id, allocation=number, purpose="snap-up")
    path = f"/api/v1/sectors/{proven.uuid}/snap-up"
    price: Any = None

    def is_priced() -> bool:
        nonlocal price
        price = pool.ask("POST", f"{path}?dry_run=true", json={})
        return bool(price.status_code == 200)

    wait_until(is_priced, within_s=STEP_S, what=lambda: f"{price.text}\n{pool.diagnosis()}")
    assert price.json()["pieces"] == [piece_cid(LATER)]
    assert price.json()["verified_bytes"] == PADDED

    assert pool.ask("POST", path, json={}).status_code == 201
    with Hurry(node, miner, proven.deadline, filled.deadline):
        run_wait(pool, proven.uuid, "UPDATE_LANDED", "UPDATE_FINAL", "SNAPPED")
    return proven


def run_wait(pool: RunningPool, uuid: str, *states: str) -> None:
    """Wait until the newest run over a sector is in one of these states."""

    def state() -> str:
        return str(pool.read(f"/api/v1/sectors/{uuid}/runs")["results"][0]["state"])

    wait_until(lambda: state() in states, within_s=STEP_S, what=lambda: f"{state()}\n{pool.diagnosis()}")


def add(pool: RunningPool, miner: str, data: bytes, **terms: Any) -> None:
    """Send a piece as a client does."""
    query = "&".join(f"{name}={value}" for name, value in terms.items())
    raw = {"Content-Type": "application/octet-stream", "Piece-Cid": piece_cid(data)}
    answer = pool.ask("POST", f"/api/v1/miners/{miner}/pieces?{query}", content=data, headers=raw)
    assert answer.status_code == 201, answer.text


def piece(pool: RunningPool, data: bytes) -> dict[str, Any]:
    """Return the row of a piece."""
    row: dict[str, Any] = pool.read(f"/api/v1/pieces/{piece_cid(data)}")
    return row


def come_back(pool: RunningPool, sector: Proven, *contents: bytes) -> None:
    """Have the unsealed copies removed, and the bytes read out of the sealed sector."""
    assert pool.ask("DELETE", f"/api/v1/sectors/{sector.uuid}/unsealed").status_code == 204
    for data in contents:
        path = f"/api/v1/pieces/{piece_cid(data)}/data"
        wait_until(
            lambda path=path: pool.ask("GET", path).status_code == 200, within_s=STEP_S, what=pool.diagnosis
        )
        assert pool.ask("GET", path).content == data


def test_verified_data_are_claimed_count_ten_times_and_come_back(
    filled: Proven, pool: RunningPool, node: RealNode, miner: str, client: Client
) -> None:
    claims = node.call("StateGetClaims", miner, None).values()
    assert [(one["Data"]["/"], one["Sector"]) for one in claims] == [(piece_cid(LARGE), filled.number)]
    assert not node.call("StateGetAllocations", client.id, None)
    info = node.call("StateSectorGetInfo", miner, filled.number, None)
    assert TERM_MIN <= int(info["Expiration"]) - int(info["Activation"]) <= SHORT_TERM_MAX
    power = node.call("StateMinerPower", miner, None)["MinerPower"]
    assert int(power["RawBytePower"]) == SECTOR_BYTES
    assert int(power["QualityAdjPower"]) == SECTOR_BYTES + (VERIFIED_WEIGHT - 1) * PADDED
    with Hurry(node, miner, filled.deadline):
        wait_until(
            lambda: int(node.deadline(miner)["Index"]) != filled.deadline,
            within_s=STEP_S,
            what="the window's close",
        )
        dispute_fails(node, miner, filled.deadline, filled.partition)
    wait_until(lambda: piece(pool, LARGE)["active"], within_s=STEP_S, what=pool.diagnosis)
    come_back(pool, filled, LARGE, SMALL)


def test_data_are_snapped_up_and_the_updated_replica_is_proven(
    snapped: Proven, filled: Proven, pool: RunningPool, node: RealNode, miner: str
) -> None:
    info = node.call("StateSectorGetInfo", miner, snapped.number, None)
    comm_r = bytes.fromhex(pool.sector(snapped.uuid)["comm_r"])
    assert info["SealedCID"]["/"] == str(commr_cid(comm_r)) != info["SectorKeyCID"]["/"]
    claims = node.call("StateGetClaims", miner, None).values()
    assert {one["Data"]["/"] for one in claims} == {piece_cid(LARGE), piece_cid(LATER)}

    with Hurry(node, miner, snapped.deadline, filled.deadline):
        before = window_count(pool, miner)
        run_wait(
            pool, snapped.uuid, "SNAPPED"
        )  # the old replica is removed once no reorganisation can want it
        wait_until(lambda: window_count(pool, miner) > before + 1, within_s=STEP_S, what=pool.diagnosis)
        wait_until(
            lambda: int(node.deadline(miner)["Index"]) not in (snapped.deadline, filled.deadline),
            within_s=STEP_S,
            what="the windows' close",
        )
        dispute_fails(node, miner, snapped.deadline, snapped.partition)
    assert node.faulty(miner) == set()
    come_back(pool, snapped, LATER)


def window_count(pool: RunningPool, miner: str) -> int:
    """Return how many WindowPoSts of a miner have landed."""
    rows = pool.read("/api/v1/messages?state=LANDED&limit=500")["results"]
    return sum(row["method"] == 5 and row["to"] == miner for row in rows)


def test_an_extension_is_what_its_price_said(
    snapped: Proven, pool: RunningPool, node: RealNode, miner: str
) -> None:
    path = f"/api/v1/sectors/{snapped.uuid}/extend"
    before = node.call("StateSectorGetInfo", miner, snapped.number, None)
    wish = {"expiration": int(before["Expiration"]) + 30 * DAY}
    priced = pool.ask("POST", f"{path}?dry_run=true", json=wish)
    assert priced.status_code == 200, priced.text
    [price] = priced.json()["sectors"]
    assert not price["refusal"], price
    assert not priced.json()["signer"], priced.json()

    change_wait(pool, path, wish, "EXTEND_LANDED")

    info = node.call("StateSectorGetInfo", miner, snapped.number, None)
    assert int(info["Expiration"]) == price["expiration"] > int(before["Expiration"])
    assert info["DailyFee"] == price["new_daily_fee"]
    wait_until(
        lambda: pool.sector(snapped.uuid)["expiration"] == price["expiration"],
        within_s=STEP_S,
        what=pool.diagnosis,
    )


def test_a_termination_wants_a_rule_and_costs_what_was_said(
    snapped: Proven, filled: Proven, pool: RunningPool, node: RealNode, miner: str
) -> None:
    path = f"/api/v1/sectors/{snapped.uuid}/terminate"
    priced = pool.ask("POST", f"{path}?dry_run=true", json={})
    assert priced.status_code == 200, priced.text
    assert priced.json()["signer"], "no rule allows it yet"
    rule_allow(pool, TERMINATIONS.format(miner=miner))
    info = node.call("StateSectorGetInfo", miner, snapped.number, None)
    oldest = tipset_at(node, node.height() - ESTIMATE_EPOCHS - BEHIND)
    priced = pool.ask("POST", f"{path}?dry_run=true", json={})
    assert not priced.json()["signer"], priced.json()
    fee, owed = int(priced.json()["fee"]), int(priced.json()["fee_debts"].get(miner, 0))
    newest = node.call("ChainHead")
    assert fee > 0
    bounds = sorted(fee_at(node, info, tipset) for tipset in (oldest, newest))
    assert bounds[0] <= fee <= bounds[1], "by the network's estimates, which the pool reads each few epochs"

    message = change_wait(pool, path, {}, "TERMINATE_LANDED")

    assert snapped.number not in {
        int(row["SectorNumber"]) for row in node.call("StateMinerActiveSectors", miner, None)
    }
    debt = int(node.call("StateReadState", miner, None)["State"]["FeeDebt"])
    paid = burnt_by(node, miner, message["cid"]) + debt
    ended = tipset_of(node, message["cid"])
    print(
        f"termination: {fee} attoFIL said at {newest['Height']}, {paid} paid at {ended['Height']}, "
        f"{message['receipt']['gas_used']:,} gas"
    )
    assert paid == fee_at(node, info, ended), "the same formula, at the epoch of the message"
    assert debt == (owed + paid - fee if owed else 0)
    wait_until(
        lambda: pool.sector(snapped.uuid)["state"] == "TERMINATED", within_s=STEP_S, what=pool.diagnosis
    )
    change_wait(pool, f"/api/v1/sectors/{filled.uuid}/terminate", {}, "TERMINATE_LANDED")
    assert node.raw_power(miner) == 0


def tipset_at(node: RealNode, height: int) -> dict[str, Any]:
    """Return the tipset of a height, or the last one before it."""
    found: dict[str, Any] = node.call("ChainGetTipSetByHeight", height, None)
    return found


def tipset_of(node: RealNode, cid: str) -> dict[str, Any]:
    """Return the tipset that carries a message that has landed."""
    found = node.call("StateSearchMsg", [], {"/": cid}, -1, False)
    child = node.call("ChainGetTipSet", found["TipSet"])
    tipset: dict[str, Any] = node.call("ChainGetTipSet", child["Blocks"][0]["Parents"])
    return tipset


def fee_at(node: RealNode, info: dict[str, Any], tipset: dict[str, Any]) -> int:
    """Return the fee for ending a sector in a tipset: its age, and the network's estimates, change it."""
    reward, power = (
        Estimate(int(found["PositionEstimate"]), int(found["VelocityEstimate"]))
        for actor, name in (("f02", "ThisEpochRewardSmoothed"), ("f04", "ThisEpochQAPowerSmoothed"))
        for found in [node.call("StateReadState", actor, tipset["Cids"])["State"][name]]
    )
    duration = int(info["Expiration"]) - int(info["PowerBaseEpoch"])
    quality = quality_power(SECTOR_BYTES, duration=duration, verified_weight=int(info["VerifiedDealWeight"]))
    return int(
        termination_fee(
            int(info["InitialPledge"]),
            age=int(tipset["Height"]) - int(info["Activation"]),
            sector_fault_fee=fault_fee(reward, power, quality),
        )
    )


def burnt_by(node: RealNode, miner: str, cid: str) -> int:
    """Return attoFIL that the miner's balance lost by a message without a value, as its execution says."""
    replayed = node.call("StateReplay", None, {"/": cid})
    trace = replayed["ExecutionTrace"]
    return sum(
        int(call["Msg"]["Value"])
        for call in calls_of(trace)
        if node.identity(call["Msg"]["From"])[1:] == miner[1:] and call["Msg"]["To"][1:] == "099"
    )


def calls_of(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a call and all below it."""
    return [trace, *(inner for call in trace["Subcalls"] or [] for inner in calls_of(call))]
