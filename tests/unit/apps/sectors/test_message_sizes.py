"""What goes into one message fits into it: commits with their pieces, extensions with their claims."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.messages.models import Message
from apps.messages.services.validate import PARAMS_BYTES_MAX
from apps.pieces.models import Piece
from apps.sectors.models import Batch, BatchSettings, Sector, SectorChange, SectorProof
from apps.sectors.onchain.live_sectors import LiveSector
from apps.sectors.rules.batches import COMMIT
from apps.sectors.rules.extensions import Extended
from apps.sectors.rules.params import Proven, commit_params
from apps.sectors.services.batches.closing import batches_close
from apps.sectors.services.batches.forms import BatchEntry, BatchForm, batch_params_encode, commit_form_fit
from apps.sectors.services.batches.messages import batches_watch
from apps.sectors.services.changes.following import changes_watch
from apps.sectors.services.changes.messages import change_params_encode, changes_count_fit
from apps.sectors.services.sealing.packing import pieces_max_compute, pieces_plan
from apps.sectors.states import BatchState
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_sectors import (
    DataActivationNotification,
    PieceActivationManifest,
    VerifiedAllocationKey,
)
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cbor import int_write
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.sector import SECTOR_SIZES, SIZE_32GIB
from tests import factories
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.reconcile import work
from tests.unit.apps.sectors.sealing import DIGEST, NOON

pytestmark = pytest.mark.django_db
PROOF = bytes(1920)
"""As long as that of a sector of 32 GiB."""


def manifests(count: int) -> tuple[PieceActivationManifest, ...]:
    """Pieces that claim an allocation and have a deal, with numbers as large as mainnet has them."""
    one = PieceActivationManifest(
        cid=commd_cid(bytes(32)),
        size=SIZE_32GIB >> 5,
        verified_allocation_key=VerifiedAllocationKey(client=3_000_000, id=80_000_000),
        notify=(DataActivationNotification(id_address(5), int_write(95_000_000)),),
    )
    return (one,) * count


def proven(count: int, *, pieces: int) -> list[Sector]:
    """Sectors of one miner whose proofs wait to be sent, with so many pieces each."""
    miner = factories.miner(worker=factories.wallet().address)
    BatchSettings.objects.create(miner=miner, send_funds=False)
    rows = []
    for _ in range(count):
        row = factories.sector(
            miner, state="C2_DONE", comm_r=DIGEST, comm_d=DIGEST, ready_height=190, seed_epoch=170
        )
        Sector.objects.filter(pk=row.pk).update(ticket_epoch=90, precommit_epoch=150)
        SectorProof.objects.create(sector=row, proof=PROOF, seed_epoch=170)
        rows.append(row)
        Piece.objects.bulk_create(
            Piece(
                miner=miner,
                piece_cid=str(commd_cid(place.to_bytes(32, "little"))),
                padded_size=128,
                state="PACKED",
                state_since=NOON,
                sector_number=row.number,
                offset=128 * place,
                client=3_000_000,
                allocation=80_000_000 + row.number * pieces + place,
                deal=95_000_000 + row.number * pieces + place,
            )
            for place in range(pieces)
        )
    return rows


def test_sectors_with_many_pieces_go_in_as_many_messages_as_hold_them() -> None:
    chain, rows = SomeSectors(), proven(16, pieces=32)
    for row in rows:
        chain.precommit(row, epoch=150)

    batches_close(work(chain))
    batches_close(work(chain, 201))

    sizes = [len(bytes(message.params)) for message in Message.objects.all()]
    assert len(sizes) == 2
    assert max(sizes) <= PARAMS_BYTES_MAX
    assert {batch.commits.count() for batch in Batch.objects.all()} == {15, 1}
    assert set(Batch.objects.values_list("state", flat=True)) == {BatchState.SENT}


def test_the_proofs_of_a_batch_are_read_once() -> None:
    chain, [row] = SomeSectors(), proven(1, pieces=1)
    chain.precommit(row, epoch=150)

    with CaptureQueriesContext(connection) as queries:
        batches_close(work(chain))

    assert Batch.objects.get().state == BatchState.SENT
    reads = [one for one in queries.captured_queries if '"sectors_sectorproof"."proof"' in one["sql"]]
    assert len(reads) == 1


@pytest.mark.parametrize("aggregate", [b"", bytes(12_000)])
def test_a_commit_takes_as_many_sectors_as_one_message_holds(aggregate: bytes) -> None:
    sectors = [factories.sector(factories.miner(), state="C2_DONE") for _ in range(16)]
    parts = [BatchEntry(sector=sector, value=0, proof=PROOF, pieces=manifests(64)) for sector in sectors]

    def size(count: int) -> int:
        form = BatchForm(parts[:count], aggregate=aggregate)
        return len(batch_params_encode(COMMIT, form=form, all_or_none=True))

    cut = commit_form_fit(BatchForm(parts, aggregate=aggregate))

    assert size(len(cut.parts)) <= PARAMS_BYTES_MAX < size(len(cut.parts) + 1)
    assert cut.aggregate == aggregate


def test_sectors_of_a_batch_that_is_never_taken_wait_for_another_one() -> None:
    miner = factories.miner(worker=factories.wallet().address)
    batch = factories.batch(
        miner, "commit", state=BatchState.CLOSED, method=COMMIT.method, params=bytes(PARAMS_BYTES_MAX + 1)
    )
    row = factories.sector(miner, state="COMMIT_SENT", precommit_epoch=190, commit_batch=batch)

    batches_watch(work(SomeSectors()))

    batch.refresh_from_db()
    row.refresh_from_db()
    assert (batch.state, row.state) == (BatchState.FAILED, "C2_DONE")
    assert "message too large" in batch.error
    assert row.not_before is not None


def extensions(count: int, *, claims: int) -> list[Any]:
    """Extensions of sectors with so many claims each."""
    return [
        SimpleNamespace(
            after=Extended(
                LiveSector(number, SIZE_32GIB, 0, 9_000, 0, 0, 0, 0, 1, 2, False, True),
                expiration=10_000,
                maintained=tuple(range(80_000_000, 80_000_000 + claims)),
            )
        )
        for number in range(count)
    ]


def test_an_extension_takes_as_many_sectors_as_one_message_holds() -> None:
    miner, prices = factories.miner(), extensions(500, claims=40)

    count = changes_count_fit(miner, kind="EXTEND", prices=prices)

    fits, more = (len(change_params_encode("EXTEND", prices=prices[:at])) for at in (count, count + 1))
    assert fits <= PARAMS_BYTES_MAX < more
    assert changes_count_fit(miner, kind="EXTEND", prices=extensions(600, claims=0)) == 500


def test_an_extension_whose_message_is_never_taken_has_failed() -> None:
    miner = factories.miner(worker=factories.wallet().address)
    batch = factories.batch(
        miner,
        "extend",
        state=BatchState.CLOSED,
        method=Method.EXTEND_SECTOR_EXPIRATION2,
        params=bytes(PARAMS_BYTES_MAX + 1),
    )
    sector = factories.sector(miner, state="PROVING")
    change = SectorChange.objects.create(
        sector=sector, kind="EXTEND", state="EXTEND_SENT", queued_height=190, actor="ann", batch=batch
    )

    changes_watch(work(SomeSectors()))

    batch.refresh_from_db()
    change.refresh_from_db()
    assert (batch.state, change.state) == (BatchState.FAILED, "EXTEND_FAILED")
    assert "message too large" in change.error


def test_a_sector_gets_no_more_pieces_than_its_commit_can_name() -> None:
    waiting = [Piece(pk=number, padded_size=128, state_since=NOON) for number in range(300)]

    plan = pieces_plan(waiting, sector_size=SIZE_32GIB)

    assert [(len(packed.pieces), packed.is_full) for packed in plan] == [(256, True), (44, False)]
    for size in SECTOR_SIZES:
        alone = Proven(number=1 << 40, proof=PROOF, pieces=manifests(pieces_max_compute(size)))
        assert len(commit_params([alone], all_or_none=True)) < PARAMS_BYTES_MAX
