"""Pre-commits live as the pieces of their sectors ask, each for itself."""

from __future__ import annotations

from typing import Any

import pytest

from apps.pieces.models import Piece
from apps.sectors.models import Batch, Sector
from apps.sectors.services.batches.closing import batches_close
from poolsite.filecoin.actors.miner_sectors import PreCommitSectorBatch2Params
from poolsite.filecoin.codec import from_cbor
from tests import factories
from tests.unit.apps.sectors.reconcile import NETWORK, work
from tests.unit.apps.sectors.sealing import DIGEST
from tests.unit.apps.sectors.snap_up import Registry

pytestmark = pytest.mark.django_db
DAY = 2880


def stored(of: Any, **terms: int) -> Sector:
    """A sealed sector with a piece."""
    data: dict[str, Any] = {"ready_height": 190, "ticket_epoch": 190, "comm_d": DIGEST, "comm_r": DIGEST}
    sector = factories.sector(of, state="PERSISTED", **data)
    factories.piece(of, state="PACKED", sector_number=sector.number, offset=0, **terms)
    return sector


def allocate(chain: Registry, sector: Sector, number: int, **terms: int) -> None:
    """Have the chain know an allocation, and a deal, of this number for the piece of a sector."""
    piece = Piece.objects.select_related("miner").get(sector_number=sector.number)
    cid, size, terms = {"/": piece.piece_cid}, piece.padded_size, {"TermMax": 270 * DAY, **terms}
    data = {"Provider": piece.miner.actor_id, "Data": cid, "Size": size}
    chain.allocations[number] = {**data, "TermMin": 180 * DAY, "Expiration": 400, **terms}
    deal = {"Provider": piece.miner.address, "PieceCID": cid, "PieceSize": size}
    chain.deals[number] = {"Proposal": {**deal, "StartEpoch": 400, "EndEpoch": 700 * DAY}}


@pytest.fixture
def miner() -> Any:
    """With a wallet to send from."""
    return factories.miner(worker=factories.wallet().address)


def test_each_sector_expires_by_the_terms_of_its_pieces(miner: Any) -> None:
    chain = Registry()
    plain, claimed, lasting = stored(miner), stored(miner, client=9, allocation=3), stored(miner, deal=4)
    allocate(chain, claimed, 3)
    allocate(chain, lasting, 4)

    batches_close(work(chain))

    infos = from_cbor(PreCommitSectorBatch2Params, bytes(Batch.objects.get().params)).sectors
    assert {info.sector_number: info.expiration for info in infos} == {
        plain.number: 200 + 540 * DAY,
        claimed.number: 200 + NETWORK.pre_commit_challenge_delay + 270 * DAY,
        lasting.number: 700 * DAY,
    }


@pytest.mark.parametrize("allocation", [3, 4, 5], ids=["cannot be met", "gone", "not told"])
def test_a_sector_whose_terms_are_not_met_is_left_out(miner: Any, allocation: int) -> None:
    chain = Registry()
    terms = {"TermMin": 180 * DAY, "TermMax": 180 * DAY, "Expiration": 400}
    chain.allocations.update({3: terms, 4: None})
    good, bad = stored(miner), stored(miner, client=9, allocation=allocation)

    batches_close(work(chain))

    assert set(Sector.objects.exclude(precommit_batch=None)) == {good}
    bad.refresh_from_db()
    assert (bad.state, bad.attempts) == ("PERSISTED", 1)
    reason = "no new sector fits its terms" if allocation == 3 else "does not report the terms of piece"
    assert bad.error.startswith("the chain would refuse the commit: ")
    assert reason in bad.error


KNOWN = {"term_min": 180 * DAY, "term_max": 270 * DAY, "terms_epoch": 400}


@pytest.mark.parametrize(
    ("row", "chain_row", "reason"),
    [
        ({"terms_epoch": 150}, {"Expiration": 150}, "must be active by epoch 150, and cannot be before"),
        ({"start_epoch": 201}, {}, "must be active by epoch 201, and cannot be before"),
        ({}, {"Provider": 5}, "allocation 3 of f09 is for f05"),
        ({}, None, "allocation 3 of f09 does not exist"),
    ],
    ids=["expired", "starts too soon", "of another provider", "claimed elsewhere"],
)
def test_no_deposit_is_paid_for_a_piece_that_cannot_be_claimed(
    miner: Any, row: dict[str, int], chain_row: dict[str, int] | None, reason: str
) -> None:
    chain = Registry()
    bad = stored(miner, client=9, allocation=3, **(KNOWN | row))
    allocate(chain, bad, 3, **(chain_row or {}))
    if chain_row is None:
        chain.allocations[3] = None
    good = stored(miner, client=9, allocation=4, **KNOWN)
    allocate(chain, good, 4)

    batches_close(work(chain))

    assert set(Sector.objects.exclude(precommit_batch=None)) == {good}
    bad.refresh_from_db()
    assert (bad.state, bad.attempts) == ("PERSISTED", 1)
    assert reason in bad.error


def test_the_terms_of_all_pieces_are_asked_for_at_once(miner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, requests = Registry(), list[int]()
    for number in (3, 4, 5):
        allocate(chain, stored(miner, client=9, allocation=number, deal=number), number, TermMax=900 * DAY)

    def call_many(calls: Any) -> Any:
        requests.append(sum(method == "StateGetAllocation" for method, _ in calls))
        return Registry.call_many(chain, calls)

    monkeypatch.setattr(chain, "call", None)
    monkeypatch.setattr(chain, "call_many", call_many)

    batches_close(work(chain))

    assert [count for count in requests if count] == [3]
    assert Batch.objects.get().precommits.count() == 3
