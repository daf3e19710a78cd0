"""go-libp2p makes deals with a running pool, whose door is killed: each is published once, and sealed."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from poolsite.filecoin.actors.market import AddBalanceParams
from poolsite.filecoin.actors.multisig import ProposeParams
from poolsite.filecoin.actors.verifreg import VerifierParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_to_json
from tests.acceptance.pool import RunningPool
from tests.deal_client import AUTHORIZATION, CLIENT_S, COLLATERAL, DealClient, Files
from tests.integration.pools import wait_until
from tests.peers.programs import go_program

pytestmark = pytest.mark.peer

VERIFIED, PLAIN = b"verified data " * 70, b"plain data " * 40
WAITING: Final = """
select 1 from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'deals%%'
"""
PUBLISHED: Final = "select count(*) from messages_message where method = 4 and \"to\" = 'f05'"


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    Files.data.update({"/verified": VERIFIED, "/plain": PLAIN})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    Files.is_open.set()
    server.shutdown()
    server.server_close()


class Market(DealClient):
    """A miner of the devnet that takes deals over libp2p, and a client with money and data cap."""

    def __init__(self, pool: RunningPool, program: Path) -> None:
        super().__init__(pool, program, pool.wait_miner())
        pool.wait_all_up()
        faucet = str(pool.chain.call("WalletDefaultAddress"))
        pool.chain.call("WalletImport", key_to_json(self.key))
        grant = VerifierParams(address_parse(faucet), 1 << 30)
        by_root = ProposeParams(to=address_parse("f06"), value=0, method=2, params=to_cbor(grant))
        self.send(
            (faucet, self.client, 0, b"", 10 * FIL),
            (faucet, "f05", 2, to_cbor(AddBalanceParams(address_parse(self.miner))), FIL),
            (faucet, "f080", 2, to_cbor(by_root), 0),
        )
        self.send(
            (faucet, "f06", 4, to_cbor(VerifierParams(address_parse(self.client), 1 << 20)), 0),
            (self.client, "f05", 2, to_cbor(AddBalanceParams(address_parse(self.client))), FIL),
        )
        self.market_open()

    def send(self, *messages: tuple[str, str, int, bytes, int]) -> None:
        """Send messages from the node's own wallet, and wait for their receipts."""
        cids = [
            self.pool.chain.call(
                "MpoolPushMessage",
                {
                    **{"Version": 0, "To": to, "From": who, "Value": str(value), "Method": method},
                    **{"Nonce": 0, "GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0"},
                    "Params": base64.b64encode(params).decode(),
                },
                None,
            )["CID"]
            for who, to, method, params, value in messages
        ]
        for cid in cids:
            found: list[Any] = []

            def has_landed(cid: Any = cid, found: list[Any] = found) -> bool:
                found[:] = [self.pool.chain.call("StateSearchMsg", None, cid, -1, True)]
                return found[0] is not None

            wait_until(has_landed, within_s=60, what=f"{messages}")
            assert found[0]["Receipt"]["ExitCode"] == 0, (messages, found)


@pytest.fixture(scope="module")
def market(go: None) -> Iterator[Market]:
    program = go_program("storage")
    with RunningPool(has_tables=True, web_processes=1, PIECE_URLS_PRIVATE="1") as pool:
        yield Market(pool, program)


def test_a_door_killed_while_it_answers_makes_one_deal(market: Market) -> None:
    """Nothing serves the URL: the deals wait for their data until their start."""
    pool, nothing = market.pool, "http://127.0.0.1:9/nothing"
    before, after = (market.order(data * 30, nothing) for data in (b"never there", b"never there either"))
    pieces = [order["Piece"] for order in (before, after)]
    with pool.database() as link, link.cursor() as cursor:
        cursor.execute("select 1 from users_tenant for update")
        cut = market.begin(before)
        wait_until(lambda: pool.rows_of(WAITING), within_s=60, what="a proposal that waits for a row")
        market.kill()
    assert market.state(before) == ""
    with pool.frozen("redis"):  # a deal is written, and those who watch are told before the client is
        late = market.begin(after)
        wait_until(lambda: market.state(after) == "ACCEPTED", within_s=60, what=pool.diagnosis)
        market.kill()
    for client in (cut, late):
        text, _ = client.communicate(timeout=CLIENT_S)
        assert client.returncode != 0, text

    answers = [market.propose(order) for order in (before, before, after)]

    assert [one["propose"]["accepted"] for one in answers] == [True] * 3
    assert market.door() == market.address
    assert [one["status"]["answer"]["DealStatus"]["Status"] for one in answers] == ["Accepted"] * 3
    rows = pool.rows_of("select uuid::text from market_deal where piece_cid = any(%s)", pieces)
    assert sorted(row[0] for row in rows) == sorted(order["UUID"] for order in (before, after))


def test_deals_become_active_and_their_data_come_back(market: Market, files: str) -> None:
    """Each process of the pool is killed on the way: door, tasks, console, signer, follower, hosts, node."""
    pool = market.pool
    verified = market.order(VERIFIED, f"{files}/verified", Verified=True)
    plain = market.order(PLAIN, f"{files}/plain")
    for order in (verified, plain):
        assert market.propose(order)["propose"]["accepted"], order
    market.wait_state(verified, plain, state="TRANSFERRING")
    market.kill()
    pool.kill("tasks-slow")
    assert market.propose(plain)["propose"]["accepted"]
    Files.is_open.set()
    market.wait_state(verified, plain, state="PUBLISHING")
    market.kill()
    for name in ("tasks", "signer", "follower"):
        pool.kill(name)
    market.wait_state(verified, plain, state="SEALING")
    for name in ("sealer", "devnet", "web-1"):
        pool.kill(name)

    market.wait_state(verified, plain, state="ACTIVE")

    assert market.door() == market.address
    for order, data in ((verified, VERIFIED), (plain, PLAIN)):
        row = pool.read(f"/api/v1/deals/{order['UUID']}")
        said = pool.chain.call("StateMarketStorageDeal", row["chain_deal"], None)
        assert said["Proposal"]["PieceCID"]["/"] == order["Piece"]
        assert said["Proposal"]["VerifiedDeal"] == order["Verified"]
        assert said["State"]["SectorStartEpoch"] > 0
        back = pool.get(f"/piece/{order['Piece']}")
        assert (back.status_code, back.content) == (200, data)
    claims = pool.chain.call("StateGetClaims", market.miner, None)
    assert [claim["Data"]["/"] for claim in claims.values()] == [verified["Piece"]]
    assert market.propose(plain)["status"]["answer"]["DealStatus"]["Status"] == "Complete"
    assert set(Files.asked) == {(f"/{name}", AUTHORIZATION) for name in ("verified", "plain")}
    on_chain = pool.chain.call("StateMarketDeals", None).values()
    assert sorted(one["Proposal"]["PieceCID"]["/"] for one in on_chain) == sorted(
        order["Piece"] for order in (verified, plain)
    )
    [[messages]] = pool.rows_of(PUBLISHED)
    assert messages <= 2
    balance = pool.chain.call("StateMarketBalance", market.miner, None)
    assert int(balance["Locked"]) == 2 * COLLATERAL
