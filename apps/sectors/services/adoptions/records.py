"""Records of sectors from another manager: what they tell that the chain does not, once it fits the chain."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from django.db import transaction

from apps.core import clock
from apps.core.errors import BadValue, DomainError, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.sectors.models import Job, Sector
from apps.sectors.rules.params import comm_d_of, has_data, pieces_column
from apps.sectors.selectors.sector_records import RecordPiece, SectorRecord, record_read, zeros_of
from apps.sectors.selectors.sectors import sectors_visible
from apps.sectors.services.audit import sectors_audit
from apps.sectors.services.sealing.placements import pieces_recover
from apps.sectors.services.sealing.steps import job_lock
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.miner_sectors import (
    DataActivationNotification,
    PieceActivationManifest,
    VerifiedAllocationKey,
)
from poolsite.filecoin.address import MARKET_ACTOR
from poolsite.filecoin.cbor import int_write
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.commd import BadPiece
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.job_inputs import Piece as WirePiece
from poolsite.wire.pipeline import SectorState

RECORDS_MAX: Final = 1_000
"""Of one request."""
TOGETHER: Final = 100
"""Records of one transaction: it holds the locks of their sectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordImport:
    """What became of one record, or would."""

    miner_id: int
    number: int
    filled: tuple[str, ...] = ()
    """Which facts of the sector it tells that were not known."""
    refusal: str = ""


def records_import(
    records: Sequence[Mapping[str, Any]],
    *,
    by: Principal,
    is_trial: bool = False,
    miner: Miner | None = None,
) -> list[RecordImport]:
    """Fill in what records tell of proving sectors; what is known already stays.

    `miner` is that of records that name none, as lotus' do.

    What is no record, as of a sector without a replica, is refused alone.  Raises NotAllowed, BadValue.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    if len(records) > RECORDS_MAX:
        raise BadValue(
            gettext("at most {limit} records at a time").format(limit=RECORDS_MAX), field="records"
        )
    done: list[RecordImport] = []
    for start in range(0, len(records), TOGETHER):
        done += _import_together(records[start : start + TOGETHER], by=by, is_trial=is_trial, miner=miner)
    return done


def _import_together(
    records: Sequence[Mapping[str, Any]], *, by: Principal, is_trial: bool, miner: Miner | None
) -> list[RecordImport]:
    """Import records in one transaction, with one line in the audit log for a miner's."""
    now, done = clock.now(), dict[int, RecordImport]()
    fitting: list[tuple[int, int, SectorRecord]] = []
    for place, body in enumerate(records):
        try:
            record = record_read(body, miner_id=None if miner is None else miner.actor_id)
        except BadValue as bad:
            done[place] = RecordImport(**_named(body), refusal=bad.reason)
            continue
        found = sectors_visible(by).filter(miner__actor_id=record.miner_id, number=record.number)
        if (pk := found.values_list("pk", flat=True).first()) is not None:
            fitting.append((pk, place, record))
            continue
        no_sector = gettext("there is no such sector here: import its miner or adopt the sector first")
        done[place] = RecordImport(miner_id=record.miner_id, number=record.number, refusal=no_sector)
    filled: dict[Sector, list[str]] = {}
    with transaction.atomic():
        _lock({pk for pk, _place, _record in fitting})
        for pk, place, record in fitting:
            done[place], sector = _import(record, pk, now=now)
            if sector is not None and done[place].filled:
                filled.setdefault(sector, []).extend(done[place].filled)
        if is_trial:
            transaction.set_rollback(True)
        else:
            _imports_audit(filled, by=by)
    return [done[place] for place in range(len(records))]


def _lock(sectors: Collection[int]) -> None:
    """Lock sectors with their jobs before the first of their pieces."""
    jobs = Job.objects.select_for_update(of=("self",)).filter(sector__in=sectors).order_by("pk")
    list(jobs.values_list("pk", flat=True))
    rows = Sector.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=sectors).order_by("pk")
    list(rows.values_list("pk", flat=True))


def _imports_audit(filled: Mapping[Sector, Sequence[str]], *, by: Principal) -> None:
    if len(filled) == 1:
        [(sector, facts)] = filled.items()
        after = {"facts": list(facts)}
        audit_record(principal=by, action="sector.record-import", target=str(sector), after=after)
        return
    facts = list(dict.fromkeys(chain.from_iterable(filled.values())))
    sectors_audit(by, action="sector.record-import-all", sectors=filled, after={"facts": facts})


