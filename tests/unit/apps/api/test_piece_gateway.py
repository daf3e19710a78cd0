"""Retrieval by piece CID: who gets which bytes, in ranges, and how many at a time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.test import Client

from apps.api.piece_gateway import ANSWERS_MAX, ANSWERS_PER_ADDRESS, SLOTS
from apps.core import clock
from apps.core.metrics import RETRIEVALS, RETRIEVED_BYTES
from apps.core.streams import Throttle
from apps.market.models import MinerMarket
from apps.market.services.markets import market_set
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.services.retrieval_counts import Retrieved, retrieved_list
from apps.sectors.models import Job, Worker
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

DATA = bytes(range(100))


@pytest.fixture
def piece(settings: Any, tmp_path: Path) -> Piece:
    settings.PIECES_DIR = str(tmp_path)
    row = factories.piece(served(factories.miner(2001)), state="ACTIVE", sector_number=0, offset=0)
    piece_path(row).write_bytes(DATA)
    return row


def served(miner: Miner, *, is_served: bool = True) -> Miner:
    market_set(miner, values={"serves_data": is_served}, by=people.principal())
    return miner


def path_of(piece: Piece) -> str:
    return f"/piece/{piece.piece_cid}"


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def leave(answer: Any) -> None:
    """Hang up after the first chunk."""
    chunks = answer._iterator
    assert next(chunks)
    chunks.close()


def test_anybody_retrieves_an_active_piece(client: Client, piece: Piece) -> None:
    answer = client.get(path_of(piece))

    assert (answer.status_code, body(answer)) == (200, DATA)
    assert answer["Content-Length"] == "100"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["ETag"] == f'"{piece.piece_cid}"'
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Cache-Control"] == "public, max-age=29030400, immutable"
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("known", ["{}", "*", 'W/{}, "b"', '"a", {}', '"a" , W/{}'])
def test_who_has_a_piece_is_sent_nothing(client: Client, piece: Piece, known: str) -> None:
    tag = f'"{piece.piece_cid}"'
    headers = {"If-None-Match": known.format(tag), "Range": "bytes=500-"}
    slow = [client.get(path_of(piece)) for _ in range(ANSWERS_PER_ADDRESS)]
    answer: Any = client.get(path_of(piece), headers=headers)
    for one in slow:
        leave(one)

    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    assert "immutable" in answer["Cache-Control"]
    other = client.get(path_of(piece), headers={"If-None-Match": f'"a", {tag[:-2]}"'})
    assert body(other) == DATA


@pytest.mark.parametrize(
    ("asked", "span", "data"),
    [
        ("bytes=10-19", "bytes 10-19/100", DATA[10:20]),
        ("bytes=90-", "bytes 90-99/100", DATA[90:]),
        ("bytes=-5", "bytes 95-99/100", DATA[95:]),
    ],
)
def test_a_range_of_a_piece_is_retrieved(
    client: Client, piece: Piece, asked: str, span: str, data: bytes
) -> None:
    answer = client.get(path_of(piece), headers={"Range": asked})

    assert (answer.status_code, answer["Content-Range"], body(answer)) == (206, span, data)


def test_a_range_beyond_the_end_and_other_methods_are_refused(client: Client, piece: Piece) -> None:
    beyond = client.get(path_of(piece), headers={"Range": "bytes=100-"})
    head = client.head(path_of(piece), headers={"Range": "bytes=1-2"})

    assert (beyond.status_code, beyond["Content-Range"]) == (416, "bytes */100")
    assert (head.status_code, head["Content-Length"], head.content) == (200, "100", b"")
    assert Client(enforce_csrf_checks=True).post(path_of(piece)).status_code == 405
    assert client.get("/piece/nonsense").status_code == 400


def test_a_copy_of_another_miner_is_retrieved_where_the_first_is_lost(
    client: Client, piece: Piece, settings: Any
) -> None:
    other = factories.piece(
        served(factories.miner(2002)), piece_cid=piece.piece_cid, state="ACTIVE", sector_number=0, offset=0
    )
    piece_path(other).write_bytes(DATA)
    piece_path(piece).unlink()

    assert body(client.get(path_of(piece))) == DATA


@pytest.mark.parametrize("change", ["other miner", "ended", "sealed", "lost", "none"])
def test_no_other_piece_is_retrieved(client: Client, piece: Piece, settings: Any, change: str) -> None:
    if change == "other miner":
        served(factories.miner(2002))
        served(piece.miner, is_served=False)
    elif change == "lost":
        piece_path(piece).unlink()
    elif change == "none":
        MinerMarket.objects.all().delete()
    else:
        Piece.objects.update(**{"state": "ENDED"} if change == "ended" else {"has_data": False})

    answer = client.get(path_of(piece))

    assert (answer.status_code, "no unsealed copy" in answer.content.decode()) == (404, True)
    assert client.head(path_of(piece)).status_code == 404


def test_a_piece_is_unsealed_where_its_miner_does_that(client: Client, piece: Piece, tmp_path: Path) -> None:
    other = factories.piece(piece.miner)
    for one in (piece, other):
        factories.sealed_piece(one)
    assert client.get(path_of(piece)).status_code == 404
    market_set(piece.miner, values={"unseals_data": True}, by=people.principal())

    head = client.head(path_of(piece))
    jobs = [job.inputs["piece"] for job in Job.objects.filter(kind="unseal")]
    first, second = client.get(path_of(piece)), client.get(path_of(piece))
    busy = client.get(path_of(other))

    assert (head.status_code, jobs) == (503, [])
    assert [job.inputs["piece"] for job in Job.objects.filter(kind="unseal")] == [str(piece.uuid)]
    for answer, says in ((first, "takes minutes"), (second, "takes minutes"), (busy, "other pieces")):
        assert (answer.status_code, answer["Retry-After"]) == (503, "300")
        assert says in answer.content.decode()
    Job.objects.filter(kind="unseal").update(state="FAILED")
    assert client.get(path_of(piece)).status_code == 404
    Worker.objects.update(retired_at=clock.now())
    assert client.get(path_of(other)).status_code == 404, "no host has its store"
    assert Job.objects.filter(kind="unseal").count() == 1


def test_retrievals_of_one_address_leave_room_for_others(client: Client, piece: Piece) -> None:
    def get(address: str) -> Any:
        return client.get(path_of(piece), REMOTE_ADDR=address)

    slow = [get("192.0.2.1") for _ in range(ANSWERS_PER_ADDRESS)]
    refused, other = get("192.0.2.1"), get("192.0.2.2")

    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    assert (other.status_code, body(other)) == (200, DATA)
    leave(slow[0])
    assert body(get("192.0.2.1")) == DATA
    others = [f"198.51.100.{number}" for number in range(ANSWERS_MAX)]
    answers = [get(address) for address in others]
    assert [answer.status_code for answer in answers].count(429) == ANSWERS_PER_ADDRESS - 1
    for answer in (*slow[1:], *answers):
        if answer.status_code == 200:
            leave(answer)

    assert SLOTS._counts.total() == 0


class Reader:
    """A client of the ASGI app that takes each part of an answer after a pause."""

    def __init__(self, answer: Any, *, pause_s: float) -> None:
        self.answer, self.pause_s, self.data = answer, pause_s, b""
        self.is_asked = self.is_whole = False

    async def receive(self) -> dict[str, Any]:
        if not self.is_asked:
            self.is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.sleep(60)
        raise AssertionError

    async def send(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "http.response.body" and event.get("body"):
            await asyncio.sleep(self.pause_s)
            self.data += event["body"]
        self.is_whole = event["type"] == "http.response.body" and not event.get("more_body")

    async def read(self) -> None:
        """Send the answer through Django's own handler."""
        outer = self

        class Handler(ASGIHandler):
            async def run_get_response(self, request: Any) -> Any:
                return outer.answer

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        async with asyncio.timeout(20):
            await Handler().handle(scope, self.receive, self.send)


