"""Claims: verified data that a miner stores, which let its sectors count ten times.

Source: builtin-actors actors/verifreg/src/lib.rs; FIP-0045.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.exits import (
    FORBIDDEN,
    ILLEGAL_ARGUMENT,
    NOT_FOUND,
    OK,
    bad_argument,
    forbidden,
    not_found,
)
from poolsite.devnet.actors.ledger import VERIFREG
from poolsite.devnet.actors.verified.datacap import datacap_change
from poolsite.devnet.state.rows import Allocation, DataClaim, allocations_of, data_claims_of
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE
from poolsite.filecoin.actors.batch import BATCH_RETURN, BatchReturn, FailCode
from poolsite.filecoin.actors.verifreg import (
    EXTEND_CLAIM_TERMS_PARAMS,
    GET_CLAIMS_PARAMS,
    GET_CLAIMS_RETURN,
    REMOVE_EXPIRED_CLAIMS_PARAMS,
    REMOVE_EXPIRED_CLAIMS_RETURN,
    Claim,
    GetClaimsReturn,
    RemoveExpiredClaimsReturn,
)
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.actors.allocations import ClaimExtensionRequest
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest
    from poolsite.filecoin.actors.verifreg import ClaimTerm

TERM_MAX: Final = 5 * 365 * EPOCHS_PER_DAY_MAINNET
"""Longest term of a claim in epochs.  Source: runtime policy.rs."""


def claim_prolong(call: Call, request: ClaimExtensionRequest) -> int:
    """Lengthen a claim for a client that pays for it; gives its size.  Raises ActorError 16, 17, 18."""
    table = data_claims_of(request.provider)
    claim: DataClaim | None = call.draft.get(table, request.claim)
    if claim is None:
        raise not_found(f"no claim {request.claim} for provider {request.provider}")
    if request.term_max > call.epoch - claim.term_start + TERM_MAX:
        raise bad_argument(f"term_max {request.term_max} for claim {request.claim} exceeds maximum")
    if request.term_max < claim.term_max:
        raise bad_argument(
            f"term_max {request.term_max} for claim {request.claim} is less than current {claim.term_max}"
        )
    if call.epoch > claim.term_start + claim.term_max:
        raise forbidden(f"claim {request.claim} expired at {claim.term_start + claim.term_max}")
    call.draft.put(table, request.claim, replace(claim, term_max=request.term_max))
    return claim.size


def pieces_claim(
    call: Call, *, sector: int, expiration: int, pieces: Sequence[PieceActivationManifest]
) -> int | None:
    """Let a miner claim the allocations that a new sector's pieces name, all or none.

    Gives the verified bytes; None if one of them cannot be claimed, and then nothing has changed.
    """
    found: list[tuple[PieceActivationManifest, Allocation]] = []
    for piece in pieces:
        key = piece.verified_allocation_key
        if key is None:
            continue
        row: Allocation | None = call.draft.get(allocations_of(key.client), key.id)
        if row is None or not _may_claim(call, row, piece=piece, expiration=expiration):
            return None
        found.append((piece, row))
    if len({piece.verified_allocation_key for piece, _ in found}) != len(found):
        return None
    for piece, row in found:
        key = piece.verified_allocation_key
        if key is not None:
            claim = DataClaim(
                client=row.client,
                data=row.data,
                size=row.size,
                term_min=row.term_min,
                term_max=row.term_max,
                term_start=call.epoch,
                sector=sector,
            )
            call.draft.delete(allocations_of(key.client), key.id)
            call.draft.put(data_claims_of(call.receiver), key.id, claim)
    size = sum(row.size for _, row in found)
    datacap_change(call.draft, VERIFREG, -size * DATACAP_PER_BYTE)
    return size


def _may_claim(call: Call, row: Allocation, *, piece: PieceActivationManifest, expiration: int) -> bool:
    """Source: verifreg can_claim_alloc."""
    life = expiration - call.epoch
    return (
        row.provider == call.receiver
        and row.data == piece.cid
        and row.size == piece.size
        and call.epoch <= row.expiration
        and row.term_min <= life <= row.term_max
    )


def get_claims(call: Call) -> bytes:
    """Handle GetClaims."""
    params = call.read(GET_CLAIMS_PARAMS)
    failures, claims = [], []
    for at, number in enumerate(params.claim_ids):
        row: DataClaim | None = call.draft.get(data_claims_of(params.provider), number)
        if row is None:
            failures.append(FailCode(at, NOT_FOUND))
        else:
            claims.append(claim_form(params.provider, row))
    info = BatchReturn(len(claims), tuple(failures))
    return GET_CLAIMS_RETURN.encode(GetClaimsReturn(info, tuple(claims)))


def claim_form(provider: int, row: DataClaim) -> Claim:
    """Give a claim in the form of the actor's interface."""
    return Claim(
        provider=provider,
        client=row.client,
        data=row.data,
        size=row.size,
        term_min=row.term_min,
        term_max=row.term_max,
        term_start=row.term_start,
        sector=row.sector,
    )


def extend_claim_terms(call: Call) -> bytes:
    """Handle ExtendClaimTerms: a claim's own client lengthens it within the usual bound."""
    terms: tuple[ClaimTerm, ...] = call.read(EXTEND_CLAIM_TERMS_PARAMS).terms
    failures = []
    for at, term in enumerate(terms):
        table = data_claims_of(term.provider)
        row: DataClaim | None = call.draft.get(table, term.claim_id)
        code = _term_code(call, row, term.term_max)
        if code:
            failures.append(FailCode(at, code))
        elif row is not None:
            call.draft.put(table, term.claim_id, replace(row, term_max=term.term_max))
    return BATCH_RETURN.encode(BatchReturn(len(terms) - len(failures), tuple(failures)))


def _term_code(call: Call, row: DataClaim | None, term: int) -> int:
    """0, or why a claim cannot have the longer term."""
    if term > TERM_MAX:
        return ILLEGAL_ARGUMENT
    if row is None:
        return NOT_FOUND
    if row.client != call.caller:
        return FORBIDDEN
    return ILLEGAL_ARGUMENT if term < row.term_max else OK


def remove_expired_claims(call: Call) -> bytes:
    """Handle RemoveExpiredClaims: anybody may, once the longest term is over."""
    params = call.read(REMOVE_EXPIRED_CLAIMS_PARAMS)
    table = data_claims_of(params.provider)
    numbers = params.claim_ids or tuple(
        number for number in call.draft.keys(table) if _expiry_code(call, table, number) == OK
    )
    failures = []
    for at, number in enumerate(numbers):
        code = _expiry_code(call, table, number)
        if code == OK:
            call.draft.delete(table, number)
        else:
            failures.append(FailCode(at, code))
    results = BatchReturn(len(numbers) - len(failures), tuple(failures))
    return REMOVE_EXPIRED_CLAIMS_RETURN.encode(RemoveExpiredClaimsReturn(tuple(numbers), results))


def _expiry_code(call: Call, table: str, number: int) -> int:
    """0 if a claim's longest term is over, else why it stays."""
    row: DataClaim | None = call.draft.get(table, number)
    if row is None:
        return NOT_FOUND
    return OK if call.epoch > row.term_start + row.term_max else FORBIDDEN
