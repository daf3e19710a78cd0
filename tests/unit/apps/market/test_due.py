"""Which deals a head goes on with, and what the database reads for that beside many that have ended."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from apps.core import clock
from apps.market import due
from apps.market.models import Deal
from apps.market.selectors.deals import WHOLE_EPOCHS, deals_followed
from apps.market.services.follow import deals_advance
from tests import factories
from tests.mk20 import sized
from tests.query_plans import plan_run, rows_read

pytestmark = pytest.mark.django_db

KEY = uuid.uuid4()
ENDED = """
    WITH old AS (
        INSERT INTO pieces_piece (uuid, created_at, updated_at, miner_id, state, state_since, piece_cid,
            announced_cid, padded_size, received, is_resumable, source_url, has_data, has_leftover, purpose,
            source_tag, actor, error, allocation, client, sector_number)
        SELECT gen_random_uuid(), now(), now(), %(miner)s, CASE n %% 2 WHEN 0 THEN 'ENDED' ELSE 'ACTIVE' END,
            now() - interval '30 days', 'c' || n, '', 128, 0, false, '', false, false, 'any',
            '', '', '', n, n, n
        FROM generate_series(1, %(count)s) n RETURNING id, state, sector_number
    )
    INSERT INTO market_deal (uuid, created_at, updated_at, miner_id, state, state_since, door, digest, client,
        piece_cid, padded_size, raw_size, duration, is_indexed, is_announced, source, places, place_at,
        is_whole, reason, collateral, lockup, piece_id, sector_number, start_epoch, chain_deal)
    SELECT gen_random_uuid(), now(), now(), %(miner)s, state, now() - interval '30 days', 'mk20', '', 'f01',
        '', 128, 127, 1000, false, false, 'put', '', 0, false, '', 0, 0, id, sector_number, 10000000, id
    FROM old
"""
"""Deals, half of them active and half ended, each with its piece in the same state."""


def keys(*, height: int = WHOLE_EPOCHS + 100) -> set[int]:
    return {deal.pk for deal in deals_followed(height=height, now=clock.now())}


def test_a_head_reads_few_rows_beside_many_deals_that_are_over() -> None:
    miner = factories.miner(2001)
    with connection.cursor() as cursor:
        cursor.execute(ENDED, {"miner": miner.pk, "count": 100_000})
        for state in ("VERIFIED", "SEALING", "ACTIVE", "ACCEPTED"):
            factories.deal(miner, sized(b"x"), state=state)
        cursor.execute("ANALYZE market_deal")
        cursor.execute("ANALYZE pieces_piece")
        for text in (due.DEALS, due.FOLLOWED, due.JOINS):
            plan = plan_run(cursor, text.replace("$1", "5").replace("$2", "now()"))
            assert rows_read(plan, "market_deal") < 20
            assert rows_read(plan, "pieces_piece") < 20

    assert len(keys()) == 3


@pytest.mark.parametrize(
    ("state", "piece_state", "is_followed"),
    [
        *(("ACTIVE", "ACTIVE", False), ("ACTIVE", "PACKED", True), ("ACTIVE", "ENDED", True)),
        *(("ENDED", "ENDED", False), ("ENDED", "ACTIVE", True), ("ENDED", "PACKED", True)),
        *(("SEALING", "PACKED", False), ("SEALING", "READY", True), ("VERIFIED", "FAILED", True)),
        *(("FAILED", "HELD", True), ("FAILED", "READY", False), ("UNPUBLISHED", "HELD", True)),
        *(("PUBLISHING", "HELD", False), ("REFUSED", "READY", False)),
    ],
)
def test_a_deal_is_followed_while_its_piece_is_elsewhere(
    state: str, piece_state: str, is_followed: bool
) -> None:
    miner = factories.miner(2001)
    piece = factories.piece(miner, state=piece_state, sector_number=7)
    factories.deal(miner, sized(b"x"), state=state, piece=piece, sector_number=7)

    assert bool(keys()) == is_followed


@pytest.mark.parametrize(
    ("terms", "piece_terms", "is_followed"),
    [
        ({}, None, False),
        ({"source": "offline"}, None, False),
        ({"source": "http"}, None, True),
        ({"start_epoch": WHOLE_EPOCHS + 101}, None, False),
        ({"start_epoch": WHOLE_EPOCHS + 100}, None, True),
        ({"data_until": clock.now() - timedelta(seconds=1)}, None, True),
        ({"state": "TRANSFERRING"}, None, True),
        ({"uuid": KEY}, {"held_for": KEY}, True),
        ({}, {"piece_cid": str(sized(b"x").cid)}, True),
        ({}, {"piece_cid": str(sized(b"y").cid)}, False),
    ],
)
def test_a_deal_without_data_is_followed_when_there_is_something_to_do(
    terms: dict[str, Any], piece_terms: dict[str, Any] | None, is_followed: bool
) -> None:
    """A pool may wait for the disks of thousands of them: each head would ask for each one's piece."""
    miner = factories.miner(2001)
    if piece_terms is not None:
        factories.piece(miner, state="READY", **piece_terms)
    factories.deal(miner, sized(b"x"), **{"state": "ACCEPTED", "source": "put", **terms})

    assert bool(keys()) == is_followed


