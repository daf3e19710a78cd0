"""What a sector is made of, in damocles-manager's words: written for another manager, read from one.

The chain tells of a sector what it is for, not what it was made of: without its ticket and pieces nobody can
make it again or find a client's bytes in it.
Source: damocles-manager/core/types_sector_state.go SectorState, core/types.go
SectorPieceV2; `util sealer sectors export-json`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.pieces.models import Piece
from apps.pieces.selectors import pieces_by_sector
from apps.sectors.models import Sector
from apps.sectors.rules.params import has_data, pieces_of
from apps.sectors.selectors.lotus_records import record_from_lotus
from poolsite.filecoin.address import ID, BadAddress, address_parse
from poolsite.filecoin.cids import (
    BadCid,
    cid_parse,
    cid_to_commd,
    cid_to_commr,
    cid_to_json,
    commd_cid,
    commr_cid,
)
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.pipeline import SectorState

RANDOMNESS_BYTES: Final = 32
PIECE_MIN: Final = 128
"""Padded bytes of the smallest piece."""
COUNT_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPiece:
    """A piece of a sector, a client's or one of zeros."""

    cid: str
    size: int
    offset: int
    payload_size: int = 0
    row: Piece | None = None
    """None: zeros that fill the sector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPiece:
    """One piece of a record, in order of place."""

    comm_p: bytes
    size: int
    payload_size: int
    """0: zeros."""
    client: int | None = None
    allocation: int | None = None
    deal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorRecord:
    """What a record says of a sector."""

    miner_id: int
    number: int
    seal_proof: int
    comm_r: bytes
    comm_d: bytes
    """Of its first replica."""
    ticket: bytes
    ticket_epoch: int
    seed: bytes | None
    seed_epoch: int | None
    pieces: tuple[RecordPiece, ...]
    new_comm_r: bytes | None
    """Of the replica that data were put into later."""
    new_comm_d: bytes | None

    @property
    def data_comm_d(self) -> bytes:
        """The commitment of the pieces."""
        return self.comm_d if self.new_comm_d is None else self.new_comm_d


def records_of(sectors: Sequence[Sector]) -> list[dict[str, Any]]:
    """Write sectors; what is not known is null.  The pieces of all that hold data are read in one query."""
    placed = pieces_by_sector({(one.miner_id, one.number) for one in sectors if has_data(one)})
    return [_record(one, placed.get((one.miner_id, one.number), ())) for one in sectors]


def record_of(sector: Sector) -> dict[str, Any]:
    """Write one sector."""
    return records_of([sector])[0]


def _record(sector: Sector, placed: Sequence[Piece]) -> dict[str, Any]:
    is_upgraded = sector.key_comm_r is not None
    first = bytes((sector.key_comm_r if is_upgraded else sector.comm_r) or b"")
    ticket = _drawn(sector.ticket, sector.ticket_epoch, name="Ticket")
    comm_d = bytes(sector.comm_d or b"")
    pieces = pieces_placed(sector.pieces, placed)
    made = upgraded = None
    if first and comm_d:
        made = {
            "CommR": cid_to_json(commr_cid(first)),
            "CommD": cid_to_json(commd_cid(zeros_of(sector) if is_upgraded else comm_d)),
            "Ticket": ticket,
        }
    if is_upgraded:
        upgraded = {
            "AccessInstance": sector.store,
            "SealedCID": cid_to_json(commr_cid(bytes(sector.comm_r or b""))),
            "UnsealedCID": cid_to_json(commd_cid(comm_d)) if comm_d else None,
        }
    return {
        "ID": {"Miner": sector.miner.actor_id, "Number": sector.number},
        "SectorType": sector.seal_proof,
        "Ticket": ticket,
        "Seed": _drawn(sector.seed, sector.seed_epoch, name="Seed"),
        "Pieces": [piece_written(one, provider=sector.miner.actor_id or 0) for one in pieces] or None,
        "Pre": made,
        "Finalized": sector.state == SectorState.PROVING,
        "AbortReason": sector.error if sector.state == SectorState.ABORTED else "",
        "Upgraded": is_upgraded,
        "UpgradedInfo": upgraded,
        "AccessInstance": sector.store,
        "Expiration": sector.expiration,
    }


def zeros_of(sector: Sector) -> bytes:
    """Return the commitment of a sector of zeros."""
    return sha254_zero(sector.sector_size)


def _drawn(value: bytes | memoryview | None, epoch: int | None, *, name: str) -> dict[str, Any] | None:
    return None if value is None else {name: b64encode(bytes(value)).decode(), "Epoch": epoch}


def pieces_placed(column: Iterable[dict[str, Any]], placed: Iterable[Piece]) -> list[PlacedPiece]:
    """Return all that a sector is made of, in order of place; `placed` are the clients' pieces in it.

    `column`: its row's, or that of the run by which it gets them.
    """
    rows = {row.offset: row for row in placed}
    found, at = [], 0
    for piece in pieces_of(column):
        row, cid = rows.get(at) if piece.payload_size else None, str(commd_cid(piece.comm_p))
        found.append(
            PlacedPiece(cid=cid, size=piece.size, offset=at, payload_size=piece.payload_size, row=row)
        )
        at += piece.size
    return found


def piece_written(placed: PlacedPiece, *, provider: int) -> dict[str, Any]:
    """Return a SectorPieceV2, with the numbers by which the chain knows the piece; zeros have none."""
    row, cid = placed.row, {"/": placed.cid}
    deal: dict[str, Any] = {
        "DealID": 0 if row is None else row.deal or 0,
        "AllocationID": 0 if row is None else row.allocation or 0,
        "PieceCID": cid,
        "PieceSize": placed.size,
        "Offset": placed.offset,
        "Length": placed.size,
        "PayloadSize": placed.payload_size,
        "Provider": f"f0{provider}",
        "IsBuiltinMarket": row is not None and row.deal is not None,
        "IsCompatible": False,
    }
    if row is not None and row.client is not None:
        deal["Client"] = f"f0{row.client}"
    if row is not None and row.start_epoch is not None:
        deal["StartEpoch"] = row.start_epoch
    return {"Piece": {"Size": placed.size, "PieceCID": cid}, "DealInfo": deal}


def record_read(body: Mapping[str, Any], *, miner_id: int | None = None) -> SectorRecord:
    """Read a record; `miner_id` is the miner of one in lotus' form.  Raises BadValue naming what is wrong."""
    try:
        body = record_from_lotus(body, miner_id=miner_id) if isinstance(body, dict) else body
        name, made, ticket = body["ID"], body["Pre"], body["Ticket"] or body["Pre"]["Ticket"]
        upgraded = body.get("UpgradedInfo") if body.get("Upgraded") else None
        seed = body.get("Seed")
        return SectorRecord(
            miner_id=_count(name["Miner"]),
            number=_count(name["Number"]),
            seal_proof=_count(body["SectorType"]),
            comm_r=cid_to_commr(cid_parse(made["CommR"]["/"])),
            comm_d=cid_to_commd(cid_parse(made["CommD"]["/"])),
            ticket=_randomness(ticket["Ticket"]),
            ticket_epoch=_count(ticket["Epoch"]),
            seed=None if seed is None else _randomness(seed["Seed"]),
            seed_epoch=None if seed is None else _count(seed["Epoch"]),
            pieces=tuple(map(_piece_read, body.get("Pieces") or ())),
            new_comm_r=None if upgraded is None else cid_to_commr(cid_parse(upgraded["SealedCID"]["/"])),
            new_comm_d=None if upgraded is None else cid_to_commd(cid_parse(upgraded["UnsealedCID"]["/"])),
        )
    except KeyError as error:
        raise BadValue(
            gettext("not a valid sector record: it has no {name}").format(name=error.args[0]), field="records"
        ) from None
    except (AttributeError, TypeError, IndexError):
        raise BadValue(
            gettext("not a valid sector record: a part of it has another form"), field="records"
        ) from None
    except (BadCid, BadAddress, BadBase64, ValueError) as error:
        raise BadValue(
            gettext("not a valid sector record: {error}").format(error=error), field="records"
        ) from None


