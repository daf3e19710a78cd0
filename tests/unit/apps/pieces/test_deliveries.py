"""Bytes to a market: where to, which bytes, tried again, told, and with whose token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from structlog.testing import capture_logs

from apps.core import clock
from apps.core.errors import BadValue
from apps.miners.errors import MinerUnknown
from apps.pieces.data import destinations
from apps.pieces.data.destinations import Target, target_of
from apps.pieces.data.files import piece_path
from apps.pieces.errors import PieceUnknown
from apps.pieces.models import Piece, PieceDelivery
from apps.pieces.selectors import deliveries_due
from apps.pieces.services import deliveries
from apps.pieces.services.deliveries import (
    ATTEMPTS_MAX,
    FAILURE_RETENTION,
    RESULT_REPEATED,
    WAIT_MAX,
    deliveries_send,
)
from apps.sectors.errors.runs import NotUnsealed
from apps.sectors.models import Job, Sector
from apps.sectors.services.runs.deliveries import UnsealOrder, piece_deliver
from apps.sectors.states import JobState
from apps.users.models import AuditEntry, Token
from apps.users.rules.encryption import text_encrypt
from poolsite.filecoin.fr32 import unpadded_bytes
from tests import factories, people
from tests.bulk_rows import row_copies_insert
from tests.dripping_market import context_of, dripping_market
from tests.piece_store import PieceStore, piece_store
from tests.query_plans import plan_run, rows_read

pytestmark = pytest.mark.django_db

DATA = bytes(range(100))
SIZE = 127
"""Unpadded bytes of the piece's place."""


@pytest.fixture
def market(settings: Any) -> Iterator[PieceStore]:
    settings.PIECE_URLS_PRIVATE = True
    with piece_store() as store:
        yield store


@pytest.fixture
def piece(settings: Any, tmp_path: Path) -> Piece:
    """In sector 7, second of two places."""
    settings.PIECES_DIR = str(tmp_path)
    miner = factories.miner(2001, of="alice")
    sealed: dict[str, Any] = {"comm_d": bytes(32), "comm_r": bytes(32), "ticket": bytes(32)}
    factories.sector(miner, number=7, state="PROVING", store="store", **sealed)
    row = factories.piece(miner, state="ACTIVE", sector_number=7, offset=128)
    piece_path(row).write_bytes(DATA)
    return row


def ask(piece: Piece, dest: str, **other: Any) -> str:
    by = other.pop("by", None) or people.principal()
    market, now = other.pop("market", ""), other.pop("now", None) or clock.now()
    known = {"miner": "f02001", "number": 7, "piece_cid": piece.piece_cid, "offset": SIZE, "size": SIZE}
    return piece_deliver(UnsealOrder(**{**known, "dest": dest, **other}), market=market, by=by, now=now)


def test_a_kept_piece_is_sent_once_and_its_end_is_told(piece: Piece, market: PieceStore) -> None:
    url = f"{market.url}/up?key=secret"

    words = [ask(piece, url), ask(piece, url)]
    deliveries_send(now=clock.now())
    deliveries_send(now=clock.now())

    assert words == ["uploading"] * 2
    assert market.puts == [("/up?key=secret", "", DATA + bytes(SIZE - len(DATA)))]
    later = clock.now() + 2 * RESULT_REPEATED
    assert [ask(piece, url), ask(piece, url), ask(piece, url, now=later)] == ["finished"] * 2 + ["uploading"]
    deliveries_send(now=clock.now())
    assert len(market.puts) == 2
    row = PieceDelivery.objects.get()
    deliveries_send(now=clock.now() + timedelta(days=31))
    assert not PieceDelivery.objects.exists()
    assert "secret" not in f"{row.target} {row.shown} {AuditEntry.objects.latest('pk').after}"


@pytest.mark.parametrize(
    ("offset", "size", "sent"), [(0, 5, DATA[:5]), (95, 10, DATA[95:] + bytes(5)), (120, 7, bytes(7))]
)
def test_a_range_of_a_piece_is_sent(
    piece: Piece, market: PieceStore, offset: int, size: int, sent: bytes
) -> None:
    ask(piece, market.url, offset=SIZE + offset, size=size)
    deliveries_send(now=clock.now())

    assert [body for _, _, body in market.puts] == [sent]


def test_a_sealed_piece_waits_for_a_host_and_is_then_sent(piece: Piece, market: PieceStore) -> None:
    factories.worker(stores=["store"])
    type(piece).objects.update(has_data=False)

    words = [ask(piece, market.url), ask(piece, market.url)]
    job = Job.objects.get(kind="unseal")
    Job.objects.filter(pk=job.pk).update(state=JobState.LEASED)
    words.append(ask(piece, market.url))
    deliveries_send(now=clock.now())
    assert (words, market.puts) == (["set_up", "set_up", "unsealing"], [])
    type(piece).objects.update(has_data=True)
    deliveries_send(now=clock.now())

    assert (len(market.puts), ask(piece, market.url)) == (1, "finished")