@pytest.mark.parametrize(("state", "is_due"), [("ACCEPTED", True), ("TRANSFERRING", True), ("FAILED", False)])
def test_an_upload_whose_chunks_are_here_is_put_together(state: str, is_due: bool) -> None:
    factories.deal(factories.miner(2001), sized(b"x"), state=state, source="put", is_whole=True)

    with connection.cursor() as cursor:
        cursor.execute(due.JOINS)
        assert (cursor.fetchone() is not None) == is_due


@pytest.mark.parametrize("piece_state", ["UPLOADING", "FETCHING", "RECEIVED", "HELD", "FAILED", "READY"])
def test_a_deal_whose_data_come_is_followed_once_they_are_here(piece_state: str) -> None:
    miner = factories.miner(2001)
    piece = factories.piece(miner, state=piece_state)
    factories.deal(miner, sized(b"x"), state="TRANSFERRING", piece=piece)

    assert bool(keys()) == (piece_state in ("HELD", "FAILED", "READY"))


def test_a_deal_ends_with_its_term_though_its_sector_lives() -> None:
    miner, height = factories.miner(2001), WHOLE_EPOCHS + 100
    piece = factories.piece(miner, state="ACTIVE", sector_number=7)
    terms = {"state": "ACTIVE", "piece": piece, "sector_number": 7, "start_epoch": height - 1000}
    over = factories.deal(miner, sized(b"x"), **terms, chain_deal=1, duration=1000)
    factories.deal(miner, sized(b"x"), **terms, chain_deal=2, duration=1001)
    factories.deal(miner, sized(b"x"), **terms, allocation=3, duration=1000)
    assert keys(height=height) == {over.pk}

    deals_advance(height=height, now=clock.now())

    over.refresh_from_db()
    assert (over.state, over.reason) == ("ENDED", f"its term ended at epoch {height}")
    assert sorted(Deal.objects.values_list("state", flat=True)) == ["ACTIVE", "ACTIVE", "ENDED"]
    assert keys(height=height) == set(), "it stays so"


def test_a_piece_that_went_on_long_ago_is_noticed_once_a_day() -> None:
    miner = factories.miner(2001)
    long_ago = clock.now() - timedelta(days=40)
    piece = factories.piece(miner, state="ENDED", sector_number=7, state_since=long_ago)
    factories.deal(miner, sized(b"x"), state="ACTIVE", piece=piece, sector_number=7)

    assert keys() == set()
    assert keys(height=WHOLE_EPOCHS + 3) == {Deal.objects.get().pk}
