"""The data of deals: how each way ends, and how a deal follows its piece."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.market.errors import ChunkRefused, DealDataComing, DealNeedsNoData
from apps.market.models import Deal
from apps.market.rules import Place
from apps.market.services import transfers
from apps.market.services.follow import deals_advance, deals_join
from apps.market.services.transfers import (
    chunk_upload,
    chunks_begin,
    client_principal_make,
    data_wait_renew,
    deal_fetch,
    deal_import,
    deal_upload,
    upload_complete,
)
from apps.market.states import DealSource
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.errors import PieceBusy, PieceMismatch, PieceTooLarge
from apps.pieces.models import Piece
from apps.pieces.selectors import storage_use
from apps.pieces.services.fetches import pieces_fetch
from apps.pieces.services.retention import UNCHECKED, pieces_tidy
from apps.pieces.services.uploads import piece_remove
from apps.users.models import AuditEntry
from tests import factories, people
from tests.unit.apps.market.deal_data import DATA, deal, go_on, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path / "pieces"), True
    factories.head(1000)
    return factories.miner(2001)


class Site:
    """A client's web server; what it was asked with, and what it gives."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.data = DATA
        self.statuses: dict[str, int] = {}
        self.asked: list[tuple[str, str | None]] = []


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers["Authorization"]))
            status = found.statuses.get(self.path, 200)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://localhost:{server.server_port}/there")
            body = found.data if status == 200 else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def fetched() -> None:
    pieces_fetch()
    pieces_tidy(now=clock.now() + 2 * UNCHECKED)


def test_data_come_from_the_clients_url_with_its_headers(miner: Miner, site: Site) -> None:
    one = deal(miner, places=(Place(f"{site.base}/x?k=1", (("Authorization", "Bearer c"),)),))

    assert go_on(one).state == "TRANSFERRING"
    assert go_on(one).state == "TRANSFERRING", "the same download"
    assert Piece.objects.get().source_headers != ""
    assert "Bearer" not in Piece.objects.get().source_headers
    fetched()

    assert site.asked == [("/x?k=1", "Bearer c")]
    assert go_on(one).state == "VERIFIED"
    piece = Piece.objects.get()
    assert (piece.state, piece.source_headers, piece.term_min) == ("READY", "", 600_000)
    assert piece_path(piece).read_bytes() == DATA


def test_deal_whose_urls_cannot_be_decrypted_fails_with_its_download(miner: Miner) -> None:
    one = deal(miner, places=(Place("https://a.example/x"),))
    assert go_on(one).state == "TRANSFERRING"
    Piece.objects.update(state="FAILED", error="HTTP status 404")
    Deal.objects.update(places="of another key")

    assert go_on(one).state == "FAILED"


def test_headers_do_not_go_to_where_a_url_redirects(miner: Miner, site: Site) -> None:
    site.statuses["/x"] = 302
    deal(miner, places=(Place(f"{site.base}/x", (("Authorization", "Bearer c"),)),))
    deals_join()
    deals_advance(height=1000, now=clock.now())

    fetched()

    assert site.asked == [("/x", "Bearer c"), ("/there", None)]
    assert Piece.objects.get().state == "READY"


def test_a_download_without_a_clients_headers_is_not_shared_with_it(miner: Miner, site: Site) -> None:
    url = f"{site.base}/x"
    deal(miner, client=factories.secp(6), places=(Place(url),))
    one = deal(miner, places=(Place(url, (("Authorization", "Bearer c"),)),))

    go_on(one)
    fetched()
    go_on(one)

    assert site.asked == [("/x", None), ("/x", "Bearer c")]
    assert [row.state for row in Deal.objects.all()] == ["VERIFIED", "VERIFIED"]
    assert Piece.objects.count() == 1


def test_a_client_does_not_change_by_when_anothers_piece_is_active(miner: Miner) -> None:
    upload(deal(miner, start_epoch=90_000))

    upload(deal(miner, client=factories.secp(6), start_epoch=50_000))
    assert Piece.objects.get().start_epoch == 90_000
    upload(deal(miner, start_epoch=70_000))
    assert Piece.objects.get().start_epoch == 70_000


def test_the_next_url_is_tried_and_after_the_last_the_deal_fails(miner: Miner, site: Site) -> None:
    site.statuses |= {"/a": 404, "/b": 404}
    one = deal(miner, places=(Place(f"{site.base}/a"), Place(f"{site.base}/b")))
    go_on(one)
    fetched()
    assert (go_on(one).state, one.place_at, one.reason) == ("TRANSFERRING", 1, "")
    fetched()

    assert (go_on(one).state, one.reason, one.places) == ("FAILED", "the source answered 404", "")
    assert [path for path, _ in site.asked] == ["/a", "/b"]