def test_a_piece_that_no_host_can_unseal_has_failed(piece: Piece, market: PieceStore) -> None:
    factories.worker(stores=["store"])
    type(piece).objects.update(has_data=False)
    ask(piece, market.url)
    Job.objects.filter(kind="unseal").update(state=JobState.FAILED, error="comm_d", updated_at=clock.now())

    assert [ask(piece, market.url), ask(piece, market.url)] == ["failed"] * 2
    assert PieceDelivery.objects.get().error == "it could not be unsealed: comm_d"
    assert ask(piece, market.url, now=clock.now() + 2 * FAILURE_RETENTION) == "set_up"


def test_no_host_is_to_unseal_a_sector_whose_ticket_nobody_knows(piece: Piece, market: PieceStore) -> None:
    factories.worker(stores=["store"])
    type(piece).objects.update(has_data=False)
    Sector.objects.update(ticket=None)  # adopted from the chain

    with pytest.raises(NotUnsealed, match="import the sector's record"):
        ask(piece, market.url)
    assert not Job.objects.filter(kind="unseal").exists()


def test_a_delivery_is_given_up_after_some_hours(piece: Piece, market: PieceStore) -> None:
    factories.worker(stores=["store"])
    type(piece).objects.update(has_data=False)
    ask(piece, market.url)

    deliveries_send(now=clock.now() + WAIT_MAX + timedelta(minutes=1))

    assert PieceDelivery.objects.get().state == "FAILED"


@pytest.mark.parametrize(("status", "tries"), [(503, ATTEMPTS_MAX), (429, ATTEMPTS_MAX), (403, 1)])
def test_what_may_pass_is_tried_again(piece: Piece, market: PieceStore, status: int, tries: int) -> None:
    market.status, now = status, clock.now()
    ask(piece, market.url)

    deliveries_send(now=now)
    deliveries_send(now=now)
    assert len(market.puts) == 1, "not before its pause is over"
    for hour in range(1, 7):
        deliveries_send(now=now + timedelta(hours=hour))

    assert len(market.puts) == tries
    row = PieceDelivery.objects.get()
    assert (row.state, row.error.strip()) == ("FAILED", f"the destination answered {status}")


def test_a_registered_market_gets_a_token_that_is_gone_then(
    piece: Piece, settings: Any, market: PieceStore
) -> None:
    settings.PIECE_URLS_PRIVATE = False

    ask(piece, f"market://main/{piece.piece_cid}", market=market.url)
    ask(piece, f"{market.url}/elsewhere")
    deliveries_send(now=clock.now())

    [(path, authorization, body)] = market.puts
    assert (path, body[:100]) == (f"/resource?resource-id={piece.piece_cid}&store=main", DATA)
    assert authorization.startswith("Bearer ")
    assert not Token.objects.filter(scopes=["market"]).exists()
    other = PieceDelivery.objects.exclude(state="DELIVERED").get()
    assert other.error == "its host has no public address", "of nobody's registration"


@pytest.mark.parametrize(
    ("dest", "market", "url", "token"),
    [
        ("http://h/p?a=1", "", "http://h/p?a=1", ""),
        (
            "market://s/c?host=h:1&scheme=https&token=t",
            "http://m",
            "https://h:1/resource?resource-id=c&store=s",
            "t",
        ),
        ("market://s/c", "http://m:2", "http://m:2/resource?resource-id=c&store=s", ""),
        ("market://a%26b/c", "http://m", "http://m/resource?resource-id=c&store=a%2526b", ""),
    ],
)
def test_destinations_are_read(dest: str, market: str, url: str, token: str) -> None:
    target = target_of(dest, market=market, piece_cid="c")

    assert (target.url, target.token) == (url, token)
    assert target.is_registered == (market != "" and url.startswith(market))


@pytest.mark.parametrize(
    ("dest", "is_registered"),
    [
        ("http://m/resource?resource-id=c&store=s", True),
        ("http://m/resource?resource-id=d&store=s", False),
        ("http://m/resource?resource-id=c&resource-id=d", False),
        ("http://m/resource", False),
        ("http://m/rpc/v0?resource-id=c", False),
        ("https://m/resource?resource-id=c", False),
        ("market://s/c", True),
        ("market://s/d", False),
    ],
)
def test_at_the_registered_market_only_the_pieces_place_is_ours(dest: str, is_registered: bool) -> None:
    assert target_of(dest, market="http://m", piece_cid="c").is_registered is is_registered
    assert not target_of(f"{dest}?host=m" if dest[0] == "m" else dest, market="", piece_cid="c").is_registered