def _piece_read(body: Mapping[str, Any]) -> RecordPiece:
    piece, deal = body["Piece"], body.get("DealInfo") or {}
    if not isinstance(deal, dict):
        raise TypeError("DealInfo is not an object")
    deal_id, allocation = _count(deal.get("DealID") or 0), _count(deal.get("AllocationID") or 0)
    client = address_parse(deal["Client"]) if deal.get("Client") else None
    size, is_data = _count(piece["Size"]), bool(deal_id or allocation)
    if size < PIECE_MIN or size & (size - 1):
        raise ValueError(f"{size} is not a valid piece size")
    return RecordPiece(
        comm_p=cid_to_commd(cid_parse(piece["PieceCID"]["/"])),
        size=size,
        payload_size=_count(deal.get("PayloadSize") or 0) or (unpadded_bytes(size) if is_data else 0),
        client=client.actor_id if client is not None and client.protocol == ID else None,
        allocation=allocation or None,
        deal=deal_id or None,
    )


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= COUNT_MAX:
        raise ValueError(f"{value!r} is not a valid number")
    return value


def _randomness(value: Any) -> bytes:
    found = b64decode(value, validate=True)
    if len(found) != RANDOMNESS_BYTES:
        raise ValueError("a ticket or seed must have 32 bytes")
    return found
