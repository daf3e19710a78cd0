"""Sectors that the chain has and the pool no row for are adopted: their rows first, then their files.

A miner that joins the pool, a database that was restored without its sectors, or another sealer beside it
leaves such sectors.  Their proofs are made from the chain's words alone; all else needs the rows.  Each
portion is written in one transaction, so whoever goes on after a kill finds out from the rows what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext

from apps.chain.isolation import for_each_isolated
from apps.core.errors import NotAllowed
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.onchain import live_field, partitions_read
from apps.miners.states import MinerState
from apps.sectors.errors import AdoptionRefused
from apps.sectors.live_sectors import claims_read
from apps.sectors.models import ActiveSectors, SectorAdoption, SectorNumbers
from apps.sectors.onchain import sectors_proven_read
from apps.sectors.params import pieces_column
from apps.sectors.selectors.numbers import numbers_in_use, numbers_known
from apps.sectors.selectors.restored import miners_unrecovered, read_back_require
from apps.sectors.services.adoptions.files import files_follow
from apps.sectors.services.numbers import numbers_first
from apps.sectors.services.readback.imports import proven_create
from apps.sectors.services.readback.proven_compare import ASKED_MAX
from apps.sectors.services.reservations import numbers_text
from apps.sectors.services.sealing.placements import pieces_recover
from apps.sectors.states import OPEN_ADOPTIONS, AdoptionState
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, VerifiedAllocationKey
from poolsite.filecoin.bitfield import EMPTY, bitfield_of, bitfield_of_runs, bitfield_union, portions, runs_of
from poolsite.filecoin.cids import BadCid, cid_parse, cid_to_commd, cid_to_commr
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.wire.job_inputs import Piece as WirePiece

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.sectors.live_sectors import Claim
    from apps.sectors.onchain import OnSector
    from apps.sectors.services.batches.context import SealingContext
    from apps.users.principals import Principal
    from poolsite.filecoin.bitfield import BitField

PORTIONS_AT_ONCE: Final = 10
"""Portions of `ASKED_MAX` sectors that are written with one head."""
NOTE: Final = "adopted: it was on chain, but not recorded here"


@dataclass(slots=True)
class Places:
    """Where the live sectors of a miner are by the chain, and which of them are active."""

    live: BitField
    active: BitField
    partitions: list[tuple[int, int, BitField]]

    @classmethod
    def read(cls, miner: Miner, work: SealingContext) -> Places:
        """Query a node.  Raises NodeRefused, NodeUnavailable."""
        deadlines = range(work.network.proving.deadlines)
        read = partitions_read(work.client, miner.address, deadlines, work.head.key)
        found = [(at, index, one) for at, rows in read.items() for index, one in enumerate(rows)]
        return cls(
            live=bitfield_union(one.live for _, _, one in found),
            active=bitfield_union(one.active for _, _, one in found),
            partitions=[(at, index, one.live) for at, index, one in found if one.live],
        )

    def of(self, numbers: BitField) -> dict[int, tuple[int, int]]:
        """Return deadline and partition of these numbers."""
        return {number: (at, index) for at, index, there in self.partitions for number in there & numbers}


@dataclass(slots=True)
class Claims:
    """The claims of a miner by sector, read once they are needed: a node gives all of them at once."""

    work: SealingContext
    miner: Miner
    known: dict[int, list[Claim]] | None = field(default=None)

    def of(self, number: int) -> Sequence[Claim]:
        """Return those of a sector.  Raises NodeRefused, NodeUnavailable."""
        if self.known is None:
            self.known = claims_read(self.work.client, self.miner.address, key=self.work.head.key)
        return self.known.get(number, ())


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """What an adoption would write."""

    numbers: BitField
    """Live on the chain, and without a row."""
    listed: int
    """Of those that were named, how many have a row already."""
    absent: BitField
    """Of those that were named, which do not live on the chain."""


def adoption_plan(miner: Miner, *, wanted: BitField | None, work: SealingContext) -> AdoptionPlan:
    """Compare the chain's live sectors of a miner with its rows; only `wanted` ones if any are named.

    Raises NodeRefused, NodeUnavailable.
    """
    live = live_field(work.client, miner.address, work.network.proving.deadlines, work.head.key)
    known = numbers_in_use(miner)
    if wanted is None:
        return AdoptionPlan(numbers=live - known, listed=0, absent=EMPTY)
    return AdoptionPlan(
        numbers=(live & wanted) - known, listed=len(wanted & known), absent=(wanted - live) - known
    )


def adoption_begin(
    miner: Miner, *, wanted: BitField | None, work: SealingContext, by: Principal
) -> SectorAdoption:
    """Order the adoption of all sectors without a row, or of the `wanted` ones; asked again it is the same.

    Raises NotAllowed, MinerNotReady, AdoptionRefused, NodeRefused, NodeUnavailable.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    read_back_require(miner)
    plan = adoption_plan(miner, wanted=wanted, work=work)
    with transaction.atomic():
        locked = Miner.objects.select_for_update(no_key=True).get(pk=miner.pk)
        if locked.tenant_id != miner.tenant_id:
            raise MinerNotReady(
                gettext("{miner} was transferred to another tenant in the meantime").format(miner=miner),
                field="miner",
            )
        row = locked.adoptions.select_for_update().filter(state__in=OPEN_ADOPTIONS).first()
        if row is not None and row.state == AdoptionState.ROWS:
            if plan.numbers - bitfield_of_runs(row.runs):
                raise AdoptionRefused(
                    gettext("another adoption of this miner is in progress: wait for it, or cancel it")
                )
            return row
        if not plan.numbers:
            if row is not None:
                return row
            raise AdoptionRefused(_nothing_text(miner, plan.listed, len(plan.absent)), field="numbers")
        if row is not None:
            advance(row, "END", updated_at=work.now)
        made = SectorAdoption.objects.create(
            miner=miner, runs=runs_of(plan.numbers), total=len(plan.numbers), actor=by.actor[:200]
        )
        after = {"count": made.total, "numbers": numbers_text(plan.numbers)}
        audit_record(principal=by, action="sector.adopt", target=miner.address, after=after)
        publish(Change("miner", miner.pk, miner.tenant_id))
    return made


