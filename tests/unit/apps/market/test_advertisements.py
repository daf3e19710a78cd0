"""Advertisements to indexers: made once, signed in order where the key lies, served as signed, announced."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client

from apps.core import clock
from apps.core.errors import BadValue
from apps.market.due import ADVERTISEMENTS
from apps.market.models import (
    AdChain,
    Advertisement,
    Deal,
    EntryChunk,
    IndexerAnswer,
    IndexerFetch,
    MinerDoor,
    MinerMarket,
)
from apps.market.selectors.discovery import discovery_of
from apps.market.services import advertisements
from apps.market.services.advertisements import (
    FETCHES_MAX,
    advertisements_advance,
    advertisements_sign,
    fetch_note,
    heads_send,
    next_try,
)
from apps.market.services.markets import market_set
from apps.market.states import DealState
from apps.miners.models import Miner
from apps.pieces.data.blocks import index_path
from apps.pieces.data.files import piece_path
from apps.pieces.models import BlockIndex, Piece
from apps.pieces.services.indexes import index_renew, index_update, index_verify
from poolsite.filecoin import cbor
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.piece_cids import SizedPiece
from poolsite.ipld.cids import cid_parts
from poolsite.ipld.indexer import hashes_path
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.ipni import NO_ENTRIES, context_of, multihash_of
from tests import factories, people
from tests.cars import blocks_of, golden
from tests.unit.apps.market.offers import IDENTITY, offer

pytestmark = pytest.mark.django_db

NOW = clock.now()
ADDRESS = "/dns/pool.example/tcp/443/https"
CAR = golden("subdir-with-mixed-block-files")


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR, settings.CONSOLE_URL = str(tmp_path), "https://pool.example"
    settings.PIECE_URLS_PRIVATE = True
    row = factories.miner(2001)
    market_set(row, values={"takes_libp2p": True, "serves_data": True}, by=people.principal())
    MinerDoor.objects.create(miner=row, host="a", port=1, peer_id=IDENTITY.text, said_at=NOW)
    return row


class Killed(BaseException):
    """A process that ends here."""


def turn() -> None:
    """Go on with a head, and let the door sign."""
    advertisements_advance(now=clock.now())
    while advertisements_sign(IDENTITY):
        pass


def is_due() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(ADVERTISEMENTS)
        return cursor.fetchone() is not None


def nodes() -> list[dict[str, Any]]:
    """Return the chain as anybody reads it, the first link first."""
    chain = AdChain.objects.get()
    found, at = [], chain.head
    while at:
        body = read(at)
        assert hashlib.sha256(body).digest() == cid_parse(at).digest
        found.append(json.loads(body))
        at = found[-1].get("PreviousID", {}).get("/", "")
    return found[::-1]


def read(name: str, **headers: str) -> bytes:
    answer = Client().get(f"/ipni-provider/{IDENTITY.text}/ipni/v1/ad/{name}", headers=headers)
    assert answer.status_code == 200
    return bytes(answer.content)


def kinds() -> list[str]:
    return list(Advertisement.objects.order_by("number").values_list("kind", flat=True))


def test_a_piece_is_advertised_by_its_piece_cids(miner: Miner) -> None:
    piece = offer(miner)

    turn()

    [node] = nodes()
    assert (node["Provider"], node["Addresses"], node["IsRm"]) == (IDENTITY.text, [ADDRESS], False)
    chunk = cbor.decode(read(node["Entries"]["/"]))
    assert chunk["Entries"] == [multihash_of(one) for one in (piece.piece_cid, piece.piece_cid_v2) if one]
    assert node["Metadata"]["/"]["bytes"] == "sBIA"


def test_a_piece_is_advertised_once_and_removed_when_its_sector_ends(miner: Miner) -> None:
    piece = offer(miner)
    turn()
    turn()
    assert kinds() == ["ADD"]
    Piece.objects.update(state="ENDED")
    Deal.objects.update(state=DealState.ENDED)

    turn()
    turn()

    assert kinds() == ["ADD", "REMOVE"]
    added, removed = nodes()
    assert removed["IsRm"] is True
    assert removed["ContextID"] == added["ContextID"]
    assert removed["Entries"]["/"] == str(NO_ENTRIES)
    assert bytes(context_of(piece.padded_size, piece.piece_cid))
    assert not EntryChunk.objects.exists()  # what was taken back is not kept


def hashes_of(node: dict[str, Any]) -> list[bytes]:
    """Return the multihashes of an advertisement, as an indexer reads them."""
    found, at = [], node["Entries"]["/"]
    while at != str(NO_ENTRIES):
        chunk = cbor.decode(read(at))
        found += chunk["Entries"]
        at = str(chunk.get("Next", NO_ENTRIES))
    return found


def of_blocks(car: bytes) -> list[bytes]:
    return [cid_parts(cid).multihash for cid, _ in blocks_of(car)]


def names(piece: Piece) -> list[bytes]:
    return [multihash_of(one) for one in (piece.piece_cid, piece.piece_cid_v2) if one]


def test_a_car_is_advertised_by_its_blocks(miner: Miner) -> None:
    piece = offer(miner, CAR)
    index_update(piece)
    turn()

    [node] = nodes()
    assert node["Metadata"]["/"]["bytes"] == "oBIAsBIA"
    assert hashes_of(node) == [*names(piece), *of_blocks(CAR)]
    assert discovery_of(miner.market, now=NOW).blocks == len(of_blocks(CAR))

    index_renew(piece, by=people.principal())
    turn()
    index_update(piece)
    turn()
    assert kinds() == ["ADD"]
    assert hashes_of(node) == [*names(piece), *of_blocks(CAR)]
    Piece.objects.update(state="ENDED")
    turn()
    Piece.objects.update(state="ACTIVE")
    turn()
    assert kinds() == ["ADD", "REMOVE", "ADD"]
    assert hashes_of(nodes()[2]) == [*names(piece), *of_blocks(CAR)]


def test_blocks_that_are_indexed_later_are_advertised_then(miner: Miner) -> None:
    piece = offer(miner, CAR)
    turn()
    index_update(piece)
    turn()
    turn()

    first, second = nodes()
    assert kinds() == ["ADD", "ADD"]
    assert first["ContextID"] == second["ContextID"]
    assert (hashes_of(first), len(hashes_of(second))) == (
        names(piece),
        len(names(piece)) + len(of_blocks(CAR)),
    )
    assert discovery_of(miner.market, now=NOW).pieces == 1


def test_blocks_of_a_piece_that_is_damaged_are_taken_back(miner: Miner) -> None:
    piece = offer(miner, CAR)
    index_update(piece)
    turn()
    blocks = cbor.decode(read(nodes()[0]["Entries"]["/"]))["Next"]
    where = f"/ipni-provider/{IDENTITY.text}/ipni/v1/ad/{blocks}"
    listed = hashes_path(index_path(piece))
    whole = listed.read_bytes()
    listed.write_bytes(bytes([whole[0], whole[1], whole[2] ^ 1]) + whole[3:])
    assert Client().get(where).status_code == 503  # not other bytes than its CID says

    index_verify(BlockIndex.objects.get())
    assert BlockIndex.objects.get().is_due
    piece_path(piece).write_bytes(CAR[:-1] + bytes([CAR[-1] ^ 1]))
    index_update(piece)
    turn()

    assert kinds() == ["ADD", "REMOVE", "ADD"]
    assert hashes_of(nodes()[2]) == names(piece)
    assert Client().get(where).status_code == 404


@pytest.mark.parametrize("fault", ["folder away", "file gone", "not readable"])
def test_a_chunk_that_cannot_be_read_now_is_not_said_to_be_gone(
    miner: Miner, fault: str, settings: Any, tmp_path: Path
) -> None:
    piece = offer(miner, CAR)
    index_update(piece)
    turn()
    blocks = cbor.decode(read(nodes()[0]["Entries"]["/"]))["Next"]
    where = f"/ipni-provider/{IDENTITY.text}/ipni/v1/ad/{blocks}"
    listed = hashes_path(index_path(piece))
    whole = listed.read_bytes()
    if fault == "folder away":
        settings.PIECES_DIR = str(tmp_path / "other")
    else:
        listed.unlink()
    if fault == "not readable":
        listed.mkdir()
    answer = Client().get(where)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "300")

    settings.PIECES_DIR = str(tmp_path)
    if fault == "not readable":
        listed.rmdir()
    listed.write_bytes(whole)
    assert Client().get(where).status_code == 200
    BlockIndex.objects.all().delete()
    assert Client().get(where).status_code == 404


def test_an_index_made_anew_with_other_chunks_is_advertised_once_more(miner: Miner) -> None:
    piece = offer(miner, CAR)
    index_update(piece)
    turn()
    Advertisement.objects.update(blocks_entries=factories.piece_cid(7))  # as those of the lost index
    turn()

    assert kinds() == ["ADD", "REMOVE", "ADD"]
    assert hashes_of(nodes()[2]) == [*names(piece), *of_blocks(CAR)]


def test_nobody_elses_chain_has_the_blocks(miner: Miner) -> None:
    index_update(offer(miner, CAR))
    turn()
    blocks = cbor.decode(read(nodes()[0]["Entries"]["/"]))["Next"]
    AdChain.objects.create(miner=factories.miner(2002), peer_id="other")

    assert Client().get(f"/ipni-provider/other/ipni/v1/ad/{blocks}").status_code == 404


@pytest.mark.parametrize(
    "at", ["BlockIndex.objects.update_or_create", "HashChunk.objects.bulk_create", "publish"]
)
def test_a_kill_while_indexing_advertises_no_block_that_is_not_served(miner: Miner, at: str) -> None:
    piece = offer(miner, CAR)
    with patch(f"apps.pieces.services.indexes.{at}", side_effect=Killed), suppress(Killed):
        index_update(piece)
    turn()
    assert hashes_of(nodes()[0]) == names(piece)

    index_update(Piece.objects.get())
    turn()

    assert hashes_of(nodes()[1]) == [*names(piece), *of_blocks(CAR)]


@pytest.mark.parametrize("change", ["unserved", "sealed", "unwished"])
def test_only_what_can_be_retrieved_and_is_wished_is_advertised(miner: Miner, change: str) -> None:
    offer(miner)
    turn()
    if change == "unserved":
        MinerMarket.objects.update(serves_data=False)
    elif change == "sealed":
        Piece.objects.update(has_data=False)
    else:
        Deal.objects.update(is_announced=False)
    turn()
    assert kinds() == ["ADD", "REMOVE"]

    MinerMarket.objects.update(serves_data=True)
    Piece.objects.update(has_data=True)
    Deal.objects.update(is_announced=True)
    turn()
    assert kinds() == ["ADD", "REMOVE", "ADD"]


def test_the_same_data_in_two_sectors_are_advertised_once(miner: Miner) -> None:
    piece = offer(miner)
    other = factories.piece(
        miner, state="ACTIVE", sector_number=1, offset=0, piece_cid=piece.piece_cid, allocation=1, client=2
    )
    piece_path(other).write_bytes(b"no car")
    sized = SizedPiece(cid_parse(piece.piece_cid).digest, 6)
    factories.deal(miner, sized, state=DealState.ACTIVE, piece=other, is_announced=True)
    turn()
    Piece.objects.filter(pk=piece.pk).update(state="ENDED")
    turn()

    assert kinds() == ["ADD"]


def test_another_address_is_advertised(miner: Miner, settings: Any) -> None:
    offer(miner)
    turn()
    settings.CONSOLE_URL = "https://other.example"
    turn()
    turn()

    assert kinds() == ["ADD", "ADDRESSES"]
    last = nodes()[-1]
    assert last["Addresses"] == ["/dns/other.example/tcp/443/https"]
    assert (last["Metadata"]["/"]["bytes"], last["Entries"]["/"]) == ("", str(NO_ENTRIES))


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "https://127.0.0.1", "http://10.1.2.3:8000", "http://[::1]"]
)
def test_no_private_address_is_advertised(miner: Miner, settings: Any, url: str) -> None:
    """A pool that was not told otherwise has the address by which its own machine reaches it."""
    settings.PIECE_URLS_PRIVATE = False
    offer(miner)
    turn()
    settings.CONSOLE_URL = url
    offer(miner, b"another")
    turn()
    assert kinds() == ["ADD"]

    Piece.objects.update(state="ENDED")
    turn()
    assert kinds() == ["ADD", "REMOVE"]
    assert {tuple(node["Addresses"]) for node in nodes()} == {(ADDRESS,)}


def test_what_waits_for_a_later_head_is_counted(miner: Miner) -> None:
    for data in (b"a", b"b", b"c"):
        offer(miner, data)
    market = MinerMarket.objects.select_related("miner").get(miner=miner)
    with patch("apps.market.services.advertisements.A_HEAD", 2):
        turn()
        found = discovery_of(market, now=NOW)
        assert (found.pieces, found.missing) == (2, 1)
        turn()
        found = discovery_of(market, now=NOW)
        assert (found.pieces, found.missing) == (3, 0)
        Piece.objects.update(state="ENDED")
        turn()
        found = discovery_of(market, now=NOW)
        assert (found.pieces, found.missing) == (1, 1)


def test_another_key_begins_another_chain(miner: Miner) -> None:
    offer(miner)
    turn()
    other = Identity.of_seed(bytes([1]) * 32)
    MinerDoor.objects.update(peer_id=other.text)
    turn()
    assert advertisements_sign(other) == 1

    assert AdChain.objects.count() == 2
    assert sorted(AdChain.objects.values_list("length", flat=True)) == [1, 1]
    assert advertisements_sign(IDENTITY) == 0


@pytest.mark.parametrize(
    "name", ["EntryChunk.objects.create", "chunk_make", "head_sign", "advertisement_sign", "publish"]
)
def test_a_kill_anywhere_leaves_one_chain(miner: Miner, name: str) -> None:
    for data in (b"a", b"b", b"c"):
        offer(miner, data)
    calls = 0

    def dies(*_: Any, **__: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2 or name in ("head_sign", "publish"):
            raise Killed
        return real(*_, **__)

    real: Any = advertisements
    for part in name.split("."):
        real = getattr(real, part)
    with patch(f"apps.market.services.advertisements.{name}", dies):
        for _ in range(2):
            with suppress(Killed):
                turn()
    turn()

    rows = list(Advertisement.objects.order_by("number"))
    assert [row.number for row in rows] == [1, 2, 3]
    assert len({row.piece_cid for row in rows}) == 3
    assert [json.loads(bytes(row.body or b"")) for row in rows] == nodes()


def test_the_database_takes_no_fork_and_nothing_twice(miner: Miner) -> None:
    piece = offer(miner)
    turn()
    chain = AdChain.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Advertisement.objects.create(chain=chain, number=1, kind="REMOVE")
    with pytest.raises(IntegrityError), transaction.atomic():
        Advertisement.objects.create(
            chain=chain,
            number=2,
            kind="ADD",
            is_live=True,
            piece_cid=piece.piece_cid,
            padded_size=piece.padded_size,
        )
    Advertisement.objects.create(chain=chain, number=3, kind="ADDRESSES", addresses=[ADDRESS])
    with pytest.raises(RuntimeError, match="does not follow"):
        advertisements_sign(IDENTITY)


class Indexer:
    """Answers announcements, and keeps them."""

    def __init__(self, status: int) -> None:
        self.status, self.bodies = status, list[bytes]()
        parent = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                parent.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(parent.status)
                self.end_headers()
                if parent.status >= 300:
                    self.wfile.write(b"no such provider")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def indexer() -> Iterator[Indexer]:
    found = Indexer(204)
    yield found
    found.close()


def test_indexers_are_told_of_a_new_head_once(miner: Miner, indexer: Indexer) -> None:
    market_set(miner, values={"indexers": [indexer.url]}, by=people.principal())
    offer(miner)
    turn()
    assert indexer.bodies == []
    assert is_due()
    turn()
    assert not is_due()
    turn()

    [body] = indexer.bodies
    link, [address], extra = cbor.decode(body)
    assert (str(link), extra) == (AdChain.objects.get().head, b"")
    assert address.endswith(IDENTITY.peer_id)
    row = IndexerAnswer.objects.get()
    assert (row.url, row.head, row.reason) == (f"{indexer.url}/announce", str(link), "")


def test_an_indexer_that_refuses_is_told_again_later(miner: Miner, indexer: Indexer) -> None:
    market_set(miner, values={"indexers": [indexer.url]}, by=people.principal())
    indexer.status = 403
    offer(miner)
    turn()
    turn()
    turn()

    row = IndexerAnswer.objects.get()
    assert (len(indexer.bodies), row.attempts) == (1, 1)
    assert row.reason == "the destination answered 403 no such provider"
    assert next_try(row) - row.told_at == timedelta(seconds=30)
    indexer.status = 204
    advertisements_advance(now=next_try(row))
    row.refresh_from_db()
    assert (len(indexer.bodies), row.reason, row.attempts) == (2, "", 0)


def test_an_indexer_that_hangs_holds_up_nobody(
    miner: Miner, indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advertisements, "ANSWER_S", 2.0)
    monkeypatch.setattr(advertisements, "SENDING_S", 1.5)
    with ExitStack() as held:
        hanging = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        urls = [f"http://127.0.0.1:{one.getsockname()[1]}" for one in hanging]
        market_set(miner, values={"indexers": [*urls, indexer.url]}, by=people.principal())
        other = factories.miner(2002)
        values = {"takes_libp2p": True, "libp2p_port": 24_002, "serves_data": True}
        market_set(other, values=values, by=people.principal())
        market_set(other, values={"indexers": [urls[0], indexer.url]}, by=people.principal())
        key = Identity.of_seed(bytes([2]) * 32)
        MinerDoor.objects.create(miner=other, host="a", port=1, peer_id=key.text, said_at=NOW)
        offer(miner)
        offer(other)
        turn()
        advertisements_sign(key)
        began = time.monotonic()
        turn()

    assert time.monotonic() - began < 8  # four hang for two seconds each, at once, and four more would
    assert len(indexer.bodies) == 2
    told = IndexerAnswer.objects.filter(reason="")
    assert set(told.values_list("chain__miner", flat=True)) == {miner.pk, other.pk}
    slow = IndexerAnswer.objects.exclude(reason="")
    assert slow.count() == 4  # the other miner's turn at the first has not begun
    assert {str(row.reason) for row in slow} == {"the destination receives too slowly"}


def test_a_broken_chain_keeps_no_other_from_being_announced(miner: Miner, indexer: Indexer) -> None:
    market_set(miner, values={"indexers": [indexer.url]}, by=people.principal())
    offer(miner)
    turn()
    whole = AdChain.objects.get()
    broken = AdChain.objects.create(miner=miner, peer_id="x", head=whole.head, addresses=[])

    heads_send([broken, whole], now=NOW)

    assert len(indexer.bodies) == 1
    assert IndexerAnswer.objects.get().chain == whole


def test_no_private_host_is_told(miner: Miner, indexer: Indexer, settings: Any) -> None:
    settings.PIECE_URLS_PRIVATE = False
    market_set(miner, values={"indexers": [indexer.url]}, by=people.principal())
    offer(miner)
    turn()
    turn()

    assert (indexer.bodies, IndexerAnswer.objects.get().reason) == ([], "its host has no public address")


@pytest.mark.parametrize(
    "url", ["ftp://indexer", "https://user:key@indexer/", "indexer", "https://i/" + "a" * 180]
)
def test_what_is_no_indexer_is_refused(miner: Miner, url: str) -> None:
    with pytest.raises(BadValue) as refusal:
        market_set(miner, values={"indexers": [url]}, by=people.principal())

    assert refusal.value.field == "indexers"
    assert MinerMarket.objects.get().indexers == []


def test_what_is_signed_may_be_kept_forever_and_the_head_may_not(miner: Miner) -> None:
    where = f"/ipni-provider/{IDENTITY.text}/ipni/v1/ad"
    client = Client()
    assert client.get(f"{where}/head").status_code == 404
    AdChain.objects.create(miner=miner, peer_id=IDENTITY.text)
    assert client.get(f"{where}/head").status_code == 204
    offer(miner)
    advertisements_advance(now=NOW)
    unsigned = Advertisement.objects.get()
    assert client.get(f"{where}/head").status_code == 204
    turn()

    chain = AdChain.objects.get()
    head = client.get(f"{where}/head")
    assert json.loads(head.content)["head"]["/"] == chain.head
    assert head["Cache-Control"] == "no-cache"
    for cid in (chain.head, unsigned.entries):
        answer = client.get(f"{where}/{cid}")
        assert (answer["Cache-Control"], answer["ETag"]) == (
            "public, max-age=29030400, immutable",
            f'"{cid}"',
        )
    assert client.get(f"{where}/nonsense").status_code == 400
    assert client.get("/ipni-provider/a%00b/ipni/v1/ad/head").status_code == 404
    assert client.get(f"{where}/{NO_ENTRIES}").status_code == 404
    assert client.post(f"{where}/head").status_code == 405


def test_a_link_costs_the_same_however_long_the_chain(miner: Miner, django_assert_num_queries: Any) -> None:
    offer(miner)
    turn()
    head = AdChain.objects.get().head
    with django_assert_num_queries(7):  # the chain, the link; the reader's row in a savepoint, and whether
        read(head)  # there are too many
    with django_assert_num_queries(5):
        read(head)


def test_who_fetched_what_last_is_kept(miner: Miner) -> None:
    offer(miner)
    turn()
    chain = AdChain.objects.get()
    read("head", **{"User-Agent": "indexer/1"})
    read(chain.head, **{"User-Agent": "indexer/1"})
    read("head", **{"User-Agent": "indexer/1"})
    read(nodes()[0]["Entries"]["/"], **{"User-Agent": "indexer/1"})
    IndexerFetch.objects.exclude(agent="indexer/1").delete()
    [row] = discovery_of(miner.market, now=NOW).fetches
    assert (row.address, row.agent, row.cid, row.hashes) == ("127.0.0.1", "indexer/1", chain.head, 2)

    MinerDoor.objects.update(peer_id="another")  # the chain is served on, and anybody goes on to read it
    for number in range(FETCHES_MAX + 5):
        at = clock.now() + timedelta(hours=1, seconds=number)
        fetch_note(chain, address="192.0.2.1", agent=f"agent {number}", cid="", now=at)
    assert IndexerFetch.objects.count() == FETCHES_MAX
    assert not IndexerFetch.objects.filter(agent="indexer/1").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("unserved", "the miner does not serve its data to anybody"),
        ("loopback", "the console has no address for outside clients: set POOLSITE_URL"),
        ("nameless", "the console has no address for outside clients: set POOLSITE_URL"),
        ("closed", "the miner has no libp2p door, whose key signs: switch it on"),
        ("keyless", "its libp2p door has no key yet"),
        ("shared", "its peer key is that of another miner"),
        ("down", "its libp2p door does not answer, and signs nothing meanwhile"),
    ],
)
def test_it_says_why_nothing_is_advertised(miner: Miner, settings: Any, change: str, reason: str) -> None:
    if change == "unserved":
        MinerMarket.objects.update(serves_data=False)
    elif change == "loopback":
        settings.CONSOLE_URL, settings.PIECE_URLS_PRIVATE = "http://localhost:8000", False
    elif change == "nameless":
        settings.CONSOLE_URL = ""
    elif change == "closed":
        MinerMarket.objects.update(takes_libp2p=False)
    elif change == "keyless":
        MinerDoor.objects.update(peer_id="")
    elif change == "shared":
        AdChain.objects.create(miner=factories.miner(2002), peer_id=IDENTITY.text)
    else:
        offer(miner)
        advertisements_advance(now=NOW)
    later = NOW + timedelta(minutes=5)

    found = discovery_of(MinerMarket.objects.select_related("miner").get(miner=miner), now=later)

    assert found.reason == reason
    assert (found.waiting, found.pieces) == ((1, 1) if change == "down" else (0, 0))
