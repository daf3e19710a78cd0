"""Downloads side by side: whom a slow source holds up, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from apps.api.v1.pieces import piece_body
from apps.core import clock
from apps.core.disk import DiskFull, DiskSpace
from apps.core.errors import DomainError
from apps.pieces.data.files import file_locked, piece_path
from apps.pieces.data.sources import SourceAway
from apps.pieces.models import Piece
from apps.pieces.services import fetches
from apps.pieces.services.fetches import piece_fetch_begin, pieces_fetch
from apps.pieces.services.retention import UNCHECKED, pieces_tidy
from apps.pieces.services.uploads import PieceSpec, piece_remove
from apps.users.models import AuditEntry
from tests import factories, people
from tests.unit.apps.pieces.old_rows import migrate_all, pieces_as_of

pytestmark = pytest.mark.django_db

DATA = b"bytes from elsewhere"


class Sources:
    """What URLs give: those with `slow` nothing until they are let go, or stopped."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.let_go = threading.Event()
        self.size: int | None = None
        """What they say that they have."""
        self.reading: set[str] = set()
        self.most_reading = 0

    @contextmanager
    def opened(self, url: str, *, stop: threading.Event, **_: Any) -> Iterator[Any]:
        self.began.append(url)
        try:
            yield _Source(self, url, stop)
        finally:
            self.reading.discard(url)


class _Source:
    def __init__(self, sources: Sources, url: str, stop: threading.Event) -> None:
        self.sources, self.url, self.stop = sources, url, stop
        self.left, self.size, self.first, self.tag = DATA, sources.size, 0, ""

    def read(self, _size: int) -> bytes:
        if not self.left:
            return b""
        self.sources.reading.add(self.url)
        self.sources.most_reading = max(len(self.sources.reading), self.sources.most_reading)
        if "last" in self.url:
            self.sources.let_go.set()
        if "brief" in self.url:
            self.stop.wait(0.1)
        if "slow" in self.url:
            for _ in range(1000):
                if self.stop.wait(0.02):
                    raise SourceAway("the transfer was stopped")
                if self.sources.let_go.is_set():
                    break
            else:
                raise SourceAway("held up")
        data, self.left = self.left, b""
        self.sources.reading.discard(self.url)
        return data