def _nothing_text(miner: Miner, listed: int, absent: int) -> str:
    """Return why there is nothing to adopt."""
    if absent:
        return gettext("{sectors} not live on chain").format(sectors=plural(absent, "sector"))
    if listed:
        return gettext("these sectors are already recorded here")
    return gettext("all sectors of {miner} on chain are already recorded here").format(miner=miner)


@transaction.atomic
def adoption_cancel(miner: Miner, row: SectorAdoption, *, by: Principal, now: datetime) -> SectorAdoption:
    """End an adoption; the rows that it has written stay.  Raises NotAllowed, WrongState, LostRace."""
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    advance(row, "CANCEL", updated_at=now)
    after = {"written": plural(row.written, "sector"), "of": plural(row.total, "sector")}
    audit_record(principal=by, action="sector.adopt-cancel", target=miner.address, after=after)
    publish(Change("miner", miner.pk, miner.tenant_id))
    return row


def adoptions_follow(work: SealingContext) -> None:
    """Go on with each adoption that is under way; what goes wrong with one stops no other."""
    rows = SectorAdoption.objects.filter(state__in=OPEN_ADOPTIONS).select_related("miner__tenant")
    waits = set(miners_unrecovered())
    due = [row for row in rows.order_by("pk") if row.miner_id not in waits]
    for_each_isolated(due, lambda row: adoption_follow(row, work), event="sectors_not_adopted")


def adoption_follow(
    row: SectorAdoption, work: SealingContext, *, portions_max: int = PORTIONS_AT_ONCE
) -> None:
    """Write the next rows of an adoption, or look for files.  Raises NodeRefused, NodeUnavailable."""
    if row.state == AdoptionState.ROWS and not rows_write(row, work, portions_max=portions_max):
        return
    if row.state == AdoptionState.FILES:
        files_follow(row, now=work.now)


