"""Keeping the claims of a miner as rows: what its verified data are, whose, and until when."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from apps.miners.models import Miner
from apps.sectors.models import VerifiedClaim
from apps.sectors.onchain.live_sectors import Claim

BATCH = 2_000
"""Rows of one statement."""
SET_ANEW = ("client", "sector_number", "piece_cid", "size", "term_start", "term_min", "end_epoch")
"""Fields that are updated in the row of a claim that changed."""


@transaction.atomic
def claims_write(miner: Miner, *, claims: Iterable[Claim]) -> None:
    """Write a miner's claims as the chain has them; rows of those that it has no more are deleted.

    Only rows that differ are written: a large miner has hundreds of thousands, of which few change.
    """
    new = {claim.id: claim for claim in claims}
    fields = ("number", "pk", "client", "sector_number", "term_start", "end_epoch")
    known = {}
    for number, pk, *terms in VerifiedClaim.objects.filter(miner=miner).values_list(*fields).iterator():
        known[number] = (pk, tuple(terms))
    changed = [
        claim for number, claim in new.items() if number not in known or known[number][1] != _terms(claim)
    ]
    ended = [pk for number, (pk, _) in known.items() if number not in new]
    for at in range(0, len(ended), BATCH):
        VerifiedClaim.objects.filter(pk__in=ended[at : at + BATCH]).delete()
    # A claim keeps its row: what reads all of them by key meets none twice.
    VerifiedClaim.objects.bulk_create(
        (_row(miner, claim) for claim in changed),
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=("miner", "number"),
        update_fields=SET_ANEW,
    )


def _terms(claim: Claim) -> tuple[int, ...]:
    """Return what of a claim changes: by an extension, or where a reorganisation gave its id to another."""
    return (claim.client, claim.sector, claim.term_start, claim.last)


def _row(miner: Miner, claim: Claim) -> VerifiedClaim:
    return VerifiedClaim(
        miner=miner,
        number=claim.id,
        client=claim.client,
        sector_number=claim.sector,
        piece_cid=claim.piece_cid,
        size=claim.size,
        term_start=claim.term_start,
        term_min=claim.term_min,
        end_epoch=claim.last,
    )
