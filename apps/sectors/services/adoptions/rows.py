"""Sectors that the chain has and the pool no row for are adopted: their rows first, then their files.

A miner that joins the pool, a database that was restored without its sectors, or another sealer beside it
leaves such sectors.  Their proofs are made from the chain's words alone; all else needs the rows.  Each
portion is written in one transaction, so whoever goes on after a kill finds out from the rows what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from apps.chain.node.isolation import for_each_isolated
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.miners.onchain.partition_facts import partitions_read
from apps.sectors.errors.stores import ScanUnknown, StoreRefused
from apps.sectors.models import ActiveSectors, Sector, SectorAdoption, SectorNumbers, Store, StoreScan
from apps.sectors.onchain.live_sectors import Claim, claims_read
from apps.sectors.onchain.sectors import OnSector, sectors_proven_read
from apps.sectors.reasons import ADOPTED
from apps.sectors.rules.params import pieces_column
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.numbers import numbers_known
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.selectors.store_scans import scan_get
from apps.sectors.services.numbers import counter_load
from apps.sectors.services.readback.imports import proven_create
from apps.sectors.services.readback.proven_compare import READ_MAX
from apps.sectors.services.sealing.placements import pieces_recover
from apps.sectors.services.stores.checks import reader_choose
from apps.sectors.services.stores.finding_adoptions import adoptable_findings_list, findings_adopt
from apps.sectors.services.stores.scan_comparison import FINDINGS_MAX
from apps.sectors.services.stores.scans import scan_begin
from apps.sectors.states import OPEN_ADOPTIONS, AdoptionState, FindingKind, FindingState, ScanState
from apps.users.rules.principals import Principal
from apps.users.states import Perm
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, VerifiedAllocationKey
from poolsite.filecoin.bitfield import BitField, bitfield_of, bitfield_of_runs, bitfield_union, portions
from poolsite.filecoin.cids import BadCid, cid_parse, cid_to_commd, cid_to_commr
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.wire.job_inputs import Piece as WirePiece
from poolsite.wire.pipeline import SectorState

UNREAD: Final = "unread"


def files_follow(row: SectorAdoption, *, now: datetime) -> None:
    """Scan the tenant's stores for the files of sectors that no store is known to have, until that is over.

    What is compared already goes on by itself when an adoption is cancelled.
    """
    miner, scans, unread = row.miner, dict(row.scans), []
    left = _unplaced(miner)
    waits = False
    by = _orderer(row)
    for store in Store.objects.filter(tenant=miner.tenant_id).order_by("pk") if left else ():
        outcome = _store_follow(store, miner, scans, by=by, now=now)
        waits |= outcome == ""
        if outcome == UNREAD:
            unread.append(store.name)
    facts = {"scans": scans, "unread": unread, "unplaced": left, "updated_at": now}
    if waits:
        SectorAdoption.objects.filter(pk=row.pk, state=row.state).update(**facts)
    else:
        advance(row, "END", **facts)
    publish(Change("miner", miner.pk, miner.tenant_id))


def _orderer(row: SectorAdoption) -> Principal:
    """Return who ordered it: scans and comparisons of stores stand under that name in the audit log."""
    tenant = row.miner.tenant
    return Principal(
        tenant_id=tenant.pk, tenant_name=tenant.name, is_operator=False, perm=Perm.SIGN, actor=row.actor
    )


def _unplaced(miner: Miner) -> int:
    rows = Sector.objects.filter(
        miner=miner, tenant=miner.tenant_id, store="", state=SectorState.PROVING, removal_asked_at=None
    )
    return rows.count()


def _store_follow(store: Store, miner: Miner, scans: dict[str, str], *, by: Principal, now: datetime) -> str:
    """Go on with one store; returns an empty text while it is at work, `unread`, or `over`."""
    key = str(store.uuid)
    try:
        scan = _scan(store, scans.get(key), by=by, now=now)
    except StoreRefused:
        return UNREAD
    scans[key] = str(scan.uuid)
    if scan.state in (ScanState.FAILED, ScanState.CANCELLED):
        return UNREAD
    if scan.state == ScanState.RUNNING:
        return ""
    try:
        reader_choose(store, now=now)
    except StoreRefused:
        return UNREAD
    mine = store.findings.filter(kind=FindingKind.ELSEWHERE, sector__miner=miner)
    if next_ones := adoptable_findings_list(mine.filter(sector__store=""), now=now):
        # Refused while the host's queue of orders is full: the next head tries again.
        with suppress(StoreRefused):
            findings_adopt(store, uuids=[str(one.uuid) for one in next_ones], now=now, by=by)
        return ""
    if mine.filter(state=FindingState.CHECKING).exists():
        return ""
    has_more = scan.counts.get(FindingKind.ELSEWHERE, 0) > FINDINGS_MAX
    if has_more and mine.filter(state=FindingState.ADOPTED).exists():
        del scans[key]  # the next scan lists the others
        return ""
    return "over"


def _scan(store: Store, uuid: str | None, *, by: Principal, now: datetime) -> StoreScan:
    """Return the scan of a store for an adoption, begun if there is none; raises StoreRefused."""
    if uuid is not None:
        try:
            scan = scan_get(store, uuid)
        except ScanUnknown:
            pass
        else:
            # One that was compared while this is read is over: another one would be begun instead, each time.
            if scan.state != ScanState.RUNNING or not worker_is_away(scan.worker, now=now):
                return scan
    return scan_begin(store, now=now, by=by)  # one whose host is away goes to another


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
        return {number: (at, index) for at, index, live in self.partitions for number in live & numbers}


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


PORTIONS_AT_ONCE: Final = 10
"""Portions of `READ_MAX` sectors that are written with one head."""


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
        count = proven_create(miner, facts=facts, now=work.now, note=ADOPTED(), actor=row.actor)
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