@pytest.mark.parametrize(
    ("pause_s", "count"), [(30.0, 0), (0.3, 4), (0.05, 10)], ids=["not at all", "slowly", "fast enough"]
)
def test_who_does_not_read_holds_no_slot(
    client: Client, piece: Piece, monkeypatch: pytest.MonkeyPatch, pause_s: float, count: int
) -> None:
    monkeypatch.setattr("apps.core.streams.READ_S", 0.5)
    monkeypatch.setattr("apps.api.piece_gateway.READ_RATE", 100)
    monkeypatch.setattr("apps.pieces.data.files.CHUNK_BYTES", 40)
    reader = Reader(client.get(path_of(piece)), pause_s=pause_s)
    assert SLOTS._counts.total() == 1

    asyncio.run(reader.read())

    assert SLOTS._counts.total() == 0
    assert (reader.is_whole, len(reader.data) >= 100) == (count == 10, count == 10)
    assert len(reader.data) >= 10 * min(count, 2)


def test_an_answer_that_is_never_sent_frees_its_slot(client: Client, piece: Piece) -> None:
    answer: Any = client.get(path_of(piece))
    assert SLOTS._counts.total() == 1

    del answer
    gc.collect()

    assert SLOTS._counts.total() == 0


def test_retrievals_and_their_bytes_are_counted_by_miner(client: Client, piece: Piece) -> None:
    def counts() -> list[float]:
        return [one.labels("f02001")._value.get() for one in (RETRIEVALS, RETRIEVED_BYTES)]

    before = counts()
    body(client.get(path_of(piece)))
    body(client.get(path_of(piece), headers={"Range": "bytes=10-19"}))
    client.get(path_of(piece), headers={"Range": "bytes=100-"})
    client.head(path_of(piece))

    assert [after - earlier for after, earlier in zip(counts(), before, strict=True)] == [2, 110]