def test_what_was_asked_before_the_market_was_registered_is_another(piece: Piece) -> None:
    url = f"http://m/resource?resource-id={piece.piece_cid}&store=main"

    ask(piece, url)
    ask(piece, url, market="http://m")

    assert PieceDelivery.objects.count() == 2, "the second gets a token, and may go to a private network"


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize("dripping", ["body", "answer"])
def test_a_market_that_drips_holds_no_delivery(
    piece: Piece,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
    tmp_path: Path,
    *,
    dripping: str,
    is_secure: bool,
) -> None:
    settings.PIECE_URLS_PRIVATE = True
    monkeypatch.setattr(destinations, "SLOW_S", 0.5)
    context = context_of(tmp_path) if is_secure else None
    if context is not None:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    big = 1 << 24 if dripping == "body" else 128
    slow = factories.piece(piece.miner, state="ACTIVE", sector_number=7, offset=1 << 24, padded_size=big)
    piece_path(slow).write_bytes(bytes(100))
    with dripping_market(dripping, context) as url:
        first = unpadded_bytes(1 << 24)
        ask(piece, url, piece_cid=slow.piece_cid, offset=first, size=unpadded_bytes(big))
        deliveries_send(now=clock.now())

    row = PieceDelivery.objects.get()
    assert (row.state, row.attempts, row.error) == ("WAITING", 1, "the destination receives too slowly")


