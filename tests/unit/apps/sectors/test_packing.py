"""Which waiting pieces begin new sectors: what a node says of their terms ends none for good too early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from apps.chain.errors import NodeRefused
from apps.core.reasons import Reason
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.reasons import BYTES_GONE
from apps.pieces.services.terms import loss_wait_note
from apps.sectors.rules.policy import SealingPolicy
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.sealing.packing import pieces_pack, pieces_plan
from poolsite.filecoin.sector import SIZE_32GIB
from tests import factories
from tests.unit.apps.sectors.sealing import NOON
from tests.unit.apps.sectors.snap_up import HEIGHT, NETWORK, Registry

pytestmark = pytest.mark.django_db

FINALITY = NETWORK.chain_finality


@pytest.fixture
def miner(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    monkeypatch.setattr("apps.sectors.services.sealing.packing.numbers_allocated", lambda *_: [])
    return factories.miner()


class Deals(Registry):
    """A chain whose market has no deal."""

    answer = "deal 5 not found - deal may not have completed sealing before deal proposal start epoch"

    def call(self, method: str, *args: Any) -> Any:
        if method == "StateMarketStorageDeal":
            raise NodeRefused(1, self.answer)
        return super().call(method, *args)


class Asked(Registry):
    """A chain that knows of which allocations it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def call(self, method: str, *args: Any) -> Any:
        self.asked.append(args[-2])
        return super().call(method, *args)


def waiting(of: Miner, **data: Any) -> Piece:
    """A piece that is due, with its bytes."""
    return factories.stored_piece(of, state_since=NOON.replace(hour=1), **data)


def allocated(of: Miner, piece: Piece) -> Any:
    """Its allocation as a node reports it."""
    known = {"Provider": of.actor_id, "Data": {"/": piece.piece_cid}, "Size": piece.padded_size}
    return known | {"Expiration": HEIGHT + 500, "TermMin": 1, "TermMax": 10**7}


def packed(chain: Registry, *pieces: Piece, height: int = HEIGHT) -> list[tuple[str, bool]]:
    """States of pieces after a pass, and whether their bytes are there."""
    head, policy = factories.head(height), SealingPolicy(pack_wait_s=0)
    client = cast("Any", chain)
    pieces_pack(SealingContext(client=client, network=NETWORK, head=head, now=NOON, policy=policy))
    for piece in pieces:
        piece.refresh_from_db()
    return [(piece.state, piece_path(piece).exists()) for piece in pieces]


