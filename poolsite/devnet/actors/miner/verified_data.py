"""Claiming the verified data of new sectors at the registry: one call for all of a message's sectors.

Source: builtin-actors actors/miner/src/lib.rs batch_claim_allocations, activate_sectors_pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from poolsite.devnet.actors.nested import nested_send
from poolsite.filecoin.actors.claims import (
    AllocationClaim,
    ClaimAllocationsParams,
    ClaimAllocationsReturn,
    SectorAllocationClaims,
)
from poolsite.filecoin.actors.verifreg import Method
from poolsite.filecoin.address import VERIFREG_ACTOR
from poolsite.filecoin.codec import from_cbor, to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest

SectorPieces = tuple[int, int, "Sequence[PieceActivationManifest]"]
"""A sector's number, its expiration and its pieces."""


def allocations_claim(
    call: Call, sectors: Sequence[SectorPieces], *, must_succeed: bool
) -> tuple[list[int], dict[int, int]]:
    """Claim what the pieces of proven sectors name; without any claim nobody is asked.

    Gives the verified bytes of each sector (0 where the claims fail), and the exit codes by place of those
    that fail.  Raises ActorError 16 if all must succeed and one does not.
    """
    requests = tuple(
        SectorAllocationClaims(number, expiration, _claims(pieces)) for number, expiration, pieces in sectors
    )
    if not any(request.claims for request in requests):
        return [0] * len(requests), {}
    response: ClaimAllocationsReturn = from_cbor(
        ClaimAllocationsReturn,
        nested_send(
            call,
            to=VERIFREG_ACTOR,
            method=Method.CLAIM_ALLOCATIONS,
            params=to_cbor(ClaimAllocationsParams(requests, must_succeed)),
            failing="error claiming allocations on batch",
        ),
    )
    failed = {fail.idx: fail.code for fail in response.sector_results.fail_codes}
    spaces = iter(response.sector_claims)
    return [0 if at in failed else next(spaces).claimed_space for at in range(len(requests))], failed


def _claims(pieces: Sequence[PieceActivationManifest]) -> tuple[AllocationClaim, ...]:
    return tuple(
        AllocationClaim(key.client, key.id, piece.cid, piece.size)
        for piece in pieces
        if (key := piece.verified_allocation_key) is not None
    )
