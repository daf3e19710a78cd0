"""Clients' deals with real actors: published, claimed, sealed, read back, and over with their sector.

Two are proposed by go-libp2p and held by the market actor, two by market 2.0: one with an allocation and an
upload, one without.  The node's wallet must hold the key of the verified registry's root.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from apps.market.onchain import settlements_match
from apps.market.rules import ulid_decode
from poolsite.filecoin.actors.market import AddBalanceParams
from poolsite.filecoin.actors.market import Method as MarketMethod
from poolsite.filecoin.actors.market_deals import SettleDealPaymentsParams, SettleDealPaymentsReturn
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.keys import key_to_json
from tests.acceptance.chain import COMMIT_METHODS
from tests.acceptance.pool import RunningPool
from tests.deal_client import COLLATERAL, DealClient, Files
from tests.integration.pools import NO_CERTIFICATES
from tests.mk20 import PATH, Mk20Client, document, sized
from tests.peers.programs import go_program
from tests.real_chain.clients import DAY, TERM_MIN, Client, client_make
from tests.real_chain.node import STEP_S, RealNode
from tests.real_chain.steps import (
    TERMINATIONS,
    Proven,
    change_wait,
    landed,
    miner_make,
    rule_allow,
    sector_first_window,
    sent,
)

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

VERIFIED, PLAIN = b"verified data " * 70, b"plain data " * 40
UPLOADED, ON_DISK = b"claimed data " * 19, b"from a disk " * 20
"""As pieces 1,024, 512, 256 and 256 bytes: one sector."""


class RealDeals(DealClient):
    """A miner and a client on the real chain."""

    start_epochs = 10 * DAY

    def __init__(self, pool: RunningPool, node: RealNode, miner: str) -> None:
        super().__init__(pool, go_program("storage"), miner)
        node.call("WalletImport", key_to_json(self.key))
        self.holder: Client = client_make(node, self.client)
        deposit = int(MarketMethod.ADD_BALANCE)
        for sender, owner in (("", miner), (self.client, self.client)):
            params = to_cbor(AddBalanceParams(address_parse(owner)))
            sent(node, "f05", sender=sender, fil=1, method=deposit, params=params)
        self.market_open()

    def ask(self, method: str, path: str, body: bytes = b"") -> None:
        """Send one request of market 2.0, which must succeed."""
        headers = Mk20Client(key=self.key).header(method, f"{PATH}{path}")
        kind = "application/json" if path == "/deal" else "application/octet-stream"
        answer = httpx.request(
            method,
            f"http://127.0.0.1:{self.pool.port}{PATH}{path}",
            content=body,
            headers=headers | {"Content-Type": kind},
            verify=NO_CERTIFICATES,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text

    def propose_direct(self, data: bytes, **changes: Any) -> dict[str, str]:
        """Propose a deal of market 2.0."""

        wish = document(Mk20Client(key=self.key), SimpleNamespace(address=self.miner), data, **changes)
        self.ask("POST", "/deal", json.dumps(wish).encode())
        return {"UUID": str(ulid_decode(wish["identifier"])), "ULID": wish["identifier"]}


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    """The client's web server."""
    Files.data.update({"/verified": VERIFIED, "/plain": PLAIN})
    Files.is_open.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@dataclass(frozen=True, slots=True)
class Stored:
    """Deals of all kinds whose data are in one proven sector."""

    deals: RealDeals
    published: dict[bytes, dict[str, Any]]
    direct: dict[bytes, dict[str, Any]]
    allocation: int
    sector: Proven

    @property
    def all(self) -> dict[bytes, dict[str, Any]]:
        """Every deal by its data."""
        return self.published | self.direct