def test_a_source_that_says_another_size_is_not_read(miner: Miner, site: Site) -> None:
    site.data = DATA + b"!"
    one = deal(miner, places=(Place(f"{site.base}/a"),))
    go_on(one)
    fetched()

    assert go_on(one).reason == "the source has 1501 bytes, but 1500 bytes are announced"


def test_other_bytes_of_the_same_size_are_not_the_deals(miner: Miner, site: Site) -> None:
    site.data = bytes(1500)
    one = deal(miner, places=(Place(f"{site.base}/a"),))
    go_on(one)
    fetched()

    assert go_on(one).state == "FAILED"
    assert one.reason.startswith(f"Piece-Cid: the announced commitment is {one.piece_cid}")


def test_a_whole_upload_is_the_deals_piece(miner: Miner) -> None:
    one = deal(miner)

    upload(one)

    assert one.state == "TRANSFERRING"
    upload_complete(one)
    assert go_on(one).state == "VERIFIED"
    assert Piece.objects.get().actor == f"client {one.client}"
    with pytest.raises(DealNeedsNoData):
        upload(one)


def test_a_wrong_upload_leaves_the_deal_waiting(miner: Miner) -> None:
    one = deal(miner)

    with pytest.raises(PieceMismatch):
        upload(one, bytes(1500))

    one.refresh_from_db()
    assert (one.state, one.piece, Piece.objects.count()) == ("ACCEPTED", None, 0)
    assert "the bytes have" in one.reason
    upload(one)
    assert go_on(one).state == "VERIFIED"


def test_an_upload_that_was_cut_off_begins_anew(miner: Miner) -> None:
    one = deal(miner)
    upload(one, DATA[:700])
    with pytest.raises(ChunkRefused, match="deal upload has not finished"):
        upload_complete(one)
    assert go_on(one).state == "TRANSFERRING"

    upload(one)

    assert go_on(one).state == "VERIFIED"
    assert Piece.objects.count() == 1


def test_an_upload_that_is_cut_off_again_and_again_has_one_piece(miner: Miner) -> None:
    one = deal(miner)
    for length in (700, 0, 900, 100):
        upload(one, DATA[:length])

    assert Piece.objects.get().payload_size == storage_use(miner.tenant_id).used_bytes == 1500
    assert not AuditEntry.objects.filter(action="piece.begin").exists(), "a client fills no audit log"
    upload(one)
    assert go_on(one).state == "VERIFIED"


def test_an_upload_of_too_many_bytes_leaves_no_piece(miner: Miner) -> None:
    one = deal(miner)

    with pytest.raises(PieceTooLarge):
        upload(one, DATA + b"!")

    one.refresh_from_db()
    assert (one.state, Piece.objects.count()) == ("ACCEPTED", 0)


