"""What becomes of clients' pieces when their sector ends."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from apps.pieces.models import Piece
from apps.sectors.errors.runs import NotUnsealed
from apps.sectors.models import Sector, SectorChange
from apps.sectors.services.changes.steps import change_step
from apps.sectors.services.runs.unsealing import unseal_request, unsealed_remove
from apps.sectors.services.sealing.placements import placements_compare, placements_follow
from poolsite.filecoin.policy import network_by_name
from poolsite.wire.pipeline.changes import ChangeEvent
from tests import factories, people
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db

NETWORK = network_by_name("localnet-poolsite-test")
LATE = NETWORK.chain_finality + NETWORK.proving.period
"""So many epochs after its expiration no reorganisation brings a sector back."""


def follow(piece: Piece, *, height: int = 1_000, live: Collection[int] | None = None) -> str:
    """Return the state of a piece after a head at which its sector changed, or all were compared."""
    placements_compare(piece.miner, live=live, now=NOON)
    placements_follow(height=height, network=NETWORK, now=NOON)
    piece.refresh_from_db()
    return piece.state


def sealed() -> tuple[Sector, Piece]:
    """Return an active sector and the piece in it."""
    sector = factories.sector(factories.miner(), state="PROVING", active=True, expiration=5_000, store="s")
    piece = factories.piece(sector.miner, state="PACKED", sector_number=sector.number, offset=0)
    assert follow(piece) == "ACTIVE"
    return sector, piece


def test_a_piece_ends_with_a_termination_and_comes_back_with_its_sector() -> None:
    sector, piece = sealed()

    Sector.objects.filter(pk=sector.pk).update(state="TERMINATED", active=False)
    assert [follow(piece), follow(piece)] == ["ENDED", "ENDED"]
    Sector.objects.filter(pk=sector.pk).update(state="PROVING", active=True)
    assert follow(piece) == "ACTIVE"


def test_a_piece_ends_where_the_chain_showed_the_termination_before() -> None:
    sector, piece = sealed()
    Sector.objects.filter(pk=sector.pk).update(active=False)
    assert follow(piece) == "ACTIVE", "it might be faulty"
    change = SectorChange.objects.create(
        sector=sector, kind="TERMINATE", state="TERMINATE_SENT", queued_height=900
    )

    assert change_step(change, event=ChangeEvent.LAND, now=NOON)

    placements_follow(height=1_000, network=NETWORK, now=NOON)
    piece.refresh_from_db()
    assert piece.state == "ENDED"


def test_a_piece_ends_with_its_sectors_life_and_not_with_a_fault() -> None:
    sector, piece = sealed()
    Sector.objects.filter(pk=sector.pk).update(active=False)

    assert follow(piece) == "ACTIVE", "it is faulty: its deal goes on"
    assert follow(piece, live=[sector.number]) == "ACTIVE"
    assert follow(piece, height=5_000 + LATE - 1, live=[]) == "PACKED"
    assert follow(piece, height=5_000 + LATE, live=[]) == "ENDED"


def test_a_piece_whose_commit_left_the_chain_is_not_active() -> None:
    sector, piece = sealed()

    Sector.objects.filter(pk=sector.pk).update(state="COMMIT_SENT", active=False)

    assert follow(piece) == "PACKED"


def test_unsealed_bytes_of_an_ended_sector_can_be_removed() -> None:
    sector, piece = sealed()
    Sector.objects.filter(pk=sector.pk).update(state="TERMINATED", active=False)
    follow(piece)

    assert unsealed_remove(Sector.objects.get(), by=people.principal()) == 1
    piece.refresh_from_db()
    assert not piece.has_data


def test_nobody_unseals_what_hosts_were_told_to_remove() -> None:
    sector, piece = sealed()
    factories.worker("sealer-9", stores=["s"], kinds=["seal", "unseal"])
    facts = {"comm_d": bytes(32), "ticket": bytes(32), "state": "TERMINATED", "active": False}
    Sector.objects.filter(pk=sector.pk).update(**facts, removal_asked_at=NOON)
    follow(piece)

    with pytest.raises(NotUnsealed, match="were removed"):
        unseal_request(piece, now=NOON)
    Sector.objects.update(removal_asked_at=None)
    assert unseal_request(piece, now=NOON).stage == "UNSEAL"
