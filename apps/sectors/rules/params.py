"""Parameters of the messages that bring sectors to the chain, made from our rows.

Source: go-state-types builtin/v18/miner/miner_types.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.messages.services.validate import PARAMS_BYTES_MAX
from apps.pieces.models import Piece
from apps.sectors.models import Sector
from poolsite.filecoin.actors.miner_sectors import (
    DataActivationNotification,
    PieceActivationManifest,
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    ProveCommitSectorsNIParams,
    ProveReplicaUpdates3Params,
    SectorActivationManifest,
    SectorNIActivationInfo,
    SectorPreCommitInfo,
    SectorUpdateManifest,
    VerifiedAllocationKey,
)
from poolsite.filecoin.address import MARKET_ACTOR
from poolsite.filecoin.cbor import int_write
from poolsite.filecoin.cids import Cid, cid_parse, cid_to_json, commd_cid, commr_cid
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.commd import Piece as CommittedPiece
from poolsite.filecoin.commd import comm_d_from_pieces
from poolsite.filecoin.sector import RegisteredAggregationProof
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.job_inputs import Piece as WirePiece


@dataclass(frozen=True, slots=True)
class Proven:
    """A sector with its final proof."""

    number: int
    proof: bytes
    pieces: tuple[PieceActivationManifest, ...] = ()
    """Of clients, in order of place."""


@dataclass(frozen=True, slots=True)
class Updated:
    """A sector with the proof of its updated replica."""

    number: int
    place: tuple[int, int]
    """Deadline and partition."""
    sealed: Cid
    pieces: tuple[PieceActivationManifest, ...]
    proof: bytes


def entries_count_fit(count: int, *, encode: Callable[[int], bytes]) -> int:
    """Return how many of `count` entries, in order, one message holds; `encode` writes the first so many.

    One at least: what is too large by itself is refused where it is pushed.
    """
    return max(bisect_right(range(1, count + 1), PARAMS_BYTES_MAX, key=lambda most: len(encode(most))), 1)


def pieces_column(pieces: Iterable[WirePiece]) -> list[dict[str, Any]]:
    """Return what a sector's row holds of its pieces."""
    return [
        {"size": piece.size, "comm_p": piece.comm_p.hex(), "payload": piece.payload_size} for piece in pieces
    ]


def pieces_of(column: Iterable[dict[str, Any]]) -> tuple[WirePiece, ...]:
    """Read what a sector's row holds of its pieces."""
    return tuple(
        WirePiece(
            size=piece["size"], comm_p=bytes.fromhex(piece["comm_p"]), payload_size=piece.get("payload", 0)
        )
        for piece in column
    )


def has_data(sector: Sector) -> bool:
    """Return whether a sector holds clients' data."""
    return any(piece.get("payload", 0) for piece in sector.pieces)


def pieces_filled(pieces: Sequence[Piece], *, sector_size: int) -> tuple[WirePiece, ...]:
    """Return clients' pieces, largest first, and behind them the zero pieces that fill the sector."""
    filled = [
        WirePiece(
            size=piece.padded_size,
            comm_p=cid_parse(piece.piece_cid).digest,
            payload_size=piece.payload_size or 0,
        )
        for piece in pieces
    ]
    at = sum(piece.size for piece in filled)
    while at < sector_size:
        size = at & -at
        filled.append(WirePiece(size=size, comm_p=sha254_zero(size)))
        at += size
    return tuple(filled)


def comm_d_of(sector: Sector, *, pieces: Iterable[dict[str, Any]] | None = None) -> bytes:
    """Return the commitment of a sector's pieces, or of those that it is to hold."""
    column = sector.pieces if pieces is None else pieces
    parts = [CommittedPiece(piece.size, piece.comm_p) for piece in pieces_of(column)]
    return comm_d_from_pieces(sector.sector_size, parts)


def manifest_of(piece: Piece) -> PieceActivationManifest:
    """Return what the commit says of a piece: the allocation it claims, the deal whose market is told."""
    key = None
    if piece.client is not None and piece.allocation is not None:
        key = VerifiedAllocationKey(client=piece.client, id=piece.allocation)
    notifications = (
        () if piece.deal is None else (DataActivationNotification(MARKET_ACTOR, int_write(piece.deal)),)
    )
    return PieceActivationManifest(
        cid=cid_parse(piece.piece_cid),
        size=piece.padded_size,
        verified_allocation_key=key,
        notify=notifications,
    )