def test_retrievals_of_a_process_share_its_rate(
    client: Client, piece: Piece, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    def retrieve() -> bytes:
        answer: Any = client.get(path_of(piece))

        async def read() -> bytes:
            return b"".join([chunk async for chunk in answer])

        data = asyncio.run(read())
        answer._iterator.close()
        return data

    monkeypatch.setattr("apps.core.streams.asyncio.sleep", sleep)
    monkeypatch.setattr("apps.core.streams.time.monotonic", lambda: 1000.0)
    monkeypatch.setattr("apps.api.piece_gateway.THROTTLE", Throttle())
    settings.PIECE_RETRIEVAL_RATE = 0
    assert [retrieve(), retrieve()] == [DATA, DATA]
    settings.PIECE_RETRIEVAL_RATE = 50
    assert [retrieve(), retrieve(), retrieve()] == [DATA, DATA, DATA]

    assert waited == [0, 0, 0, 2, 4]


def test_bytes_are_counted_by_address_and_limited_a_day(
    client: Client, piece: Piece, shared_reports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    market_set(piece.miner, values={"retrieval_day_bytes": 150}, by=people.principal())
    at = datetime(2026, 12, 1, 23, 0, tzinfo=UTC)
    monkeypatch.setattr("apps.core.clock.now", lambda: at)

    def get(address: str, **headers: str) -> Any:
        return client.get(path_of(piece), REMOTE_ADDR=address, headers=headers)

    for address, times in (("2001:db8::1", 1), ("2001:db8::2", 1), ("192.0.2.1", 1)):
        for _ in range(times):
            assert body(get(address)) == DATA
    over = get("2001:db8::3")
    assert (over.status_code, over["Retry-After"]) == (429, "3600")
    assert b"has retrieved its bytes of today" in over.content
    assert body(get("192.0.2.1", range="bytes=0-9")) == DATA[:10]
    assert client.head(path_of(piece), REMOTE_ADDR="2001:db8::3").status_code == 200

    monkeypatch.setattr("apps.core.clock.now", lambda: at + timedelta(hours=2))
    assert body(get("2001:db8::3")) == DATA
    rows = retrieved_list(str(piece.miner), now=at + timedelta(hours=2), most=2)
    assert rows == [Retrieved("2001:db8::/64", 100, 300), Retrieved("192.0.2.1", 0, 110)]

    address = piece.miner.address
    headers = people.bearer(people.token("read"))
    told = client.get(f"/api/v1/miners/{address}/retrievals", headers=headers).json()["results"]
    assert told[0] == {"address": "2001:db8::/64", "day_bytes": 100, "week_bytes": 300}
    stranger = people.bearer(people.token("read", of="bob"))
    assert client.get(f"/api/v1/miners/{address}/retrievals", headers=stranger).status_code == 404
    people.person("ann")
    page = text_of(signed_in("ann").get(f"/miners/{address}/market/"))
    assert "2001:db8::/64" in page
    assert "300 B" in page


def test_without_redis_data_are_served_and_nobody_is_named(
    client: Client, piece: Piece, settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    market_set(piece.miner, values={"retrieval_day_bytes": 1}, by=people.principal())

    assert [body(client.get(path_of(piece))) for _ in range(2)] == [DATA, DATA]
    path, headers = f"/api/v1/miners/{piece.miner.address}/retrievals", people.bearer(people.token("read"))
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_reachable")
    people.person("ann")
    page = text_of(signed_in("ann").get(f"/miners/{piece.miner.address}/market/"))
    assert "Redis does not answer" in page
