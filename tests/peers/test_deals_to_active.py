"""go-libp2p makes deals with a running pool, whose door is killed: each is published once, and sealed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.deal_client import AUTHORIZATION, CLIENT_S, COLLATERAL, Files
from tests.integration.pools import wait_until
from tests.peers.market import Market, files_served
from tests.peers.programs import go_program

pytestmark = pytest.mark.peer

VERIFIED, PLAIN = b"verified data " * 70, b"plain data " * 40
WAITING: Final = """
select 1 from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'deals%%'
"""
PUBLISHED: Final = "select count(*) from messages_message where method = 4 and \"to\" = 'f05'"


@pytest.fixture(scope="module")
def files() -> Iterator[str]:
    with files_served({"/verified": VERIFIED, "/plain": PLAIN}) as url:
        yield url


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
        cursor.execute("lock table market_deal in share mode")
        cut = market.begin(before)
        wait_until(lambda: pool.rows_of(WAITING), within_s=60, what="a proposal that waits to be written")
        market.kill()
    assert market.state(before) == ""
    with ExitStack() as frozen:  # a deal is written, and those who watch are told before the client is
        with pool.database() as link, link.cursor() as cursor:
            cursor.execute("lock table market_deal in share mode")
            late = market.begin(after)
            wait_until(lambda: pool.rows_of(WAITING), within_s=60, what="a proposal that waits to be written")
            frozen.enter_context(pool.frozen("redis"))
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
