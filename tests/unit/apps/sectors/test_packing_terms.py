"""Which waiting pieces begin new sectors: by the terms of their allocations."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apps.chain.models import Head
from apps.pieces.models import Piece
from apps.sectors.models import Sector
from apps.sectors.rules.lifetimes import expirations_compute
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.settings import batch_settings_set
from apps.sectors.services.sealing.packing import packing_plan, pieces_pack
from tests import factories, people
from tests.unit.apps.sectors.sealing import NOON
from tests.unit.apps.sectors.snap_up import HEIGHT, NETWORK, Registry

pytestmark = pytest.mark.django_db
MONTH = 30 * 2880


def waiting(of: Any, chain: Registry, number: int, *, term_min: int, term_max: int) -> Piece:
    """A piece with an allocation."""
    row = factories.stored_piece(of, state_since=NOON, client=9, allocation=number)
    chain.allocations[number] = {
        "Provider": of.actor_id,
        "Data": {"/": row.piece_cid},
        "Size": row.padded_size,
        "Expiration": HEIGHT + 500,
        "TermMin": term_min * MONTH,
        "TermMax": term_max * MONTH,
    }
    return row


def packed(chain: Registry, height: int = HEIGHT) -> None:
    policy = SealingPolicy(pack_wait_s=0)
    head = Head.objects.filter(height=height).first() or factories.head(height)
    client = cast("Any", chain)
    pieces_pack(SealingContext(client=client, network=NETWORK, head=head, now=NOON, policy=policy))


@pytest.fixture
def miner(settings: Any, tmp_path: Any) -> Any:
    """One that may pack."""
    settings.PIECES_DIR = str(tmp_path)
    return factories.miner()


def test_pieces_whose_terms_no_sector_meets_together_go_apart(miner: Any) -> None:
    chain = Registry()
    short, also, long = (
        waiting(miner, chain, number, term_min=least, term_max=most)
        for number, least, most in ((1, 6, 9), (2, 7, 9), (3, 18, 21))
    )
    packed(chain)

    for piece in (short, also, long):
        piece.refresh_from_db()
        assert piece.state == "PACKED"
    assert short.sector_number == also.sector_number != long.sector_number
    assert (long.term_min, long.term_max) == (18 * MONTH, 21 * MONTH)
    assert Sector.objects.count() == 2


def test_a_piece_whose_term_no_sector_meets_is_refused(miner: Any) -> None:
    chain = Registry()
    piece = waiting(miner, chain, 1, term_min=6, term_max=6)

    packed(chain)

    piece.refresh_from_db()
    assert piece.state == "FAILED"
    assert "no new sector fits its terms" in piece.error
    assert not Sector.objects.exists()


def test_what_would_begin_now_is_told_by_the_same_rule(miner: Any) -> None:
    chain = Registry()
    for number, least, most in ((1, 6, 9), (2, 18, 21)):
        piece = waiting(miner, chain, number, term_min=least, term_max=most)
        Piece.objects.filter(pk=piece.pk).update(term_min=least * MONTH, term_max=most * MONTH)
    assert len(packing_plan(miner)) == 1, "before the first head nothing is known of the chain"

    factories.head(HEIGHT)

    assert len(packing_plan(miner)) == 2


def test_a_piece_that_a_committed_sector_may_take_keeps_its_bytes(miner: Any) -> None:
    batch_settings_set(miner, values={"snap_up_first": True}, by=people.principal())
    piece = waiting(miner, chain := Registry(), 1, term_min=1, term_max=2)

    packed(chain)
    packed(chain)

    piece.refresh_from_db()
    assert (piece.state, piece.has_data) == ("READY", True)
    assert "no new sector fits its terms" in piece.error


def test_a_deal_that_a_later_sector_meets_waits_for_it(miner: Any) -> None:
    chain = Registry()
    piece = factories.stored_piece(miner, state_since=NOON, deal=5)
    most = expirations_compute([], height=HEIGHT, network=NETWORK).most
    proposal = {"Provider": f"f0{miner.actor_id}", "PieceCID": {"/": piece.piece_cid}, "PieceSize": 128}
    chain.deals[5] = {"Proposal": {**proposal, "StartEpoch": HEIGHT + 500, "EndEpoch": most + 100}}

    packed(chain, HEIGHT)
    piece.refresh_from_db()
    assert (piece.state, piece.error.startswith("no new sector fits its terms")) == ("READY", True)

    packed(chain, HEIGHT + 100)
    piece.refresh_from_db()
    assert (piece.state, piece.error) == ("PACKED", "")