def _named(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return whose sector a bad record names; zeros where it names none."""
    name = body.get("ID") if isinstance(body, dict) else None
    reported = name if isinstance(name, dict) else {}
    lotus = body if isinstance(body, dict) else {}
    number = reported.get("Number", lotus.get("SectorID", lotus.get("SectorNumber")))
    found = {"miner_id": reported.get("Miner"), "number": number}
    return {key: value if type(value) is int else 0 for key, value in found.items()}


def _import(record: SectorRecord, pk: int, *, now: datetime) -> tuple[RecordImport, Sector | None]:
    done: dict[str, Any] = {"miner_id": record.miner_id, "number": record.number}
    try:
        with transaction.atomic():
            _job, sector = job_lock(pk)
            filled = _fill(sector, record, now=now)
            if filled:
                publish(Change("sector", str(sector.uuid), sector.tenant_id))
    except DomainError as refusal:
        return RecordImport(**done, refusal=refusal.reason), None
    return RecordImport(**done, filled=tuple(filled)), sector


def _fill(sector: Sector, record: SectorRecord, *, now: datetime) -> list[str]:
    """Write what a record tells and the row lacks; return its names.  Raises BadValue."""
    _fit(sector, record)
    facts: dict[str, Any] = {}
    if sector.ticket is None:
        facts |= {"ticket": record.ticket, "ticket_epoch": record.ticket_epoch}
    if sector.seed is None and record.seed is not None:
        facts |= {"seed": record.seed, "seed_epoch": record.seed_epoch}
    if sector.comm_d is None:
        facts["comm_d"] = record.data_comm_d
    if sector.key_comm_r is None and record.new_comm_r is not None:
        facts["key_comm_r"] = record.comm_r
    if record.pieces and not has_data(sector) and any(piece.payload_size for piece in record.pieces):
        facts["pieces"] = _pieces(sector, record, now=now)
    if facts:
        Sector.objects.filter(pk=sector.pk).update(**facts, updated_at=now)
    return [name for name in facts if not name.endswith("_epoch")]


def _fit(sector: Sector, record: SectorRecord) -> None:
    """Refuse a record that is not of this replica.  Raises BadValue."""
    if sector.state != SectorState.PROVING:
        raise BadValue(
            gettext("it is {state}: records can be imported for proving sectors only").format(
                state=sector.state
            ),
            field="records",
        )
    if record.seal_proof != sector.seal_proof:
        raise BadValue(
            gettext("the sector's proof type is {seal_proof}").format(seal_proof=sector.seal_proof),
            field="SectorType",
        )
    latest = record.comm_r if record.new_comm_r is None else record.new_comm_r
    if bytes(sector.comm_r or b"") != latest:
        raise BadValue(gettext("the chain has a different replica"), field="CommR")
    if sector.key_comm_r is not None and bytes(sector.key_comm_r) != record.comm_r:
        raise BadValue(gettext("the chain has a different sector key"), field="CommR")
    if sector.ticket is not None and bytes(sector.ticket) != record.ticket:
        raise BadValue(gettext("the sector has a different ticket"), field="Ticket")
    if None not in (sector.seed, record.seed) and bytes(sector.seed or b"") != record.seed:
        raise BadValue(gettext("the sector has a different seed"), field="Seed")
    _epochs_fit(sector, record)
    if sector.comm_d is not None and bytes(sector.comm_d) != record.data_comm_d:
        raise BadValue(gettext("the sector has different data"), field="CommD")
    column = pieces_column(map(_wire_piece, _whole(sector, record)))
    try:
        data = comm_d_of(sector, pieces=column) if column else zeros_of(sector)
    except BadPiece as bad:
        raise BadValue(str(bad), field="Pieces") from None
    if data != record.data_comm_d:
        raise BadValue(gettext("its pieces do not match its CommD"), field="Pieces")


def _epochs_fit(sector: Sector, record: SectorRecord) -> None:
    """Refuse epochs of ticket and seed that are not this replica's, or cannot be.  Raises BadValue."""
    if sector.ticket_epoch is not None and sector.ticket_epoch != record.ticket_epoch:
        text = gettext("the sector's ticket is of epoch {epoch}").format(epoch=sector.ticket_epoch)
        raise BadValue(text, field="Ticket")
    if sector.seed_epoch is not None and record.seed_epoch not in (None, sector.seed_epoch):
        text = gettext("the sector's seed is of epoch {seed}").format(seed=sector.seed_epoch)
        raise BadValue(text, field="Seed")
    if record.seed_epoch is not None and record.seed_epoch <= record.ticket_epoch:
        raise BadValue(gettext("its seed is not later than its ticket"), field="Seed")
    if sector.activation is not None and sector.activation < (record.seed_epoch or record.ticket_epoch):
        text = gettext("it was sealed later than the sector, which is active since epoch {activation}")
        raise BadValue(text.format(activation=sector.activation), field="Seed")


def _pieces(sector: Sector, record: SectorRecord, *, now: datetime) -> list[dict[str, Any]]:
    """Write the rows of the clients' pieces, without bytes; return the column of all."""
    column, at = [], 0
    for piece in _whole(sector, record):
        if piece.payload_size:
            manifest = PieceActivationManifest(
                cid=commd_cid(piece.comm_p),
                size=piece.size,
                verified_allocation_key=_claim(piece),
                notify=()
                if piece.deal is None
                else (DataActivationNotification(MARKET_ACTOR, int_write(piece.deal)),),
            )
            [row] = pieces_recover(sector.miner, number=sector.number, manifests=[manifest], now=now, at=at)
            if row.payload_size != piece.payload_size and row.actor == "console":
                type(row).objects.filter(pk=row.pk).update(payload_size=piece.payload_size)
        column += pieces_column([_wire_piece(piece)])
        at += piece.size
    return column


def _whole(sector: Sector, record: SectorRecord) -> list[RecordPiece]:
    """Return a record's pieces with those of zeros that align and fill; none of a sector of zeros."""
    found: list[RecordPiece] = []
    at = 0
    for piece in record.pieces:
        begins = -(-at // piece.size) * piece.size
        found += [*_zeros(at, begins), piece]
        at = begins + piece.size
    return [*found, *_zeros(at, sector.sector_size)] if found else []


def _zeros(at: int, end: int) -> list[RecordPiece]:
    """Return the pieces of zeros between two places; none before the first place."""
    found = []
    while 0 < at < end:
        size = at & -at
        found.append(RecordPiece(comm_p=sha254_zero(size), size=size, payload_size=0))
        at += size
    return found


def _claim(piece: RecordPiece) -> VerifiedAllocationKey | None:
    if piece.client is None or piece.allocation is None:
        return None
    return VerifiedAllocationKey(client=piece.client, id=piece.allocation)


def _wire_piece(piece: RecordPiece) -> WirePiece:
    return WirePiece(size=piece.size, comm_p=piece.comm_p, payload_size=piece.payload_size)