@pytest.fixture
def sources(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    settings.PIECES_DIR, settings.PIECE_DOWNLOADS = str(tmp_path), 1
    monkeypatch.setattr(fetches, "POLL_S", 0.05)
    found = Sources()
    monkeypatch.setattr(fetches, "url_opened", found.opened)
    return found


def wanted(of: Any, *names: str) -> list[Piece]:
    return [
        factories.piece(of, state="FETCHING", padded_size=0, payload_size=None, source_url=name)
        for name in names
    ]


def test_a_slow_source_holds_up_its_own_tenant_alone(sources: Sources) -> None:
    alice, bob = factories.miner(of="alice"), factories.miner(of="bob")
    wanted(alice, "slow", "later")
    wanted(bob, "first", "last")

    pieces_fetch()

    assert sorted(sources.began[:2]) == ["first", "slow"]
    assert sources.began[2:] == ["last", "later"]
    assert set(Piece.objects.values_list("state", "payload_size")) == {("RECEIVED", len(DATA))}
    assert all(piece_path(piece).read_bytes() == DATA for piece in Piece.objects.all())


def test_who_had_no_turn_for_longest_is_next(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetches, "TENANTS_AT_ONCE", 1)
    wanted(factories.miner(of="alice"), "a1", "a2", "a3")
    wanted(factories.miner(of="bob"), "b1", "b2")

    pieces_fetch()

    assert sources.began == ["a1", "b1", "a2", "b2", "a3"]


def test_a_lone_tenants_downloads_run_side_by_side(sources: Sources, settings: Any) -> None:
    settings.PIECE_DOWNLOADS = 3
    wanted(factories.miner(), "slow 1", "slow 2", "last", "later 1", "later 2")

    pieces_fetch()

    assert set(Piece.objects.values_list("state", flat=True)) == {"RECEIVED"}
    assert 2 <= sources.most_reading <= 3


def test_places_are_left_for_tenants_of_whom_nothing_is_under_way(
    sources: Sources, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PIECE_DOWNLOADS = 2
    monkeypatch.setattr(fetches, "TENANTS_AT_ONCE", 2)
    for name in ("alice", "bob"):
        wanted(factories.miner(of=name), *(f"slow {name} {number}" for number in range(3)))
    late = factories.miner(of="carol")

    def waited(*args: Any, **data: Any) -> Any:
        if not late.pieces.exists():
            wanted(late, "last")
        return wait(*args, **data)

    monkeypatch.setattr("apps.pieces.services.fetches.wait", waited)

    pieces_fetch()

    assert sorted(sources.began[:3]) == ["last", "slow alice 0", "slow bob 0"]
    assert set(Piece.objects.values_list("state", flat=True)) == {"RECEIVED"}


@pytest.fixture
def free(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with room for one download and a half, of which what has come takes nothing."""
    settings.PIECE_DOWNLOADS, settings.DISK_RESERVE_BYTES = 3, 1000
    space = DiskSpace(1000 + len(DATA) * 3 // 2, 10_000)
    monkeypatch.setattr("apps.pieces.services.reservations.disk_space", lambda _folder: space)


@pytest.mark.parametrize("stated", [True, False])
def test_a_download_waits_until_room_is_reserved_for_it(sources: Sources, free: None, stated: bool) -> None:
    wanted(factories.miner(), "brief 1", "brief 2", "brief 3")
    wanted(factories.miner(of="bob"), "brief 4")
    if stated:
        Piece.objects.update(payload_size=len(DATA))
    else:
        sources.size = len(DATA)

    pieces_fetch()

    assert set(Piece.objects.values_list("state", "error")) == {("RECEIVED", "")}
    assert sources.most_reading == 1
    assert not stated or len(sources.began) == 4


@pytest.mark.parametrize("stated", [True, False])
def test_nothing_comes_of_a_download_that_does_not_fit(sources: Sources, free: None, stated: bool) -> None:
    [piece] = wanted(factories.miner(), "large")
    sources.size = 2 * len(DATA)
    Piece.objects.update(payload_size=sources.size if stated else None)

    pieces_fetch()

    piece.refresh_from_db()
    assert (piece.state, sources.most_reading, sources.began) == ("FETCHING", 0, [] if stated else ["large"])
    assert "what does not fit beside them is refused: free up space" in piece.error


def test_a_source_that_has_more_than_fits_is_not_read(sources: Sources) -> None:
    [piece] = wanted(factories.miner(), "large")
    sources.size = 2033

    pieces_fetch()

    piece.refresh_from_db()
    assert (piece.state, sources.most_reading) == ("FAILED", 0)
    assert "at most 2032 bytes" in piece.error


def test_downloads_that_failed_come_after_untried_ones(sources: Sources) -> None:
    rows = wanted(factories.miner(), "failed", "failed earlier", "untried", "untried later")
    for piece, minutes in zip(rows[:2], (2, 3), strict=True):
        ago = clock.now() - timedelta(minutes=minutes)
        Piece.objects.filter(pk=piece.pk).update(error="it is away", updated_at=ago)

    pieces_fetch()

    assert sources.began == ["untried", "untried later", "failed earlier", "failed"]


def test_downloads_that_cannot_begin_hold_up_no_later_ones(sources: Sources) -> None:
    busy, broken, good, last = wanted(factories.miner(), "busy", "broken", "good", "last")
    piece_path(broken).mkdir(parents=True)

    with file_locked(piece_path(busy)):
        pieces_fetch()

    assert sources.began == ["good", "last"]
    states = [Piece.objects.get(pk=one.pk).state for one in (busy, broken, good, last)]
    assert states == ["FETCHING", "FETCHING", "RECEIVED", "RECEIVED"]


def test_a_download_stops_when_its_piece_is_removed(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [piece] = wanted(factories.miner(), "slow")

    def removing(*args: Any, **data: Any) -> Any:
        if Piece.objects.exists():
            piece_remove(piece, by=people.principal())
        return wait(*args, **data)

    monkeypatch.setattr("apps.pieces.services.fetches.wait", removing)

    pieces_fetch()

    assert not sources.let_go.is_set()
    assert (list(Piece.objects.all()), list(tmp_path.iterdir())) == ([], [])


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """Have sources fail, or go again."""

    def read(self: _Source, _size: int) -> bytes:
        if error is not None:
            raise error
        data, self.left = self.left, b""
        return data

    monkeypatch.setattr(_Source, "read", read)


@pytest.mark.parametrize("error", [SourceAway("it is gone", is_final=True), DomainError("it is gone")])
def test_a_download_that_is_refused_says_why(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    [piece] = wanted(factories.miner(), "x")
    failing(monkeypatch, error)

    pieces_fetch()

    piece.refresh_from_db()
    assert (piece.state, piece.error, list(tmp_path.iterdir())) == ("FAILED", "it is gone", [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SourceAway("it is away"), "it is away"),
        (OSError(), "OSError"),
        (DiskFull(DiskSpace(1, 100)), "free up space"),
    ],
)
def test_a_download_whose_source_fails_begins_again_for_an_hour(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    good, bad = wanted(factories.miner(), "good", "bad")
    failing(monkeypatch, error)

    def passed(minutes: int, began: int) -> list[str]:
        """States after a pass, this many minutes later, that begins so many downloads."""
        ago, count = timedelta(minutes=minutes), len(sources.began)
        Piece.objects.update(updated_at=F("updated_at") - ago, state_since=F("state_since") - ago)
        pieces_fetch()
        for piece in (good, bad):
            piece.refresh_from_db()
        assert len(sources.began) - count == began
        return [good.state, bad.state]

    assert passed(0, began=2) == ["FETCHING", "FETCHING"]
    assert reason in good.error
    assert passed(0, began=0) == ["FETCHING", "FETCHING"]
    assert passed(50, began=2) == ["FETCHING", "FETCHING"]
    failing(monkeypatch, None)
    Piece.objects.filter(pk=bad.pk).update(updated_at=clock.now())
    assert passed(2, began=2) == ["RECEIVED", "RECEIVED"]
    assert (good.error, bad.error) == ("", "")
    Piece.objects.filter(pk=bad.pk).update(state="FETCHING", error=reason)
    failing(monkeypatch, error)
    assert passed(70, began=1) == ["RECEIVED", "FAILED"]


def test_a_download_that_begins_again_leaves_no_bytes_meanwhile(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [piece] = wanted(factories.miner(), "x")

    def read(self: _Source, _size: int) -> bytes:
        if not self.left:
            raise DiskFull(DiskSpace(1, 100))
        data, self.left = self.left, b""
        return data

    monkeypatch.setattr(_Source, "read", read)

    pieces_fetch()

    piece.refresh_from_db()
    assert (piece.state, piece.received, list(tmp_path.iterdir())) == ("FETCHING", 0, [])
    assert "free up space" in piece.error


def test_what_is_under_way_is_stopped_when_the_pass_breaks_off(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    [piece] = wanted(factories.miner(), "slow")

    def away(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    monkeypatch.setattr("apps.pieces.services.fetches.wait", away)

    with pytest.raises(ConnectionError):
        pieces_fetch()
    assert not sources.let_go.is_set()
    assert Piece.objects.get(pk=piece.pk).state == "FETCHING"


def test_progress_of_a_download_is_in_its_row(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.pieces.data.files.SYNC_BYTES", len(DATA))
    [piece] = wanted(factories.miner(), "slow")
    Piece.objects.update(received=7)
    seen: list[int] = []

    def read(self: _Source, _size: int) -> bytes:
        if self.left:
            data, self.left = self.left, b""
            return data
        self.sources.let_go.wait(20)
        return b""

    def waited(*args: Any, **data: Any) -> Any:
        seen.append(Piece.objects.get(pk=piece.pk).received)
        if len(DATA) in seen:
            sources.let_go.set()
        return wait(*args, **data)

    monkeypatch.setattr(_Source, "read", read)
    monkeypatch.setattr("apps.pieces.services.fetches.wait", waited)

    pieces_fetch()

    assert len(DATA) in seen
    assert Piece.objects.get(pk=piece.pk).state == "RECEIVED"


def request(of: Any, **spec: Any) -> tuple[Piece, bool]:
    return piece_fetch_begin(of, spec=PieceSpec(**spec), url="https://a.example/x", by=people.principal())


def test_the_same_download_again_is_the_one_in_progress(sources: Sources) -> None:
    miner, cid = factories.miner(), factories.piece_cid(1)
    first, is_new = request(miner, piece_cid=cid, client=9, allocation=3)
    again, is_again_new = request(
        miner, piece_cid=cid, client=9, allocation=3, start_epoch=700, purpose="snap-up"
    )
    other, is_other_new = request(miner, piece_cid=cid, client=9, allocation=4)

    assert (is_new, is_again_new, is_other_new) == (True, False, True)
    assert (again.pk, again.start_epoch, again.purpose) == (first.pk, 700, "snap-up")
    assert other.pk != first.pk


@pytest.mark.parametrize("state", ["READY", "PACKED", "ACTIVE"])
def test_an_announced_piece_whose_bytes_are_here_is_not_fetched(sources: Sources, state: str) -> None:
    piece = factories.piece(factories.miner(), state=state, sector_number=None if state == "READY" else 7)
    path = piece_path(piece)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(100))
    cid = str(piece.piece_cid)

    assert request(piece.miner, piece_cid=cid) == (piece, False)
    assert request(piece.miner, piece_cid=cid, padded_size=128) == (piece, False)
    for spec in ({"client": 9, "allocation": 3}, {"padded_size": 256}):
        assert request(piece.miner, piece_cid=cid, **spec)[1]
    Piece.objects.filter(state="FETCHING").delete()
    path.unlink()
    assert request(piece.miner, piece_cid=cid)[1], "its bytes come back"
    Piece.objects.filter(state="FETCHING").delete()
    path.symlink_to(path)
    assert request(piece.miner, piece_cid=cid)[1], "so they do where `stat` fails"


@pytest.mark.parametrize(
    ("announced", "code"),
    [
        ({"announced_cid": factories.piece_cid(5)}, "the announced commitment is"),
        ({"padded_size": 128}, "at most 127"),
    ],
)
def test_a_download_of_other_bytes_fails_and_says_so(
    sources: Sources, tmp_path: Path, announced: Any, code: str
) -> None:
    [piece] = wanted(factories.miner(), "x")
    now = clock.now() - 2 * UNCHECKED
    Piece.objects.update(state="RECEIVED", payload_size=200, state_since=now, **announced)
    piece_path(piece).write_bytes(bytes(200))

    pieces_tidy(now=clock.now())

    piece.refresh_from_db()
    assert (piece.state, piece.has_data, list(tmp_path.iterdir())) == ("FAILED", False, [])
    assert code in piece.error


@pytest.mark.parametrize(
    "url", [f"https://{'a' * 70}é.example/x", "https://.example/x"], ids=["no such name", "no label"]
)
def test_an_address_that_cannot_be_fails_its_download(settings: Any, tmp_path: Path, url: str) -> None:
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path), True
    [piece] = wanted(factories.miner(), url)

    pieces_fetch()

    piece.refresh_from_db()
    assert piece.state == "FAILED"
    assert piece.error


SIGNED = "https://a.example/x?X-Amz-Signature=key#part"


@pytest.mark.parametrize(
    ("error", "states"),
    [(None, ["RECEIVED", "READY"]), (SourceAway("it is gone", is_final=True), ["FAILED"] * 2)],
)
def test_a_key_in_a_url_is_kept_for_its_download_and_shown_nowhere(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, error: Exception | None, states: list[str]
) -> None:
    shown, by = "https://a.example/x", people.principal()
    piece, _ = piece_fetch_begin(factories.miner(), spec=PieceSpec(), url=SIGNED, by=by)
    assert piece_body(piece)["source_url"] == shown
    assert AuditEntry.objects.filter(action="piece.begin", after__url=shown).exists()

    failing(monkeypatch, SourceAway("it is away"))
    pieces_fetch()
    failing(monkeypatch, error)
    Piece.objects.update(updated_at=clock.now() - 2 * fetches.AGAIN_AFTER)
    pieces_fetch()
    fetched = Piece.objects.get()
    pieces_tidy(now=clock.now() + 2 * UNCHECKED)
    ended = Piece.objects.get()

    assert sources.began == [SIGNED] * 2
    assert [fetched.state, ended.state] == states
    assert (piece_body(fetched)["source_url"], ended.source_url) == (shown, shown)


@pytest.mark.django_db(transaction=True)
def test_urls_of_downloads_that_ended_earlier_lose_their_keys() -> None:
    miner, states = factories.miner(), ("FETCHING", "RECEIVED", "READY", "FAILED", "ACTIVE")
    old = pieces_as_of("0007_terms_missing")
    for state in (*states, "ENDED"):
        piece = factories.piece_fields(state=state, source_url="" if state == "ENDED" else SIGNED)
        old.objects.create(miner_id=miner.pk, **piece)

    migrate_all(by_way_of="0008_source_urls_shown")

    found = dict(Piece.objects.values_list("state", "source_url"))
    kept = dict.fromkeys(states[:2], SIGNED)
    assert found == {**dict.fromkeys(states, "https://a.example/x"), **kept, "ENDED": ""}


def test_a_source_that_sends_more_than_was_stated_is_cut_off(sources: Sources, tmp_path: Path) -> None:
    piece, _ = request(factories.miner(), payload_size=len(DATA) - 1)

    pieces_fetch()

    piece.refresh_from_db()
    assert (piece.state, piece.received, list(tmp_path.iterdir())) == ("FAILED", 0, [])
    assert f"at most {len(DATA) - 1} bytes" in piece.error
