"""go-libipni's own code as an indexer: takes our announcement, fetches the whole chain and verifies it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.market.models import Deal, IndexerFetch, MinerDoor
from apps.market.services.advertisements import advertisements_advance, advertisements_sign
from apps.market.services.markets import market_set
from apps.market.states import DealState
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.pieces.services.indexes import index_update
from poolsite.ipld.cids import cid_parts
from poolsite.libp2p.ipni import context_of, multihash_of
from tests import factories, people
from tests.cars import car_of, cid_of
from tests.peers.programs import ANSWER_S, go_program
from tests.servers import port_free
from tests.unit.apps.market.offers import IDENTITY, offer

pytestmark = [pytest.mark.peer, pytest.mark.django_db(transaction=True)]

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "ipni.json"


@pytest.fixture
def indexer(go: None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A program that listens for announcements, and its port."""
    port = port_free()
    with subprocess.Popen(
        [go_program("ipni"), "receive", str(port)], stdout=subprocess.PIPE, text=True
    ) as running:
        yield running, port
        running.kill()


@pytest.fixture
def miner(settings: Any, tmp_path: Path, live_server: Any) -> Miner:
    settings.PIECES_DIR, settings.CONSOLE_URL = (
        str(tmp_path),
        live_server.url.replace("localhost", "127.0.0.1"),
    )
    settings.PIECE_URLS_PRIVATE = True
    row = factories.miner(2001)
    market_set(row, values={"takes_libp2p": True, "serves_data": True}, by=people.principal())
    MinerDoor.objects.create(miner=row, host="a", port=1, peer_id=IDENTITY.text, said_at=clock.now())
    return row


def names(piece: Piece) -> list[bytes]:
    return [multihash_of(one) for one in (piece.piece_cid, piece.piece_cid_v2) if one]


def digest(hashes: list[bytes]) -> str:
    return hashlib.sha256("".join(sorted(one.hex() for one in hashes)).encode()).hexdigest()


def turn() -> None:
    advertisements_advance(now=clock.now())
    advertisements_sign(IDENTITY)


def test_an_indexer_fetches_and_verifies_the_whole_chain(
    miner: Miner, indexer: tuple[subprocess.Popen[str], int], settings: Any
) -> None:
    program, port = indexer
    first = offer(miner)
    turn()
    second = offer(miner)
    plain = offer(miner)
    turn()
    Piece.objects.filter(pk=first.pk).update(state="ENDED")
    Deal.objects.filter(piece=first).update(state=DealState.ENDED)
    turn()
    settings.CONSOLE_URL = settings.CONSOLE_URL.replace("127.0.0.1", "localhost")
    turn()
    market_set(miner, values={"indexers": [f"http://127.0.0.1:{port}"]}, by=people.principal())
    turn()

    assert program.stdout is not None
    told = json.loads(program.stdout.readline())
    assert told["peer"] == IDENTITY.text
    done = subprocess.run(
        [go_program("ipni"), "fetch", told["peer"], told["address"]],
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    head, *rows = map(json.loads, done.stdout.splitlines())
    assert told["cid"] == head["cid"] == rows[0]["cid"]
    assert all(row["own"] and row["provider"] == IDENTITY.text for row in rows)

    moved, removed, *added = rows
    assert moved["addresses"] == [f"/dns/localhost/tcp/{settings.CONSOLE_URL.rpartition(':')[2]}/http"]
    assert (moved["context"], moved["entries"], moved["protocols"]) == ("", 0, [])
    assert (removed["removal"], removed["entries"]) == (True, 0)
    assert removed["context"] == context_of(first.padded_size, first.piece_cid).hex()
    by_context = {row["context"]: row for row in added if row["context"] != removed["context"]}
    assert len(by_context) == 2
    for piece in (second, plain):
        row = by_context[context_of(piece.padded_size, piece.piece_cid).hex()]
        assert row["protocols"] == ["transport-filecoin-piece-http"]
        assert (row["entries"], row["digest"]) == (len(names(piece)), digest(names(piece)))


def test_an_indexer_finds_each_block_of_a_car(
    miner: Miner, indexer: tuple[subprocess.Popen[str], int]
) -> None:
    program, port = indexer
    blocks = [(cid_of(data), data) for data in (number.to_bytes(2, "big") for number in range(40_003))]
    piece = offer(miner, car_of(blocks))
    index_update(piece)
    market_set(miner, values={"indexers": [f"http://127.0.0.1:{port}"]}, by=people.principal())
    turn()
    turn()

    assert program.stdout is not None
    told = json.loads(program.stdout.readline())
    done = subprocess.run(
        [go_program("ipni"), "fetch", told["peer"], told["address"]],
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads(done.stdout.splitlines()[1])
    hashes = [*names(piece), *(cid_parts(cid).multihash for cid, _ in blocks)]
    assert row["protocols"] == ["transport-ipfs-gateway-http", "transport-filecoin-piece-http"]
    assert (row["entries"], row["digest"]) == (len(hashes), digest(hashes))
    assert IndexerFetch.objects.get().hashes == len(hashes)


def test_the_golden_nodes_are_what_the_library_makes(go: None) -> None:
    done = subprocess.run(
        [go_program("ipni"), "golden"], capture_output=True, text=True, timeout=ANSWER_S, check=True
    )

    assert json.loads(done.stdout) == {**json.loads(GOLDEN.read_text()), "step": "golden"}