def rows_write(row: SectorAdoption, work: SealingContext, *, portions_max: int) -> bool:
    """Write the next portions; returns whether none is left.  Raises NodeRefused, NodeUnavailable.

    It goes on behind the last portion that was written, and reads rows of the next ones alone.
    """
    miner, asked = row.miner, bitfield_of_runs(row.runs)
    places, claims = Places.read(miner, work), Claims(work, miner)
    left = (asked & places.live).since(row.next_number)
    for at, numbers in enumerate(portions(left, ASKED_MAX)):
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
    for number, there in found.items():
        if there.verified_weight:
            claims.of(number)  # asked for before the transaction
    with transaction.atomic():
        # Whoever transfers the miner waits, and whoever allocates numbers.
        miner = Miner.objects.select_for_update(no_key=True).get(pk=row.miner_id)
        fresh = SectorAdoption.objects.select_for_update().get(pk=row.pk)
        if fresh.state != AdoptionState.ROWS:
            row.refresh_from_db(fields=["state"])
            return False
        SectorNumbers.objects.get_or_create(miner=miner, defaults=numbers_first(miner))
        SectorNumbers.objects.select_for_update().get(miner=miner)
        known = numbers_known(miner, list(found))
        new = {number: there for number, there in found.items() if number not in known}
        where = places.of(bitfield_of(new))
        facts = [
            _facts(miner, number, there, place=where.get(number), places=places, claims=claims)
            for number, there in sorted(new.items())
        ]
        count = proven_create(miner, facts, now=work.now, note=NOTE, actor=row.actor)
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
    there: OnSector,
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
        "seal_proof": there.seal_proof or miner.seal_proof,
        "comm_r": cid_to_commr(cid_parse(there.sealed_cid)),
        "key_comm_r": cid_to_commr(cid_parse(there.key_cid)) if there.key_cid else None,
        "activation": there.activation,
        "expiration": there.expiration,
        "initial_pledge": there.initial_pledge,
        "deadline": deadline,
        "partition": partition,
        "active": is_active,
        "active_since": now if is_active else None,
    }
    whole = (
        [one for one in claims.of(number) if one.size == miner.sector_size] if there.verified_weight else []
    )
    return facts | (_data(miner, number, whole[0], claims.work) if len(whole) == 1 else {})


def _data(miner: Miner, number: int, claim: Claim, work: SealingContext) -> dict[str, Any]:
    """Return the data of a sector that one client's piece fills; where others lie the chain does not tell."""
    try:
        cid = cid_parse(claim.piece_cid)
        comm_d = cid_to_commd(cid)
    except BadCid:
        return {}
    key = VerifiedAllocationKey(client=claim.client, id=claim.id)
    manifest = PieceActivationManifest(cid=cid, size=claim.size, verified_allocation_key=key, notify=())
    pieces_recover(miner, number, manifests=[manifest], now=work.now)
    piece = WirePiece(size=claim.size, comm_p=comm_d, payload_size=unpadded_bytes(claim.size))
    return {"comm_d": comm_d, "pieces": pieces_column([piece])}


@transaction.atomic
def _rows_end(row: SectorAdoption, work: SealingContext) -> bool:
    """Note that every row is written; returns whether it was still to be noted."""
    fresh = SectorAdoption.objects.select_for_update().get(pk=row.pk)
    if fresh.state == AdoptionState.ROWS:
        absent = fresh.total - fresh.written
        advance(fresh, "WRITE", absent=absent, updated_at=work.now)
        # What the deadlines had meanwhile is compared with the new rows at the next head.
        ActiveSectors.objects.filter(miner_id=row.miner_id).update(compared_height=None)
        publish(Change("miner", row.miner_id, row.miner.tenant_id))
    row.refresh_from_db(fields=["state", "written", "absent"])
    return True
