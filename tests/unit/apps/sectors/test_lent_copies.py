"""Copies that were unsealed for somebody who retrieves them: which go, when, and which stay."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from apps.core import clock
from apps.market.services.markets import market_set
from apps.miners.models import Miner
from apps.pieces.data.commitments import small_commitment
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece, PieceQuota
from apps.pieces.services.checks import piece_check
from apps.pieces.services.restored_data import READ_NOTED, data_restore
from apps.pieces.services.retention import pieces_tidy
from apps.sectors.models import Job, Sector
from apps.sectors.services.runs.lent_copies import LENT_AT_LEAST, LENT_FOR, copy_remove, lent_copies_remove
from apps.sectors.services.runs.unsealing import retrieval_unseal_request, unseal_request
from poolsite.ipld.cids import text_write
from tests import factories, people
from tests.cars import blocks_of, golden, piece_of

pytestmark = pytest.mark.django_db

NOW = clock.now()
SIZE = 127
HOUR = timedelta(hours=1)


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR, settings.DISK_RESERVE_BYTES = str(tmp_path), 0
    row = factories.miner(2001, sector_size=2048)
    market_set(row, values={"serves_data": True, "unseals_data": True}, by=people.principal())
    return row


Sweep = Callable[[datetime], None]


@pytest.fixture
def sweep(django_capture_on_commit_callbacks: Any) -> Sweep:
    """Return what a head does; each transaction of it ends."""

    def run(now: datetime) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            lent_copies_remove(now=now)

    return run


def sealed(miner: Miner, number: int = 1) -> Piece:
    """Return a piece that is in its sector only."""
    cid = str(small_commitment(data_of(number)).cid)
    piece = factories.piece(miner, piece_cid=cid, payload_size=SIZE, padded_size=128)
    return factories.sealed_piece(piece)


def data_of(number: int) -> bytes:
    return bytes([number]) * SIZE


def lent(miner: Miner, number: int = 1, *, read_before: timedelta = timedelta(0)) -> Piece:
    """Return a piece that was unsealed for somebody who retrieves it."""
    piece = sealed(miner, number)
    retrieval_unseal_request(piece, now=NOW - 10 * LENT_FOR)
    Job.objects.update(state="DONE")
    data_restore(Piece.objects.get(pk=piece.pk), source=io.BytesIO(data_of(number)))
    Piece.objects.filter(pk=piece.pk).update(copy_read_at=NOW - read_before)
    piece.refresh_from_db()
    return piece


def has_copy(piece: Piece) -> bool:
    piece.refresh_from_db()
    assert piece.has_data == piece_path(piece).exists()
    return piece.has_data


def test_a_copy_goes_seven_days_after_it_was_read_last(miner: Miner, sweep: Sweep) -> None:
    old = lent(miner, 1, read_before=LENT_FOR + HOUR)
    recent = lent(miner, 2, read_before=LENT_FOR - HOUR)

    sweep(NOW)

    assert (has_copy(old), has_copy(recent)) == (False, True)
    retrieval_unseal_request(old, now=NOW)
    assert Job.objects.filter(inputs__piece=str(old.uuid), state="READY").exists()


def test_a_copy_counts_as_read_once_it_has_come(miner: Miner, sweep: Sweep) -> None:
    piece = sealed(miner)
    retrieval_unseal_request(piece, now=NOW - LENT_FOR - HOUR)
    data_restore(Piece.objects.get(), source=io.BytesIO(data_of(1)))
    sweep(NOW)

    assert has_copy(piece)


def _unsealed_by_operator(miner: Miner) -> Piece:
    piece = sealed(miner)
    unseal_request(piece, now=NOW)
    data_restore(Piece.objects.get(), source=io.BytesIO(data_of(1)))
    return piece


def _asked_for_by_both(miner: Miner) -> Piece:
    piece = sealed(miner)
    retrieval_unseal_request(piece, now=NOW)
    unseal_request(piece, now=NOW)
    data_restore(Piece.objects.get(), source=io.BytesIO(data_of(1)))
    return piece


def _under_way_for_operator(miner: Miner) -> Piece:
    piece = sealed(miner)
    unseal_request(piece, now=NOW)
    retrieval_unseal_request(piece, now=NOW)
    data_restore(Piece.objects.get(), source=io.BytesIO(data_of(1)))
    return piece


def _sent_again(miner: Miner) -> Piece:
    piece = lent(miner)
    again = factories.piece(
        miner, state="RECEIVED", piece_cid="", padded_size=0, payload_size=SIZE, received=SIZE
    )
    piece_path(again).write_bytes(data_of(1))
    piece_check(again, by=people.principal())
    return piece


def _without_sealed_file(miner: Miner) -> Piece:
    piece = lent(miner, read_before=10 * LENT_FOR)
    Sector.objects.update(store="")
    return piece


def _sealed_file_removed(miner: Miner) -> Piece:
    piece = lent(miner, read_before=10 * LENT_FOR)
    Sector.objects.update(removal_asked_at=NOW)
    return piece


@pytest.mark.parametrize(
    "make",
    [
        _unsealed_by_operator,
        _asked_for_by_both,
        _under_way_for_operator,
        _sent_again,
        _without_sealed_file,
        _sealed_file_removed,
    ],
)
def test_what_is_kept_for_another_reason_stays(
    miner: Miner, sweep: Sweep, make: Callable[[Miner], Piece]
) -> None:
    piece = make(miner)
    sweep(clock.now() + 2 * LENT_FOR)

    assert has_copy(piece)


def test_a_copy_that_is_read_this_moment_stays(miner: Miner) -> None:
    piece = lent(miner, read_before=2 * LENT_FOR)
    Piece.objects.update(copy_read_at=NOW)
    copy_remove(piece)

    assert has_copy(piece)


def test_least_recently_read_copies_go_for_a_tenants_quota(miner: Miner, sweep: Sweep) -> None:
    copies = [lent(miner, number, read_before=number * HOUR + HOUR / 2) for number in range(4)]
    PieceQuota.objects.create(tenant=miner.tenant, limit_bytes=6 * SIZE)
    sweep(NOW)  # half of the quota is to be free

    assert [has_copy(one) for one in copies] == [True, True, True, False]

    PieceQuota.objects.update(limit_bytes=1)
    sweep(NOW)
    assert [has_copy(one) for one in copies] == [True, False, False, False], LENT_AT_LEAST


def test_all_copies_may_go_where_the_disk_is_full(miner: Miner, sweep: Sweep, settings: Any) -> None:
    copies = [lent(miner, number) for number in range(2)]
    kept = factories.piece(miner, state="ACTIVE")
    piece_path(kept).write_bytes(b"x")
    settings.DISK_RESERVE_BYTES = 1 << 60
    sweep(NOW)

    assert [has_copy(one) for one in copies] == [False, False]
    assert piece_path(kept).exists()


def test_a_kill_before_the_file_goes_leaves_it_to_the_next_head(miner: Miner, sweep: Sweep) -> None:
    piece = lent(miner, read_before=LENT_FOR + HOUR)
    with patch("apps.pieces.services.restored_data.leftover_remove"):
        sweep(NOW)
    assert piece_path(piece).exists()
    pieces_tidy(now=NOW)

    assert not has_copy(piece)


def read_at(piece: Piece) -> datetime | None:
    piece.refresh_from_db()
    return piece.copy_read_at


@pytest.mark.parametrize("way", ["piece", "ipfs"])
def test_a_read_is_noted_once_an_hour(client: Client, miner: Miner, way: str) -> None:
    car = golden("subdir-with-mixed-block-files")
    piece = piece_of(miner, car)
    block = text_write(blocks_of(car)[0][0])
    address = f"/piece/{piece.piece_cid}" if way == "piece" else f"/ipfs/{block}?format=raw"

    def read() -> None:
        answer: Any = client.get(address)
        assert b"".join(answer.streaming_content)

    read()
    assert read_at(piece) is None, "it is kept anyhow"
    for before, is_noted in ((READ_NOTED / 2, False), (READ_NOTED * 2, True)):
        Piece.objects.update(copy_read_at=clock.now() - before)
        read()
        noted = read_at(piece)
        assert noted is not None
        assert (clock.now() - noted < READ_NOTED / 4) == is_noted