@pytest.fixture(scope="module")
def stored(pool: RunningPool, node: RealNode, keys: dict[str, str], files: str) -> Stored:
    """Deals proposed, their data brought as each says, published, sealed and proven in the first window."""
    deals = RealDeals(pool, node, miner_make(pool, keys, "deals"))
    published = {
        VERIFIED: deals.order(VERIFIED, f"{files}/verified", Verified=True),
        PLAIN: deals.order(PLAIN, f"{files}/plain"),
    }
    for order in published.values():
        answer = deals.propose(order)
        assert answer["propose"]["accepted"], answer
    piece = str(sized(UPLOADED).cid)
    allocation = deals.holder.allocate(deals.miner, piece, sized(UPLOADED).padded_size)
    direct = {
        UPLOADED: deals.propose_direct(UPLOADED, allocation_id=allocation, duration=TERM_MIN),
        ON_DISK: deals.propose_direct(ON_DISK, source={"source_offline": {}}),
    }
    deals.ask("PUT", f"/upload/{direct[UPLOADED]['ULID']}", UPLOADED)
    deals.ask("POST", f"/upload/{direct[UPLOADED]['ULID']}")
    raw = {"Content-Type": "application/octet-stream"}
    brought = pool.ask("POST", f"/api/v1/deals/{direct[ON_DISK]['UUID']}/data", content=ON_DISK, headers=raw)
    assert brought.status_code in (200, 201), brought.text
    orders = [*published.values(), *direct.values()]
    deals.wait_state(*orders, state="SEALING", within_s=STEP_S)
    [number] = {pool.read(f"/api/v1/deals/{order['UUID']}")["sector"] for order in orders}
    [row] = pool.read(f"/api/v1/sectors?miner={deals.miner}&number={number}")["results"]
    pool.wait_state(row["uuid"], "PROVING", within_s=STEP_S)
    commit = landed(pool, min(COMMIT_METHODS), deals.miner)
    sector = sector_first_window(pool, node, deals.miner, row["uuid"], commit=commit)
    deals.wait_state(*orders, state="ACTIVE", within_s=STEP_S)
    return Stored(deals, published, direct, allocation, sector)


def test_deals_are_what_both_sides_said_and_their_data_come_back(
    stored: Stored, pool: RunningPool, node: RealNode
) -> None:
    for data, order in stored.published.items():
        number = pool.read(f"/api/v1/deals/{order['UUID']}")["chain_deal"]
        said = node.call("StateMarketStorageDeal", number, None)
        assert said["Proposal"]["PieceCID"]["/"] == order["Piece"]
        assert said["Proposal"]["VerifiedDeal"] == order["Verified"]
        assert said["State"]["SectorNumber"] == stored.sector.number, data
        assert said["State"]["SectorStartEpoch"] > 0
    claims = node.call("StateGetClaims", stored.deals.miner, None)
    assert sorted(claim["Data"]["/"] for claim in claims.values()) == sorted(
        str(sized(data).cid) for data in (VERIFIED, UPLOADED)
    )
    assert str(stored.allocation) in claims
    assert {claim["Sector"] for claim in claims.values()} == {stored.sector.number}
    assert not node.call("StateGetAllocations", stored.deals.holder.id, None)
    assert int(node.call("StateMarketBalance", stored.deals.miner, None)["Locked"]) == 2 * COLLATERAL
    for data in stored.all:
        back = pool.get(f"/piece/{sized(data).cid}")
        assert (back.status_code, back.content) == (200, data)
    answer = stored.deals.propose(stored.published[PLAIN])
    assert answer["status"]["answer"]["DealStatus"]["Status"] == "Complete"


def test_real_market_actor_settles_deals_as_ours_is_asked_to(stored: Stored, node: RealNode) -> None:
    """Before their start nothing is due; parameters and answer are those that the pool writes and reads."""
    rows = [stored.deals.pool.read(f"/api/v1/deals/{order['UUID']}") for order in stored.published.values()]
    numbers = sorted(int(row["chain_deal"]) for row in rows)
    params = to_cbor(SettleDealPaymentsParams(bitfield_of(numbers)))
    method = int(MarketMethod.SETTLE_DEAL_PAYMENTS_EXPORTED)

    receipt = sent(node, "f05", sender=stored.deals.client, fil=0, method=method, params=params)

    answer = from_cbor(SettleDealPaymentsReturn, base64.b64decode(receipt["Return"]))
    settled, refused = settlements_match(answer, numbers)
    assert (list(settled), refused) == (numbers, {})
    assert not any(one.payment or one.completed for one in settled.values())


def test_deals_are_over_with_their_terminated_sector(
    stored: Stored, pool: RunningPool, node: RealNode
) -> None:
    rule_allow(pool, TERMINATIONS.format(miner=stored.deals.miner))

    change_wait(pool, f"/api/v1/sectors/{stored.sector.uuid}/terminate", {}, "TERMINATE_LANDED")

    stored.deals.wait_state(*stored.all.values(), state="ENDED", within_s=STEP_S)
    assert node.raw_power(stored.deals.miner) == 0
    assert int(node.call("StateMarketBalance", stored.deals.miner, None)["Locked"]) == 0
