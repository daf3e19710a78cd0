"""Page Pieces: where a piece is."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.dashboard.pages.pieces.rows import list_context
from apps.pieces.services.quotas import piece_quota_set
from apps.users.rules.principals import SYSTEM
from tests import factories, people
from tests.page_client import refusal_kept, signed_in, text_of

pytestmark = pytest.mark.django_db


def test_a_piece_links_to_its_sector_and_one_without_to_none() -> None:
    miner = factories.miner()
    sector = factories.sector(miner, number=0)
    packed = factories.piece(miner, state="PACKED", sector_number=0, offset=0)
    waiting = factories.piece(miner)

    rows = list_context([packed, waiting], SYSTEM)

    assert [(row.sector, row.sector_href) for row in rows] == [("0", f"/sectors/{sector.uuid}/"), ("–", "")]


def test_a_piece_in_a_faulty_sector_is_not_said_to_be_sealed() -> None:
    miner, data = factories.miner(), [{"size": 128, "comm_p": "00" * 32, "payload": 100}]
    factories.sector(miner, number=0, state="PROVING", pieces=data)
    factories.sector(miner, number=1, state="PC1_DONE", pieces=data)
    factories.sector(miner, number=2, state="PROVING", active=True)
    pieces = [factories.piece(miner, state="PACKED", sector_number=number, offset=0) for number in range(3)]
    pieces.append(factories.piece(miner, state="ACTIVE", sector_number=0, offset=0))

    rows = list_context(pieces, SYSTEM)

    words = ["sealed, not active", "being sealed", "being sealed", "sealed, not active"]
    assert [row.label.word for row in rows] == words


def test_how_much_of_a_download_is_here_is_shown() -> None:
    piece = factories.piece(factories.miner(), state="FETCHING", received=3 << 29, deal=4)

    [row] = list_context([piece], SYSTEM)

    assert row.say == "1.50 GiB received; deal 4"


def test_a_download_that_has_no_cid_yet_is_named_by_its_source() -> None:
    url = "https://me:pw@data.example:8443/a/b.car?X-Amz-Signature=key"
    waiting = {"state": "FETCHING", "piece_cid": "", "source_url": url}
    piece = factories.piece(factories.miner(), **waiting, error="connection refused")

    [row] = list_context([piece], SYSTEM)

    assert row.say == "from data.example/b.car; connection refused; tried again each minute"


def test_downloads_are_in_progress_and_can_be_listed(quiet: None, ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    for state in ("FETCHING", "RECEIVED", "UPLOADING", "PACKED"):
        factories.piece(miner, state=state)

    page = text_of(signed_in().get("/pieces/?state=FETCHING"))

    assert "4 pieces in progress" in page
    assert "3 arriving, 1 in sectors that are not active." in page
    assert "Downloading" in page


def test_a_waiting_piece_is_kept_for_a_snap_up_by_a_click(ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    waiting, active = (
        factories.piece(miner),
        factories.piece(miner, state="ACTIVE", sector_number=1, offset=0),
    )

    rows = list_context([waiting, active], SYSTEM)
    assert [row.purpose and row.purpose.purpose for row in rows] == ["snap-up", None]
    assert signed_in().post(f"/pieces/{waiting.uuid}/purpose/", {"purpose": "snap-up"}).status_code == 302

    waiting.refresh_from_db()
    [row] = list_context([waiting], SYSTEM)
    assert (row.say, row.purpose and row.purpose.purpose) == ("for a snap-up", "any")
    refused = signed_in().post(f"/pieces/{active.uuid}/purpose/", {"purpose": "snap-up"})
    assert "is in sector 1" in text_of(refused)
    refusal_kept(refused, own="/pieces/", client=signed_in())


@pytest.mark.parametrize(
    ("limit", "text"), [(0, "100 B, no limit"), (1000, "100 B of 1000 B"), (99, "100 B of 99 B")]
)
def test_the_page_shows_how_much_of_the_quota_is_used(ann: None, limit: int, text: str) -> None:
    factories.piece(factories.miner(2001, of="alice"))
    factories.piece(factories.miner(of="bob"), payload_size=7)
    operator = people.principal("pool", "admin", is_operator=True)
    piece_quota_set(people.tenant("alice"), limit_bytes=limit, by=operator)

    page = text_of(signed_in().get("/pieces/"))

    assert "Data of alice:" in page
    assert text in page
    assert ('class="bar" data-tone="bad"' in page) == (limit == 99)


def test_a_piece_is_found_by_either_version_of_its_cid(quiet: None, ann: None) -> None:
    miner = factories.miner(2001, of="alice")
    piece, other = factories.piece(miner), factories.piece(miner)
    stranger = factories.piece(factories.miner(2002, of="bob"))
    sized = piece.piece_cid_v2

    for cid in (piece.piece_cid, sized):
        found = signed_in("ann").get("/search/", {"q": cid})
        assert (found.status_code, found.headers["Location"]) == (
            302,
            f"/pieces/?piece_cid={cid}#f-piece-{piece.uuid}",
        )
        page = signed_in("ann").get("/pieces/", {"piece_cid": cid}).content.decode()
        assert (str(piece.uuid) in page, str(other.uuid) in page, sized in page) == (True, False, True)
    assert signed_in("ann").get("/search/", {"q": stranger.piece_cid}).status_code == 200
    none = signed_in("ann").get("/pieces/", {"piece_cid": stranger.piece_cid})
    assert "No pieces match these filters." in text_of(none)
    refused = signed_in("ann").get("/pieces/", {"piece_cid": "nonsense"})
    assert refused.status_code == 422
    assert "piece_cid: is not a piece" in text_of(refused)


def test_a_piece_that_came_meanwhile_is_offered_and_listed(quiet: None, ann: None) -> None:
    piece = factories.piece(factories.miner(), state="RECEIVED")
    page = signed_in()

    all_of, received, waiting = (
        text_of(page.get(reverse("pieces"), query))
        for query in ({}, {"state": "RECEIVED"}, {"state": "READY"})
    )

    assert 'id="new-rows" href="" data-oldest="0"' in all_of
    assert f'data-order="{piece.pk}"' in all_of
    assert ("Computing commitment" in received, f"f-piece-{piece.uuid}" in received) == (True, True)
    assert 'id="new-rows" href="" data-oldest="0"' in received
    assert f"f-piece-{piece.uuid}" not in waiting