def test_slow_deliveries_hold_up_neither_others_nor_later_ones(
    piece: Piece, market: PieceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = market.url.partition("//127.0.0.1")[2]
    monkeypatch.setattr(deliveries, "POLL_S", 0.05)
    gate, sent = threading.Event(), []

    def put(target: Target, *_: Any, stop: threading.Event, **__: Any) -> None:
        sent.append(target.url)
        if "slow" in target.url:
            assert gate.wait(20), "later ones were not sent beside it"
        elif "later" in target.url:
            gate.set()

    def due(**data: Any) -> list[PieceDelivery]:
        if len(sent) == 3:  # what is asked for while slow ones are under way
            ask(piece, f"http://localhost{host}/later")
        return deliveries_due(**data)

    monkeypatch.setattr(deliveries, "bytes_put", put)
    monkeypatch.setattr(deliveries, "deliveries_due", due)
    for name in "abc":
        ask(piece, f"{market.url}/slow/{name}")
    ask(piece, f"http://localhost{host}/other")
    deliveries_send(now=clock.now())

    assert sorted(sent[:3]) == sorted(
        [f"{market.url}/slow/a", f"{market.url}/slow/b", f"http://localhost{host}/other"]
    )
    assert sent[3:] == [f"http://localhost{host}/later", f"{market.url}/slow/c"]
    assert set(PieceDelivery.objects.values_list("state", flat=True)) == {"DELIVERED"}


def test_what_is_due_is_read_a_few_at_a_time_by_an_index(piece: Piece) -> None:
    ask(piece, "http://m/1")
    with connection.cursor() as cursor:
        columns = {
            "uuid": "gen_random_uuid()",
            "digest": "md5(n::text)",
            "shown": "'http://m:' || n % 2 || '/x'",
        }
        row_copies_insert(
            cursor,
            "pieces_piecedelivery",
            of="id is not null",
            changed=columns,
            rows="generate_series(1, 999) n",
        )
        cursor.execute("ANALYZE pieces_piecedelivery")

    with CaptureQueriesContext(connection) as asked:
        first = deliveries_due(now=clock.now(), limit=4)
        others = deliveries_due(now=clock.now(), without=[first[0].pk], markets=["m:1"], limit=4)

    assert [row.shown for row in first] == ["http://m/1", "http://m:1/x", "http://m:0/x", "http://m:1/x"]
    assert {row.shown for row in others} == {"http://m:0/x"}
    for query in asked:
        with connection.cursor() as cursor:
            assert rows_read(plan_run(cursor, query["sql"]), "pieces_piecedelivery") < 20


def test_no_more_is_read_while_all_places_are_taken(
    piece: Piece, market: PieceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "POLL_S", 0.01)
    gate, looks = threading.Event(), []

    def put(*_: Any, **__: Any) -> None:
        assert gate.wait(20)

    def due(**data: Any) -> list[PieceDelivery]:
        looks.append(data)
        return deliveries_due(**data)

    ended = deliveries._Sendings.end_done

    def end_done(sendings: deliveries._Sendings) -> None:
        if waits := len(sendings.in_progress) == deliveries.AT_ONCE and not gate.is_set():
            before = len(looks)
            assert sendings.begin_due()
            assert len(looks) == before
        if waits:
            gate.set()
        ended(sendings)

    monkeypatch.setattr(deliveries, "bytes_put", put)
    monkeypatch.setattr(deliveries, "deliveries_due", due)
    monkeypatch.setattr(deliveries._Sendings, "end_done", end_done)
    for number in range(6):
        ask(piece, f"http://m{number % 3}/{number}")
    deliveries_send(now=clock.now())

    assert gate.is_set()
    assert set(PieceDelivery.objects.values_list("state", flat=True)) == {"DELIVERED"}


def test_a_lent_token_lasts_as_long_as_the_largest_delivery(piece: Piece) -> None:
    size = 32 << 30
    target = Target("http://m/resource", is_registered=True)
    row = PieceDelivery(piece=piece, num_bytes=size, first=SIZE, shown="http://m/resource")
    row.target = text_encrypt(json.dumps(asdict(target)))

    with ExitStack() as lent:
        deliveries._prepared(row, lent, threading.Event())
        [token] = Token.objects.filter(name__startswith="delivery")
        assert token.expires_at is not None
        lasts = token.expires_at - clock.now()

    assert lasts > timedelta(seconds=size / destinations.SLOW_RATE)


def test_what_nobody_has_foreseen_is_sent_once_in_a_pass(
    piece: Piece, market: PieceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def put(*_: Any, **__: Any) -> None:
        sent.append(1)
        raise RuntimeError

    monkeypatch.setattr(deliveries, "bytes_put", put)
    ask(piece, market.url)
    deliveries_send(now=clock.now())

    assert (len(sent), PieceDelivery.objects.get().state) == (1, "WAITING")


def test_a_token_that_no_header_holds_is_not_logged(piece: Piece, market: PieceStore) -> None:
    host = market.url.removeprefix("http://")
    ask(piece, f"market://main/x?host={host}&token=secret%0Aword")

    with capture_logs() as logs:
        deliveries_send(now=clock.now())

    row = PieceDelivery.objects.get()
    assert (row.state, row.error) == ("FAILED", "its address or token is malformed")
    assert "secret" not in str(logs)


@pytest.mark.parametrize(
    "dest",
    [
        "",
        "file:///etc/passwd",
        "store://a/b",
        "market://s/c",
        "market:///c?host=h",
        "http://u:p@h/",
        "http://[",
        "market://s/c?host=h/x@y&scheme=file",
    ],
)
def test_what_is_no_destination_is_refused(dest: str) -> None:
    with pytest.raises(BadValue):
        target_of(dest, market="", piece_cid="c")


@pytest.mark.parametrize(
    ("offset", "size"), [(0, SIZE), (SIZE - 1, 2), (SIZE, SIZE + 1), (SIZE, 0), (SIZE, -1)]
)
def test_bytes_of_another_piece_are_not_sent(piece: Piece, offset: int, size: int) -> None:
    with pytest.raises(BadValue, match="are outside a piece of 127"):
        ask(piece, "http://h", offset=offset, size=size)


def test_of_what_is_not_the_callers_nothing_is_told(piece: Piece) -> None:
    with pytest.raises(MinerUnknown):
        ask(piece, "http://h", by=people.principal("mallory"))
    with pytest.raises(PieceUnknown):
        ask(piece, "http://h", number=8)


def said(*words: str) -> str:
    out = StringIO()
    call_command("unseal", "f02001", "7", *words, stdout=out)
    return out.getvalue()


def test_the_command_lists_a_sector_and_writes_a_file(
    piece: Piece, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.worker(stores=["store"])
    type(piece).objects.update(has_data=False)
    out = tmp_path / "out"

    def unsealed(_seconds: float) -> None:
        assert Job.objects.filter(kind="unseal").count() == 1
        type(piece).objects.update(has_data=True)

    monkeypatch.setattr("apps.api.management.commands.unseal.time.sleep", unsealed)
    assert said() == f"128 {piece.piece_cid} 100 bytes, sealed\n"
    said("--output", str(out), "--offset", "10", "--size", "5")
    assert out.read_bytes() == DATA[10:15]
    with pytest.raises(CommandError, match="File exists"):
        said("--output", str(out))
    with pytest.raises(CommandError, match="the piece has 100 bytes"):
        said("--output", str(tmp_path / "more"), "--offset", "99", "--size", "2")
    factories.piece(piece.miner, state="ACTIVE", sector_number=7, offset=0)
    with pytest.raises(CommandError, match="has 2 pieces: name one with --piece"):
        said("--output", str(out))


def test_the_command_brings_bytes_to_a_market(
    piece: Piece, market: PieceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(_seconds: float) -> None:
        deliveries_send(now=clock.now())

    monkeypatch.setattr("apps.api.management.commands.unseal.time.sleep", sent)
    assert said("--to", market.url, "--offset", "90").split() == ["uploading", "finished"]
    assert [body for _, _, body in market.puts] == [DATA[90:] + bytes(SIZE - 100)]
    market.status = 403
    with pytest.raises(CommandError, match="the destination answered 403"):
        said("--to", f"{market.url}/refused")