def test_a_node_that_does_not_answer_costs_no_bytes_and_holds_up_no_other(miner: Miner) -> None:
    unread = waiting(miner, client=9, allocation=4, padded_size=miner.sector_size)
    half = waiting(miner, deal=5, padded_size=miner.sector_size // 2)
    good = waiting(miner)
    chain = Deals()
    chain.answer = "loading tipset: not found"

    assert packed(chain, unread, half, good) == [("READY", True), ("READY", True), ("PACKED", True)]
    assert not unread.error

    chain.allocations[4] = allocated(miner, unread)
    assert packed(chain, unread) == [("PACKED", True)]


@pytest.mark.parametrize("terms", [{"client": 9, "allocation": 4}, {"deal": 5}])
def test_terms_that_the_chain_lacks_end_a_piece_once_that_lasts(miner: Miner, terms: Any) -> None:
    piece, chain = waiting(miner, **terms), Deals()
    chain.allocations[4] = None

    assert packed(chain, piece) == [("READY", True)]
    assert piece.error in ("allocation 4 of f09 does not exist", "deal 5 does not exist")
    assert packed(chain, piece, height=HEIGHT + FINALITY - 1) == [("READY", True)]
    assert packed(chain, piece, height=HEIGHT + FINALITY) == [("FAILED", False)]
    assert piece.error.endswith("does not exist")


def test_an_allocation_that_a_reorganisation_brings_back_is_good(miner: Miner) -> None:
    piece, chain = waiting(miner, client=9, allocation=4), Registry()
    chain.allocations[4] = None
    assert packed(chain, piece) == [("READY", True)]
    chain.allocations[4] = allocated(miner, piece)

    assert packed(chain, piece, height=HEIGHT + FINALITY) == [("PACKED", True)]
    assert (piece.error, piece.terms_missing_since) == ("", None)


def test_what_the_chain_says_against_a_piece_ends_it_at_once(miner: Miner) -> None:
    piece, chain = waiting(miner, client=9, allocation=4), Registry()
    chain.allocations[4] = allocated(miner, piece) | {"Expiration": HEIGHT}

    assert packed(chain, piece) == [("FAILED", False)]
    assert "expired" in piece.error


def test_terms_that_the_chain_lacks_are_asked_for_in_turns(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.pieces.services.terms.ASKED_MAX", 2)
    pieces = [waiting(miner, client=9, allocation=number) for number in range(5)]
    chain = Asked()
    chain.allocations |= dict.fromkeys(range(5))

    for height in range(HEIGHT, HEIGHT + 3):
        packed(chain, *pieces, height=height)

    assert chain.asked == [0, 1, 2, 3, 4, 0], "each is asked for once at a head"
    assert all(piece.error.endswith("does not exist") for piece in pieces)


def test_what_fits_no_sector_by_itself_is_tried_with_no_other() -> None:
    same: dict[str, Any] = {"padded_size": 128, "state_since": NOON}
    unread = [Piece(pk=number, client=9, allocation=1, **same) for number in range(30)]
    plain = [Piece(pk=number, **same) for number in range(30, 60)]
    tried = []

    def refusal(pieces: Sequence[Piece]) -> str:
        tried.append(len(pieces))
        return "unread" if any(piece.has_unread_terms for piece in pieces) else ""

    plan = pieces_plan([*unread, *plain], sector_size=SIZE_32GIB, refusal=refusal)

    assert sorted(len(one.pieces) for one in plan) == [1] * 30 + [30]
    assert len(tried) == 60 + 29


@pytest.mark.parametrize("left", [None, bytes(99)], ids=["all", "one"])
def test_no_sector_is_begun_for_bytes_that_are_gone(miner: Miner, left: bytes | None) -> None:
    lost, good = waiting(miner, client=9, allocation=4, term_max=10**7), waiting(miner)
    chain = Asked()
    chain.allocations[4] = allocated(miner, lost)
    piece_path(lost).unlink()
    if left is not None:
        piece_path(lost).write_bytes(left)

    assert [state for state, _ in packed(chain, lost, good)] == ["READY", "PACKED"]
    assert (lost.has_data, lost.error.endswith("send them again")) == (True, True)
    assert packed(chain, lost)[0][0] == "READY"
    assert chain.asked == [], "a node is not asked about it"

    older = Reason("send its bytes again", BYTES_GONE.code, {})  # in the words of another version
    Piece.objects.filter(pk=lost.pk).update(error=older)
    piece_path(lost).write_bytes(bytes(100))
    assert packed(chain, lost) == [("PACKED", True)]
    assert lost.error == ""


def test_bytes_that_are_back_are_called_gone_no_more_whichever_version_did(miner: Miner) -> None:
    piece = waiting(miner)
    Piece.objects.filter(pk=piece.pk).update(error=str(BYTES_GONE()))  # from before codes
    piece.refresh_from_db()

    assert not loss_wait_note(piece)

    piece.refresh_from_db()
    assert piece.error == ""


def test_bytes_that_the_disk_cannot_find_hold_up_no_other_piece(miner: Miner) -> None:
    lost, good = waiting(miner), waiting(miner)
    piece_path(lost).unlink()
    piece_path(lost).symlink_to(piece_path(lost))  # its `stat` fails, as on a broken disk

    assert [state for state, _ in packed(Registry(), lost, good)] == ["READY", "PACKED"]
    assert (lost.has_data, lost.error.endswith("send them again")) == (True, True)
