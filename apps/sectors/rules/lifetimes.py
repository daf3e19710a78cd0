"""Until when a new sector lives: as wished, within what the chain and the terms of its pieces allow.

Source: builtin-actors actors/miner/src/lib.rs validate_expiration; actors/verifreg/src/lib.rs
can_claim_alloc; actors/market/src/lib.rs validate_deal_can_activate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.marked_texts import gettext
from apps.pieces.models import Piece
from poolsite.filecoin.policy import Network


@dataclass(frozen=True, slots=True)
class Expirations:
    """Epochs to which a sector may live whose pre-commit is made now."""

    least: int
    """First that is enough if it activates as soon as its messages go through."""
    safe: int
    """First that is enough even if it activates at the last moment."""
    most: int


def expirations_compute(pieces: Sequence[Piece], *, height: int, network: Network) -> Expirations:
    """Return to which epochs a sector of these pieces may live; none if `least` is above `most`.

    The chain counts the shortest life from the latest epoch at which the sector can activate, and the term
    of an allocation from the one at which it does.  What a message may wait is added to both.
    """
    slack = network.proving.period + network.pre_commit_challenge_delay
    first, soon = height + network.pre_commit_challenge_delay, height + 2 * slack
    last = height + slack + network.max_prove_commit_duration
    for piece in pieces:  # none is claimed, or begins, after its terms
        if piece.terms_epoch is not None:
            soon, last = min(soon, piece.terms_epoch), min(last, piece.terms_epoch)
    least = height + network.max_prove_commit_duration + network.min_sector_expiration + slack
    most = height + min(network.max_sector_expiration_extension, network.max_sector_lifetime) - slack
    terms = [piece.term_min for piece in pieces if piece.term_min is not None]
    longest = max(terms, default=0)
    least = max([least, *(piece.end_epoch for piece in pieces if piece.end_epoch is not None)])
    return Expirations(
        least=max(least, soon + longest),
        safe=max(least, last + longest),
        most=min([most, *(first + piece.term_max for piece in pieces if piece.term_max is not None)]),
    )


def expiration_choose(*, height: int, wished: int, network: Network, pieces: Sequence[Piece] = ()) -> int:
    """Return the epoch to which a new sector is to live: the nearest to the wish that is allowed.

    Pieces for which `lifetime_refusal` has a reason get one that the chain refuses with them.
    """
    allowed = expirations_compute(pieces, height=height, network=network)
    return min(max(allowed.safe, height + wished), allowed.most)


def lifetime_refusal(pieces: Sequence[Piece], *, height: int, network: Network) -> str:
    """Return why no new sector lives as the terms of its pieces ask; empty if one does."""
    unknown = next((piece for piece in pieces if piece.has_unread_terms), None)
    if unknown is not None:
        return gettext("the node does not report the terms of piece {piece}").format(piece=unknown)
    allowed = expirations_compute(pieces, height=height, network=network)
    if allowed.least <= allowed.most:
        return ""
    return gettext(
        "no new sector fits its terms: it would have to live to epoch {least} or longer, and to epoch "
        "{most} at most"
    ).format(least=allowed.least, most=allowed.most)


def fits_later(piece: Piece, *, height: int, network: Network) -> bool:
    """Return whether a new sector that is begun later, at an epoch before its terms end, can meet them.

    The later a sector begins, the longer it may live and the less of a term is lost before it activates: what
    none meets at the last moment is met by none before.
    """
    if piece.last_epoch is not None:
        height = max(height, piece.last_epoch - network.pre_commit_challenge_delay - 1)
    return not lifetime_refusal([piece], height=height, network=network)
