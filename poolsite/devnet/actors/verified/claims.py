"""Claims: verified data that a miner stores, which let its sectors count ten times.

Source: builtin-actors actors/verifreg/src/lib.rs, runtime/src/runtime/policy.rs (bounds); FIP-0045.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import (
    FORBIDDEN,
    ILLEGAL_ARGUMENT,
    NOT_FOUND,
    OK,
    bad_argument,
    forbidden,
    not_found,
)
from poolsite.devnet.actors.nested import nested_send
from poolsite.devnet.state.verified_rows import Allocation, DataClaim, allocations_of, data_claims_of
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.claims import (
    CLAIM_TERM_MAX,
    Claim,
    ClaimAllocationsParams,
    ClaimAllocationsReturn,
    ExtendClaimTermsParams,
    GetClaimsParams,
    GetClaimsReturn,
    RemoveExpiredClaimsParams,
    RemoveExpiredClaimsReturn,
    SectorClaimSummary,
)
from poolsite.filecoin.actors.datacap import BurnParams
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.address import DATACAP_ACTOR
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.actors.allocations import ClaimExtensionRequest
    from poolsite.filecoin.actors.claims import AllocationClaim, ClaimTerm, SectorAllocationClaims

TERM_MAX: Final = CLAIM_TERM_MAX


def claim_prolong(call: Call, request: ClaimExtensionRequest) -> int:
    """Lengthen a claim for a client that pays for it; gives its size.  Raises ActorError 16, 17, 18."""
    table = data_claims_of(request.provider)
    claim: DataClaim | None = call.draft.get(table, request.claim)
    if claim is None:
        raise not_found(f"no claim {request.claim} for provider {request.provider}")
    if request.term_max > call.epoch - claim.term_start + TERM_MAX:
        raise bad_argument(f"term_max {request.term_max} for claim {request.claim} exceeds maximum")
    if request.term_max <= claim.term_max:
        raise bad_argument(
            f"term_max {request.term_max} for claim {request.claim} is not larger than existing term max "
            f"{claim.term_max}"
        )
    if call.epoch > claim.term_start + claim.term_max:
        raise forbidden(f"claim {request.claim} expired at {claim.term_start + claim.term_max}")
    call.draft.put(table, request.claim, replace(claim, term_max=request.term_max))
    return claim.size


def claim_allocations(call: Call) -> bytes:
    """Handle ClaimAllocations: a miner claims what its new sectors hold, each sector's all or none.

    Raises ActorError 16 if all sectors must hold and one does not.
    """
    call.require_miner()
    params: ClaimAllocationsParams = call.read(ClaimAllocationsParams)
    if not params.sectors:
        raise bad_argument("claim allocations called with no claims")
    failures, summaries = [], []
    for at, sector in enumerate(params.sectors):
        found = _claimable(call, sector)
        if isinstance(found, int):
            failures.append(FailCode(at, found))
        else:
            summaries.append(SectorClaimSummary(_claims_enter(call, sector, found)))
    results = BatchReturn(len(summaries), tuple(failures))
    if params.all_or_nothing and failures:
        raise bad_argument(f"claim failed with all-or-nothing: {results}")
    registry_datacap_burn(call, sum(summary.claimed_space for summary in summaries))
    return to_cbor(ClaimAllocationsReturn(results, tuple(summaries)))


def _claimable(call: Call, sector: SectorAllocationClaims) -> list[Allocation] | int:
    """Return the allocations that a sector claims, or the code of the first that it may not have."""
    found = []
    for claim in sector.claims:
        row: Allocation | None = call.draft.get(allocations_of(claim.client), claim.allocation_id)
        if row is None:
            return NOT_FOUND
        if not _may_claim(call, row, claim=claim, expiration=sector.sector_expiry):
            return FORBIDDEN
        found.append(row)
    return found


def _claims_enter(call: Call, sector: SectorAllocationClaims, rows: list[Allocation]) -> int:
    """Turn a sector's allocations into claims; gives their bytes.  Raises ActorError 16."""
    table = data_claims_of(call.caller)
    for claim, row in zip(sector.claims, rows, strict=True):
        if call.draft.get(table, claim.allocation_id) is not None:
            raise bad_argument(f"state transaction failed: claim {claim.allocation_id} already exists")
        new = DataClaim(
            client=row.client,
            data=row.data,
            size=row.size,
            term_min=row.term_min,
            term_max=row.term_max,
            term_start=call.epoch,
            sector=sector.sector,
        )
        call.draft.delete(allocations_of(claim.client), claim.allocation_id)
        call.draft.put(table, claim.allocation_id, new)
    return sum(row.size for row in rows)


def _may_claim(call: Call, row: Allocation, *, claim: AllocationClaim, expiration: int) -> bool:
    """Source: verifreg can_claim_alloc."""
    life = expiration - call.epoch
    return (
        row.provider == call.caller
        and row.client == claim.client
        and row.data == claim.data
        and row.size == claim.size
        and call.epoch <= row.expiration
        and row.term_min <= life <= row.term_max
    )


def registry_datacap_burn(call: Call, size: int) -> None:
    """Burn so many bytes of the registry's own data cap."""
    if size:
        nested_send(
            call,
            to=DATACAP_ACTOR,
            method=TokenMethod.BURN_EXPORTED,
            params=to_cbor(BurnParams(size * DATACAP_PER_BYTE)),
            failing="failed to burn datacap",
        )


def get_claims(call: Call) -> bytes:
    """Handle GetClaims."""
    params = call.read(GetClaimsParams)
    failures, claims = [], []
    for at, number in enumerate(params.claim_ids):
        row: DataClaim | None = call.draft.get(data_claims_of(params.provider), number)
        if row is None:
            failures.append(FailCode(at, NOT_FOUND))
        else:
            claims.append(claim_form(params.provider, row))
    info = BatchReturn(len(claims), tuple(failures))
    return to_cbor(GetClaimsReturn(info, tuple(claims)))


def claim_form(provider: int, row: DataClaim) -> Claim:
    """Return a claim in the form of the actor's interface."""
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
    terms: tuple[ClaimTerm, ...] = call.read(ExtendClaimTermsParams).terms
    failures = []
    for at, term in enumerate(terms):
        table = data_claims_of(term.provider)
        row: DataClaim | None = call.draft.get(table, term.claim_id)
        code = _term_code(call, row, term.term_max)
        if code:
            failures.append(FailCode(at, code))
        elif row is not None:
            call.draft.put(table, term.claim_id, replace(row, term_max=term.term_max))
    return to_cbor(BatchReturn(len(terms) - len(failures), tuple(failures)))


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
    params = call.read(RemoveExpiredClaimsParams)
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
    return to_cbor(RemoveExpiredClaimsReturn(tuple(numbers), results))


def _expiry_code(call: Call, table: str, number: int) -> int:
    """0 if a claim's longest term is over, else why it stays."""
    row: DataClaim | None = call.draft.get(table, number)
    if row is None:
        return NOT_FOUND
    return OK if call.epoch > row.term_start + row.term_max else FORBIDDEN
