"""Sectors that the chain has and the pool no row for are adopted: their rows first, then their files.

A miner that joins the pool, a database that was restored without its sectors, or another sealer beside it
leaves such sectors.  Their proofs are made from the chain's words alone; all else needs the rows.  Each
portion is written in one transaction, so whoever goes on after a kill finds out from the rows what is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext_noop

from apps.chain.node.isolation import for_each_isolated
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.sectors.models import ActiveSectors, SectorAdoption, SectorNumbers
from apps.sectors.onchain.sectors import sectors_proven_read
from apps.sectors.rules.params import pieces_column
from apps.sectors.selectors.numbers import numbers_known
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.services.adoptions.chain_places import Claims, Places
from apps.sectors.services.adoptions.files import files_follow
from apps.sectors.services.numbers import counter_load
from apps.sectors.services.readback.imports import proven_create
from apps.sectors.services.readback.proven_compare import READ_MAX
from apps.sectors.services.sealing.placements import pieces_recover
from apps.sectors.states import OPEN_ADOPTIONS, AdoptionState
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, VerifiedAllocationKey
from poolsite.filecoin.bitfield import bitfield_of, bitfield_of_runs, portions
from poolsite.filecoin.cids import BadCid, cid_parse, cid_to_commd, cid_to_commr
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.wire.job_inputs import Piece as WirePiece

if TYPE_CHECKING:
    from apps.sectors.onchain.live_sectors import Claim
    from apps.sectors.onchain.sectors import OnSector
    from apps.sectors.services.batches.context import SealingContext

PORTIONS_AT_ONCE: Final = 10
"""Portions of `READ_MAX` sectors that are written with one head."""
NOTE: Final = gettext_noop("adopted: it was on chain, but not recorded here")


def adoptions_follow(work: SealingContext) -> None:
    """Go on with each adoption that is under way; what goes wrong with one stops no other."""
    rows = SectorAdoption.objects.filter(state__in=OPEN_ADOPTIONS).select_related("miner__tenant")
    waits = set(miners_unrecovered())
    due = [row for row in rows.order_by("pk") if row.miner_id not in waits]
    for_each_isolated(due, lambda row: adoption_follow(row, work=work), event="sectors_not_adopted")


def adoption_follow(
    row: SectorAdoption, *, work: SealingContext, portions_max: int = PORTIONS_AT_ONCE
) -> None:
    """Write the next rows of an adoption, or look for files.  Raises NodeRefused, NodeUnavailable."""
    if row.state == AdoptionState.ROWS and not rows_write(row, work=work, portions_max=portions_max):
        return
    if row.state == AdoptionState.FILES:
        files_follow(row, now=work.now)


def rows_write(row: SectorAdoption, *, work: SealingContext, portions_max: int) -> bool:
    """Write the next portions; returns whether none is left.  Raises NodeRefused, NodeUnavailable.

    It goes on behind the last portion that was written, and reads rows of the next ones alone.
    """
    miner, requested = row.miner, bitfield_of_runs(row.runs)
    places, claims = Places.read(miner, work), Claims(work, miner)
    left = (requested & places.live).since(row.next_number)
    for at, numbers in enumerate(portions(left, READ_MAX)):
        if at == portions_max:
            return False
        found = sectors_proven_read(work.client, miner.address, numbers, work.head.key)
        if not _portion_write(row, found, places, claims, next_number=numbers[-1] + 1):
            return False
    return _rows_end(row, work)


def _portion_write(
    row: SectorAdoption, found: dict[int, OnSector], places: Places, claims: Claims, *, next_number: int
) -> bool:
    """Write the rows of a portion in one step; returns whether the adoption is still to go on."""
    work = claims.work
    for number, onchain in found.items():
        if onchain.verified_weight:
            claims.of(number)  # read before the transaction, which would wait for the node
    with transaction.atomic():
        # Whoever transfers the miner waits, and whoever allocates numbers.
        miner = Miner.objects.select_for_update(no_key=True).get(pk=row.miner_id)
        current = SectorAdoption.objects.select_for_update().get(pk=row.pk)
        if current.state != AdoptionState.ROWS or current.runs != row.runs:
            row.refresh_from_db(fields=["state"])
            return False  # it ended, or more sectors were added: the next head goes on from where it is now
        counter_load(miner)
        SectorNumbers.objects.select_for_update().get(miner=miner)
        known = numbers_known(miner, list(found))
        new = {number: onchain for number, onchain in found.items() if number not in known}
        where = places.of(bitfield_of(new))
        facts = [
            _facts(miner, number, onchain, place=where.get(number), places=places, claims=claims)
            for number, onchain in sorted(new.items())
        ]
        count = proven_create(miner, facts=facts, now=work.now, note=NOTE, actor=row.actor)
        SectorAdoption.objects.filter(pk=row.pk).update(
            written=F("written") + count,
            next_number=Greatest(F("next_number"), Value(next_number)),
            updated_at=work.now,
        )
        Miner.objects.filter(pk=miner.pk).update(
            unlisted_sectors=Greatest(F("unlisted_sectors") - count, Value(0))
        )
        publish(Change("miner", miner.pk, miner.tenant_id))
    return True


def _facts(
    miner: Miner,
    number: int,
    onchain: OnSector,
    *,
    place: tuple[int, int] | None,
    places: Places,
    claims: Claims,
) -> dict[str, Any]:
    """Return the columns of a sector as the chain has it."""
    now, is_active = claims.work.now, number in places.active
    deadline, partition = place or (None, None)
    facts: dict[str, Any] = {
        "number": number,
        "without_pledge": True,
        "seal_proof": onchain.seal_proof or miner.seal_proof,
        "comm_r": cid_to_commr(cid_parse(onchain.sealed_cid)),
        "key_comm_r": cid_to_commr(cid_parse(onchain.key_cid)) if onchain.key_cid else None,
        "activation": onchain.activation,
        "expiration": onchain.expiration,
        "initial_pledge": onchain.initial_pledge,
        "deadline": deadline,
        "partition": partition,
        "active": is_active,
        "active_since": now if is_active else None,
    }
    complete = (
        [one for one in claims.of(number) if one.size == miner.sector_size] if onchain.verified_weight else []
    )
    return facts | (_data(miner, number, complete[0], claims.work) if len(complete) == 1 else {})


def _data(miner: Miner, number: int, claim: Claim, work: SealingContext) -> dict[str, Any]:
    """Return the data of a sector that one client's piece fills; where others lie the chain does not tell."""
    try:
        cid = cid_parse(claim.piece_cid)
        comm_d = cid_to_commd(cid)
    except BadCid:
        return {}
    key = VerifiedAllocationKey(client=claim.client, id=claim.id)
    manifest = PieceActivationManifest(cid=cid, size=claim.size, verified_allocation_key=key, notify=())
    pieces_recover(miner, number=number, manifests=[manifest], now=work.now)
    piece = WirePiece(size=claim.size, comm_p=comm_d, payload_size=unpadded_bytes(claim.size))
    return {"comm_d": comm_d, "pieces": pieces_column([piece])}


@transaction.atomic
def _rows_end(row: SectorAdoption, work: SealingContext) -> bool:
    """Note that every row is written; returns whether it was still to be noted."""
    current = SectorAdoption.objects.select_for_update().get(pk=row.pk)
    if current.state == AdoptionState.ROWS and current.runs != row.runs:
        return False  # more sectors were added
    if current.state == AdoptionState.ROWS:
        absent = current.total - current.written
        advance(current, "WRITE", absent=absent, updated_at=work.now)
        # What the deadlines had meanwhile is compared with the new rows at the next head.
        ActiveSectors.objects.filter(miner_id=row.miner_id).update(compared_height=None)
        publish(Change("miner", row.miner_id, row.miner.tenant_id))
    row.refresh_from_db(fields=["state", "written", "absent"])
    return True
