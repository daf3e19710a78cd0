"""A market asks for a piece by go-jsonrpc frames: where no storage listens, the pool itself answers."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from apps.api.market_storage import MarketStorage, order_read
from apps.chain.node.addresses import NodeAddress
from apps.core import clock
from apps.pieces.data.files import piece_path
from apps.pieces.services.deliveries import deliveries_send
from apps.users.models import AuditEntry
from apps.users.services.grants import miner_grant
from poolsite.wire.jsonrpc.parameters import BadParam
from tests import factories, people
from tests.piece_store import piece_store
from tests.wire.gateway.dialling import call, dial, in_thread

DATA = bytes(range(100))
CID = factories.piece_cid(7)


@pytest.fixture
def piece(transactional_db: None, settings: Any, tmp_path: Path) -> Any:
    """Data in sector 9 of f02001."""
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path), True
    row = factories.piece(factories.miner(2001, of="alice"), state="ACTIVE", sector_number=9, offset=0)
    miner_grant(tenant=people.tenant("alice"), actor_id=2001)
    piece_path(row).write_bytes(DATA)
    return row


async def test_a_market_gets_the_bytes_it_asks_for(web: Any, piece: Any) -> None:
    token, cid = await in_thread(people.token)("admin"), {"/": piece.piece_cid}
    with piece_store() as store:
        async with dial(web, token) as socket:
            order = ["f02001", cid, 9, 10, 20, f"{store.url}/a"]
            first = await call(socket, "Gateway.SectorsUnsealPiece", *order)
            await in_thread(deliveries_send)(now=clock.now())
            second = await call(socket, "Gateway.SectorsUnsealPiece", *order)
            is_kept = await call(socket, "Gateway.IsUnsealed", "f02001", cid, 9, 0, 128)

    assert (first["result"], second["result"], is_kept["result"]) == ("uploading", "finished", True)
    assert store.puts == [("/a", "", DATA[10:30])]


async def test_clients_of_the_first_version_count_padded_bytes(web: Any, piece: Any) -> None:
    token, cid = await in_thread(people.token)("admin"), {"/": piece.piece_cid}
    ref = {"ID": {"Miner": 2001, "Number": 9}, "ProofType": 5}
    with piece_store() as store:
        async with dial(web, token) as socket:
            asked = await call(socket, "Gateway.SectorsUnsealPiece", "f02001", cid, ref, 0, 128, store.url)
            odd = await call(socket, "Gateway.SectorsUnsealPiece", "f02001", cid, ref, 0, 127, store.url)
            is_kept = await call(socket, "Gateway.IsUnsealed", "f02001", cid, ref, 0, 128)
        await in_thread(deliveries_send)(now=clock.now())

    assert (asked["result"], is_kept["result"]) == ("uploading", True)
    assert odd["error"]["message"] == "127 bytes are not a multiple of 128"
    assert [body for _, _, body in store.puts] == [DATA + bytes(27)]


@pytest.mark.parametrize(
    ("sector", "dest", "words"),
    [
        (8, "http://h", "there is no piece"),
        (9, "file:///etc/passwd", "must be an http://, https:// or market:// destination"),
        (9, "market://s/c", "names no host, and no market is registered"),
        ("9", "http://h", "cannot unmarshal into Go value of type int64"),
        ({"ID": {}}, "http://h", "cannot unmarshal into Go value of type storage.SectorRef"),
    ],
)
async def test_what_cannot_be_sent_is_refused(
    web: Any, piece: Any, sector: Any, dest: str, words: str
) -> None:
    token = await in_thread(people.token)("admin")

    async with dial(web, token) as socket:
        order = ["f02001", {"/": piece.piece_cid}, sector, 0, 127, dest]
        answer = await call(socket, "Gateway.SectorsUnsealPiece", *order)

    assert words in answer["error"]["message"]


async def test_a_foreign_tenant_gets_nothing(web: Any, piece: Any) -> None:
    stranger = await in_thread(people.token)("admin", of="mallory")
    order = ["f02001", {"/": piece.piece_cid}, 9, 0, 127, "http://h"]

    async with dial(web, stranger) as socket:
        answers = [
            await call(socket, "Gateway.SectorsUnsealPiece", *order),
            await call(socket, "Gateway.IsUnsealed", *order[:5]),
        ]

    assert {answer["error"]["message"] for answer in answers} == {
        "miner f02001 not exist in user mallory: permission deny"
    }


async def test_the_pool_is_a_storage_at_another_gateway(web: Any, piece: Any) -> None:
    """The hub stands for somebody else's: its market asks over the channel that our client has opened."""
    admin, ours = await in_thread(people.token)("admin"), await in_thread(people.token)("read")
    address = NodeAddress(http_url=web.url, ws_url=web.ws, token=ours)
    serving = asyncio.create_task(MarketStorage(address, ["f02001"]).run())
    order = ["f02001", {"/": piece.piece_cid}, 9, 10, 20]
    try:
        with piece_store() as store:
            async with dial(web, admin) as socket:
                while not (listed := (await call(socket, "Gateway.ListMarketConnectionsState"))["result"]):
                    await asyncio.sleep(0.05)
                first = await call(socket, "Gateway.SectorsUnsealPiece", *order, f"{store.url}/a")
                await in_thread(deliveries_send)(now=clock.now())
                second = await call(socket, "Gateway.SectorsUnsealPiece", *order, f"{store.url}/a")
                refused = await call(socket, "Gateway.SectorsUnsealPiece", *order, "file:///etc/passwd")
    finally:
        serving.cancel()

    assert [(row["Addr"], row["Conn"]["ConnectionCount"]) for row in listed] == [("f02001", 1)]
    assert (first["result"], second["result"]) == ("uploading", "finished")
    assert store.puts == [("/a", "", DATA[10:30])]
    assert "must be an http://, https:// or market://" in refused["error"]["message"]
    actor = (await in_thread(AuditEntry.objects.filter(action="piece.deliver").get)()).actor
    assert actor == f"market at {web.url}", "it came over the channel"


def payload(**changes: Any) -> str:
    order = {
        "PieceCid": {"/": CID},
        "Miner": "f02001",
        "Sid": 9,
        "Offset": 0,
        "Size": 127,
        "Dest": "http://h",
    }
    return base64.b64encode(json.dumps({**order, **changes}).encode()).decode()


def test_orders_are_read() -> None:
    assert order_read(payload(Miner="t02001"), miner="f02001").piece_cid == CID


@pytest.mark.parametrize(
    "bad",
    [None, "no base64", payload(Miner="f02002"), payload(Sid="9"), payload(PieceCid=None), payload(Dest=1)],
)
def test_what_is_no_order_is_refused(bad: Any) -> None:
    with pytest.raises(BadParam):
        order_read(bad, miner="f02001")
