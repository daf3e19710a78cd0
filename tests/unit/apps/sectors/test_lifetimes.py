"""Until when new sectors live: all terms of their pieces hold whenever they become active."""

from __future__ import annotations

from typing import Any

import pytest

from apps.pieces.models import Piece
from apps.sectors.rules.lifetimes import expiration_choose, fits_later, lifetime_refusal
from poolsite.filecoin.expiration import expiration_check
from poolsite.filecoin.policy import MAINNET, TEST

DAY = 2880
NOW = 5_500_000
WISHED = 540 * DAY
START = NOW + 3 * DAY


def deal(days: int, **changes: Any) -> Piece:
    """A verified deal as the built-in market makes its allocation, which begins in three days."""
    end = START + days * DAY
    terms = {"deal": 1, "end_epoch": end, "terms_epoch": START, **allocated(days, days + 90), **changes}
    return Piece(**terms)


def allocated(least: int, most: int) -> dict[str, int]:
    return {"client": 9, "allocation": 3, "term_min": least * DAY, "term_max": most * DAY}


def chosen(*pieces: Piece, height: int = NOW) -> int:
    return expiration_choose(height=height, wished=WISHED, network=MAINNET, pieces=pieces)


def is_taken(expiration: int, piece: Piece, *, active: int) -> bool:
    """As the verified registry and the market decide when a sector becomes active."""
    term_min, term_max = piece.term_min or 0, piece.term_max or 10**9
    is_claimed = term_min <= expiration - active <= term_max
    return is_claimed and (piece.end_epoch or 0) <= expiration


@pytest.mark.parametrize("days", [180, 365, 540, 1260])
def test_a_verified_deal_is_claimed_whenever_its_sector_becomes_active(days: int) -> None:
    piece = deal(days)
    expiration = chosen(piece)

    assert not lifetime_refusal([piece], height=NOW, network=MAINNET)
    for active in range(NOW + MAINNET.pre_commit_challenge_delay + 1, START + 1, 97):
        assert is_taken(expiration, piece, active=active)
    latest = NOW + MAINNET.max_prove_commit_duration
    expiration_check(expiration, activation=latest, now=NOW, network=MAINNET)


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(180, 1825, WISHED), (180, 270, 270 * DAY + 150), (600, 1825, (600 + 30) * DAY + 150 + 2880 + 150)],
)
def test_an_allocation_is_claimed_until_the_pre_commit_ends(least: int, most: int, expected: int) -> None:
    piece = Piece(terms_epoch=NOW + 60 * DAY, **allocated(least, most))

    assert chosen(piece) == NOW + expected
    last = NOW + MAINNET.pre_commit_challenge_delay + MAINNET.max_prove_commit_duration
    assert is_taken(NOW + expected, piece, active=NOW + 151)
    assert is_taken(NOW + expected, piece, active=last)


def test_a_tight_term_gets_as_much_time_as_it_leaves() -> None:
    piece = Piece(**allocated(535, 540))

    assert chosen(piece) == NOW + 150 + 540 * DAY
    assert not lifetime_refusal([piece], height=NOW, network=MAINNET)
    narrow = Piece(**allocated(540, 540))
    assert "no new sector fits its terms" in lifetime_refusal([narrow], height=NOW, network=MAINNET)


@pytest.mark.parametrize(
    "piece",
    [
        Piece(**allocated(180, 190)),
        Piece(**allocated(1300, 1825)),
        Piece(deal=1, end_epoch=NOW + 1279 * DAY, terms_epoch=START),
    ],
    ids=["shorter than any sector", "longer than any sector", "deal ends after any sector"],
)
def test_terms_that_no_sector_meets_are_refused(piece: Piece) -> None:
    assert "no new sector fits its terms" in lifetime_refusal([piece], height=NOW, network=MAINNET)


def test_pieces_share_a_sector_only_if_one_lifetime_meets_all_terms() -> None:
    short, middle, long = deal(180), deal(200), deal(540)
    plain = Piece()

    assert not lifetime_refusal([short, middle, plain], height=NOW, network=MAINNET)
    for piece in (short, middle):
        assert is_taken(chosen(short, middle, plain), piece, active=NOW + 151)
        assert is_taken(chosen(short, middle, plain), piece, active=START)
    assert lifetime_refusal([short, long], height=NOW, network=MAINNET)


def test_terms_that_were_not_read_fit_nothing() -> None:
    piece = Piece(piece_cid="baga", client=9, allocation=3)

    assert "does not report the terms of piece baga" in lifetime_refusal([piece], height=1, network=TEST)
    assert lifetime_refusal([Piece(deal=3)], height=1, network=TEST)
    assert not lifetime_refusal([Piece()], height=1, network=TEST)


@pytest.mark.parametrize(
    ("piece", "fits"),
    [
        (Piece(deal=1, end_epoch=NOW + (7 + 1275) * DAY, terms_epoch=NOW + 7 * DAY), True),
        (Piece(deal=1, end_epoch=NOW + 1286 * DAY, terms_epoch=NOW + 7 * DAY), False),
        (Piece(terms_epoch=NOW + 7 * DAY, **allocated(540, 540)), False),
        (Piece(terms_epoch=NOW + 7 * DAY, **allocated(180, 190)), False),
        (Piece(terms_epoch=NOW + 7 * DAY, start_epoch=NOW + DAY, deal=1, end_epoch=NOW + 1279 * DAY), False),
        (Piece(**allocated(180, 190)), False),
    ],
)
def test_what_no_sector_meets_now_may_fit_one_that_begins_later(piece: Piece, fits: bool) -> None:
    assert lifetime_refusal([piece], height=NOW, network=MAINNET)
    assert fits_later(piece, height=NOW, network=MAINNET) == fits

    heights = range(NOW, NOW + 7 * DAY - 151, 97)
    met = [not lifetime_refusal([piece], height=height, network=MAINNET) for height in heights]
    assert met == sorted(met), "once it fits, it does until its terms end"