def precommit_info(sector: Sector, *, expiration: int) -> SectorPreCommitInfo:
    """Return one sector's part of a pre-commit; one of zeros names no data."""
    if sector.comm_r is None or sector.comm_d is None or sector.ticket_epoch is None:
        raise ValueError(f"sector {sector.number} has no replica yet")
    return SectorPreCommitInfo(
        seal_proof=sector.seal_proof,
        sector_number=sector.number,
        sealed_cid=commr_cid(bytes(sector.comm_r)),
        seal_rand_epoch=sector.ticket_epoch,
        deal_ids=(),
        expiration=expiration,
        unsealed_cid=commd_cid(bytes(sector.comm_d)) if has_data(sector) else None,
    )


def precommit_params(infos: Sequence[SectorPreCommitInfo]) -> bytes:
    """Return the parameters of PreCommitSectorBatch2."""
    return to_cbor(PreCommitSectorBatch2Params(sectors=tuple(infos)))


def precommit_json(info: SectorPreCommitInfo) -> dict[str, Any]:
    """Return the form in which a node is asked for the deposit."""
    return {
        "SealProof": info.seal_proof,
        "SectorNumber": info.sector_number,
        "SealedCID": {"/": str(info.sealed_cid)},
        "SealRandEpoch": info.seal_rand_epoch,
        "DealIDs": [],
        "Expiration": info.expiration,
        "UnsealedCid": cid_to_json(info.unsealed_cid),
    }


def price_info(*, seal_proof: int, expiration: int) -> SectorPreCommitInfo:
    """Return a pre-commit by which a node is asked for the deposit of a sector that does not exist yet.

    The node looks at the proof type and the deals only.  Source: lotus StateMinerPreCommitDepositForPower.
    """
    return SectorPreCommitInfo(
        seal_proof=seal_proof,
        sector_number=0,
        sealed_cid=commr_cid(bytes(32)),
        seal_rand_epoch=0,
        deal_ids=(),
        expiration=expiration,
        unsealed_cid=None,
    )


def commit_params(sectors: Sequence[Proven], *, all_or_none: bool, aggregate: bytes = b"") -> bytes:
    """Return the parameters of ProveCommitSectors3, sorted by number: an aggregate, or a proof of each."""
    ordered = sorted(sectors, key=lambda sector: sector.number)
    return to_cbor(
        ProveCommitSectors3Params(
            sector_activations=tuple(
                SectorActivationManifest(sector_number=sector.number, pieces=sector.pieces)
                for sector in ordered
            ),
            sector_proofs=() if aggregate else tuple(sector.proof for sector in ordered),
            aggregate_proof=aggregate,
            aggregate_proof_type=int(RegisteredAggregationProof.SNARK_PACK_V2) if aggregate else None,
            require_activation_success=all_or_none,
            require_notification_success=any(piece.notify for one in ordered for piece in one.pieces),
        )
    )


def noninteractive_params(
    sectors: Sequence[Sector], *, expiration: int, proof: bytes, deadline: int, all_or_none: bool
) -> bytes:
    """Return the parameters of ProveCommitSectorsNI, sorted by number, with one proof of all sectors."""
    return to_cbor(
        ProveCommitSectorsNIParams(
            sectors=tuple(
                SectorNIActivationInfo(
                    sealing_number=sector.number,
                    sealer_id=sector.miner.actor_id or 0,
                    sealed_cid=commr_cid(bytes(sector.comm_r or b"")),
                    sector_number=sector.number,
                    seal_rand_epoch=sector.ticket_epoch or 0,
                    expiration=expiration,
                )
                for sector in sorted(sectors, key=lambda sector: sector.number)
            ),
            aggregate_proof=proof,
            seal_proof_type=sectors[0].seal_proof,
            aggregate_proof_type=int(RegisteredAggregationProof.SNARK_PACK_V2),
            proving_deadline=deadline,
            require_activation_success=all_or_none,
        )
    )


def update_params(updates: Sequence[Updated], *, update_proof: int) -> bytes:
    """Return the parameters of ProveReplicaUpdates3, sorted by number.

    Of several sectors each stands for itself: one that the chain refuses spoils no other.  A deal of which a
    market is told is the exception, as its refusal ends the message: such a sector has one of its own.
    """
    ordered = sorted(updates, key=lambda one: one.number)
    return to_cbor(
        ProveReplicaUpdates3Params(
            sector_updates=tuple(
                SectorUpdateManifest(
                    sector=one.number,
                    deadline=one.place[0],
                    partition=one.place[1],
                    new_sealed_cid=one.sealed,
                    pieces=one.pieces,
                )
                for one in ordered
            ),
            sector_proofs=tuple(one.proof for one in ordered),
            aggregate_proof=b"",
            update_proofs_type=update_proof,
            aggregate_proof_type=None,
            require_activation_success=len(ordered) == 1,
            require_notification_success=any(piece.notify for one in ordered for piece in one.pieces),
        )
    )