def test_a_second_upload_beside_the_first_is_refused(miner: Miner) -> None:
    class First(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not self.tell():
                with pytest.raises(PieceBusy):
                    upload(Deal.objects.get())
            return super().read(size)

    one = deal(miner)

    deal_upload(one, source=First(DATA), by=client_principal_make(one))

    assert go_on(one).state == "VERIFIED"
    assert piece_path(Piece.objects.get()).read_bytes() == DATA


def test_two_first_uploads_at_once_begin_one_piece(miner: Miner) -> None:
    one, again = deal(miner), Deal.objects.get()
    upload(one, DATA[:700])

    with pytest.raises(PieceBusy):
        upload(again)

    assert Piece.objects.get() == Deal.objects.get().piece


@pytest.mark.parametrize("source", [DealSource.OFFLINE, DealSource.HTTP])
def test_a_client_uploads_nothing_that_comes_another_way(miner: Miner, source: str) -> None:
    one = deal(miner, source=source)

    with pytest.raises(DealNeedsNoData):
        upload(one)
    with pytest.raises(DealNeedsNoData):
        chunks_begin(one, raw_size=1500, chunk_size=1 << 20)


def test_the_operator_imports_what_came_on_a_disk(miner: Miner) -> None:
    one = deal(miner, source=DealSource.OFFLINE)

    deal_import(one, source=io.BytesIO(DATA), by=people.principal())

    assert go_on(one).state == "VERIFIED"
    assert AuditEntry.objects.filter(action="deal.import").count() == 1


def test_data_of_an_offline_deal_come_from_a_url_of_the_operator(miner: Miner, site: Site) -> None:
    one = deal(miner, source=DealSource.OFFLINE)
    site.statuses = {"/gone?key=k": 404}
    headers = (("Authorization", "Bearer s3cret"),)

    deal_fetch(one, url=f"{site.base}/gone?key=k", headers=headers, by=people.principal())
    with pytest.raises(DealDataComing):
        deal_fetch(one, url=f"{site.base}/x", headers=(), by=people.principal())
    fetched()
    assert go_on(one).state == "ACCEPTED", "it waits on, with the reason"
    assert "404" in str(one.reason)
    deal_fetch(one, url=f"{site.base}/x", headers=headers, by=people.principal())
    fetched()

    assert go_on(one).state == "VERIFIED"
    assert site.asked[-1] == ("/x", "Bearer s3cret")
    entries = list(AuditEntry.objects.filter(action="deal.fetch").order_by("pk"))
    assert [entry.after for entry in entries] == [
        {"url": f"{site.base}/{name}", "headers": ["Authorization"]} for name in ("gone", "x")
    ]
    with pytest.raises(DealNeedsNoData):
        deal_fetch(one, url=f"{site.base}/x", headers=(), by=people.principal())


@pytest.mark.parametrize(
    ("removes_copy", "has_other", "store", "goes"),
    [
        (True, False, "s", True),
        (False, False, "s", False),
        (True, True, "s", False),
        (True, False, "", False),
    ],
)
def test_unsealed_copy_goes_once_the_deal_is_active_if_nobody_needs_it(
    miner: Miner,
    removes_copy: bool,
    has_other: bool,
    store: str,
    goes: bool,
    django_capture_on_commit_callbacks: Any,
) -> None:
    one = deal(miner, removes_copy=removes_copy)
    upload(one)
    piece = go_on(one).piece
    assert piece is not None
    if has_other:
        assert go_on(deal(miner, client=factories.secp(6), source=DealSource.OFFLINE)).piece == piece
    factories.sector(miner, number=7, store=store)
    for state, is_here in (("PACKED", True), ("ACTIVE", not goes)):
        Piece.objects.update(state=state, sector_number=7)
        with django_capture_on_commit_callbacks(execute=True):
            go_on(one)
        piece.refresh_from_db()
        assert one.state == {"PACKED": "SEALING", "ACTIVE": "ACTIVE"}[state]
        assert piece.has_data == piece_path(piece).exists() == is_here


def test_data_that_the_miner_has_already_are_not_asked_for_again(miner: Miner) -> None:
    upload(deal(miner))
    other = deal(miner, client=factories.secp(6), source=DealSource.OFFLINE, duration=700_000)

    assert go_on(other).state == "VERIFIED"
    assert Piece.objects.get().term_min == 700_000


def test_data_in_a_sector_that_ends_too_early_are_not_these(miner: Miner) -> None:
    first = deal(miner)
    upload(first)
    Piece.objects.update(state="PACKED", sector_number=4)
    other = deal(miner, duration=700_000)

    assert go_on(other).state == "FAILED"
    assert "in a sector that need not live for 700000 epochs" in other.reason
    first.refresh_from_db()
    assert (first.state, first.sector_number) == ("SEALING", 4)


@pytest.mark.parametrize(("expiration", "state"), [(601_000, "ACTIVE"), (600_999, "FAILED")])
def test_an_active_sector_must_live_long_enough_from_now_on(
    miner: Miner, expiration: int, state: str
) -> None:
    upload(deal(miner))
    Piece.objects.update(state="ACTIVE", sector_number=4)
    factories.sector(miner, number=4, expiration=expiration)
    other = deal(miner, client=factories.secp(6))

    assert go_on(other).state == state


def test_a_deal_follows_its_piece_through_reorganisations_to_its_end(miner: Miner) -> None:
    one = deal(miner)
    upload(one)
    steps = []
    for state, sector in (
        ("READY", None),
        ("PACKED", 4),
        ("READY", None),
        ("PACKED", 5),
        ("ACTIVE", 5),
        ("PACKED", 5),
        ("ACTIVE", 5),
        ("ENDED", 5),
        ("PACKED", 5),
        ("ACTIVE", 5),
        ("ENDED", 5),
        ("READY", None),
        ("PACKED", 6),
    ):
        Piece.objects.update(state=state, sector_number=sector)
        steps.append(go_on(one).state)

    assert steps == [
        *("VERIFIED", "SEALING", "VERIFIED", "SEALING", "ACTIVE", "SEALING", "ACTIVE", "ENDED"),
        *("SEALING", "ACTIVE", "ENDED", "ENDED", "ENDED"),
    ]
    assert one.sector_number == 5


def test_a_piece_that_the_chain_refuses_ends_its_deal(miner: Miner) -> None:
    one = deal(miner)
    upload(one)
    go_on(one)
    Piece.objects.update(state="FAILED", error="allocation 3 of f01005 expired at epoch 900")

    assert (go_on(one).state, one.reason) == ("FAILED", "allocation 3 of f01005 expired at epoch 900")


def test_a_piece_that_somebody_removed_is_awaited_anew(miner: Miner) -> None:
    one = deal(miner)
    upload(one)
    assert go_on(one).state == "VERIFIED"
    piece_remove(Piece.objects.get(), by=people.principal())

    assert (go_on(one).state, one.reason) == ("ACCEPTED", "its data are gone: they are awaited again")


def test_data_that_were_lost_have_another_week_to_come_again(miner: Miner) -> None:
    one = deal(miner)
    upload(one)
    assert go_on(one).state == "VERIFIED"
    Deal.objects.update(
        created_at=clock.now() - timedelta(days=9), data_until=clock.now() - timedelta(days=2)
    )

    assert piece_gone(one, "PACKED", "READY").state == "ACCEPTED"
    assert data_wait_renew(one, now=clock.now())
    assert go_on(one, days=6).state == "ACCEPTED"
    assert go_on(one, days=8).state == "FAILED"


def piece_gone(one: Deal, *states: str) -> Deal:
    """Let a deal's piece come through these states, and be removed in the last one between two heads."""
    for state in states:
        go_on(one)
        Piece.objects.update(state=state, sector_number=None if state == "READY" else 4)
    piece_remove(Piece.objects.get(), by=people.principal())
    return go_on(one)


def test_a_piece_removed_once_its_sector_is_aborted_is_awaited_anew(miner: Miner) -> None:
    one = deal(miner)
    upload(one)

    assert piece_gone(one, "PACKED", "READY").state == "ACCEPTED"
    upload(one)
    assert go_on(one).state == "VERIFIED"


def test_a_piece_removed_once_its_sector_has_ended_ends_its_deal(miner: Miner) -> None:
    one = deal(miner)
    upload(one)

    assert piece_gone(one, "PACKED", "ACTIVE", "ENDED").state == "ENDED"


def test_a_removed_piece_whose_urls_are_not_kept_any_more_ends_its_deal(miner: Miner, site: Site) -> None:
    one = deal(miner, places=(Place(f"{site.base}/a"),))
    go_on(one)
    fetched()
    go_on(one)
    Piece.objects.update(state="PACKED", sector_number=4)

    assert go_on(one).places == ""
    assert piece_gone(one, "PACKED", "READY").state == "FAILED"
    assert one.reason == "its data are gone, and its client's URLs are not kept any more"


class Long(io.BytesIO):
    """Bytes that come over hours: before each part, something happens."""

    def __init__(self, data: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(data)
        self.meanwhile = meanwhile

    def read(self, _size: int | None = -1) -> bytes:
        if self.tell():
            self.meanwhile()
        return super().read(500)


def test_an_upload_that_goes_on_has_another_day(miner: Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "NOTED_S", 0.0)
    one = deal(miner)
    nearly = clock.now() + timedelta(minutes=1)

    def wound_on() -> None:
        assert Deal.objects.filter(data_until__gt=clock.now() + timedelta(hours=23)).exists()
        Deal.objects.update(data_until=nearly)

    deal_upload(one, source=Long(DATA, wound_on), by=client_principal_make(one))

    assert go_on(one, hours=1).state == "VERIFIED"
    Deal.objects.update(created_at=clock.now() - timedelta(days=6, hours=12), state="TRANSFERRING")
    assert data_wait_renew(Deal.objects.get(), now=clock.now())
    assert Deal.objects.filter(data_until__lt=clock.now() + timedelta(hours=13)).exists()


@pytest.mark.parametrize("is_chunked", [False, True])
def test_an_upload_ends_once_its_deal_has_failed(
    miner: Miner, monkeypatch: pytest.MonkeyPatch, settings: Any, *, is_chunked: bool
) -> None:
    monkeypatch.setattr(transfers, "NOTED_S", 0.0)
    monkeypatch.setattr(transfers, "CHUNK_LEAST", 512)
    one = deal(miner, start_epoch=1200)
    source = Long(DATA, lambda: go_on(Deal.objects.get(), height=1200))
    send = partial(deal_upload, by=client_principal_make(one))
    if is_chunked:
        chunks_begin(one, raw_size=1500, chunk_size=2048)
        send = partial(chunk_upload, number=1)
    with pytest.raises(DealNeedsNoData):
        send(one, source=source)

    assert (source.tell(), Deal.objects.get().state) == (1000, "FAILED")
    assert not Piece.objects.exists()
    assert not list(Path(settings.PIECES_DIR).glob("*"))


@pytest.mark.parametrize(
    ("changes", "height", "days", "reason"),
    [
        ({"start_epoch": 1200}, 1200, 0, "its data did not come before its start epoch 1200"),
        ({}, 1000, 8, "its data did not come in time"),
    ],
)
def test_data_that_do_not_come_end_the_deal(
    miner: Miner, changes: dict[str, Any], height: int, days: int, reason: str
) -> None:
    one = deal(miner, **changes)
    assert go_on(one, height=1199).state == "ACCEPTED"

    assert (go_on(one, height=height, days=days).state, one.reason) == ("FAILED", reason)
