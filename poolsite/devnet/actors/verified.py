"""Verified data: data cap, the allocations that it pays for, and the claims of the miners that store them.

The registry and the data cap token of the real chain are two actors; their rows lie side by side here.
Source: builtin-actors actors/verifreg/src/lib.rs, actors/datacap/src/lib.rs; FIP-0045.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.exits import bad_argument, forbidden, not_found
from poolsite.devnet.actors.ledger import (
    KIND_MINER,
    VERIFREG,
    VERIFREG_ROOT,
    actor_get,
    resolve_existing,
)
from poolsite.devnet.state.rows import (
    DATACAPS,
    SYSTEM,
    VERIFIERS,
    Allocation,
    DataCap,
    DataClaim,
    VerifregState,
    allocations_of,
    data_claims_of,
)
from poolsite.filecoin.actors.allocations import (
    ALLOCATION_REQUESTS,
    ALLOCATIONS_RESPONSE,
    DATACAP_PER_BYTE,
    AllocationRequest,
    AllocationsResponse,
    ClaimExtensionRequest,
)
from poolsite.filecoin.actors.batch import BATCH_RETURN, BatchReturn, FailCode
from poolsite.filecoin.actors.datacap import (
    OWNER_PARAMS,
    TOKEN_AMOUNT_RETURN,
    TRANSFER_PARAMS,
    TRANSFER_RETURN,
    TokenAmountReturn,
    TransferReturn,
)
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.actors.verifreg import (
    EXTEND_CLAIM_TERMS_PARAMS,
    GET_CLAIMS_PARAMS,
    GET_CLAIMS_RETURN,
    REMOVE_EXPIRED_ALLOCATIONS_PARAMS,
    REMOVE_EXPIRED_ALLOCATIONS_RETURN,
    REMOVE_VERIFIER_PARAMS,
    VERIFIER_PARAMS,
    Claim,
    GetClaimsReturn,
    Method,
    RemoveExpiredAllocationsReturn,
)
from poolsite.filecoin.cbor import BadCbor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.tables import Draft, State
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.policy import Network

EPOCHS_IN_DAY: Final = 2880
TERM_MIN: Final = 180 * EPOCHS_IN_DAY
TERM_MAX: Final = 5 * 365 * EPOCHS_IN_DAY
EXPIRATION_MAX: Final = 60 * EPOCHS_IN_DAY
"""Bounds of an allocation in epochs.  Source: runtime policy.rs."""
SMALL: Final = 256
USUAL: Final = 1 << 20
"""Least bytes of an allocation: less where sectors are of 2 KiB.  Source: policy.rs, small-deals."""


def size_min(network: Network) -> int:
    """Give the least size of an allocation."""
    return SMALL if any(proof.sector_size < USUAL for proof in network.seal_proofs) else USUAL


def datacap_of(state: Draft | State, holder: int) -> int:
    """Give the data cap of a client in token units."""
    row: DataCap | None = state.get(DATACAPS, holder)
    return 0 if row is None else row.amount


def _datacap_change(draft: Draft, holder: int, amount: int) -> int:
    """Add to a client's data cap, or take from it; gives what there is then."""
    left = datacap_of(draft, holder) + amount
    if left:
        draft.put(DATACAPS, holder, DataCap(left))
    else:
        draft.delete(DATACAPS, holder)
    return left


def _party(call: Call, address: Address) -> int:
    found = resolve_existing(call.draft, address)
    if found is None:
        raise bad_argument(f"failed to resolve address {address}")
    return found


def add_verifier(call: Call) -> bytes:
    """Handle AddVerifier: the root gives data cap to hand out."""
    params = call.read(VERIFIER_PARAMS)
    least = size_min(call.network)
    if params.allowance < least:
        raise bad_argument(
            f"Allowance {params.allowance} below minimum deal size for add verifier {params.address}"
        )
    verifier = _party(call, params.address)
    call.require_caller((VERIFREG_ROOT,))
    if verifier == VERIFREG_ROOT:
        raise bad_argument("Rootkey cannot be added as verifier")
    if datacap_of(call.draft, verifier):
        raise bad_argument(f"verified client f0{verifier} cannot become a verifier")
    call.draft.put(VERIFIERS, verifier, DataCap(params.allowance))
    return b""


def remove_verifier(call: Call) -> bytes:
    """Handle RemoveVerifier."""
    verifier = _party(call, call.read(REMOVE_VERIFIER_PARAMS).address)
    call.require_caller((VERIFREG_ROOT,))
    if call.draft.get(VERIFIERS, verifier) is None:
        raise bad_argument(f"failed to remove verifier: address not found f0{verifier}")
    call.draft.delete(VERIFIERS, verifier)
    return b""


def add_verified_client(call: Call) -> bytes:
    """Handle AddVerifiedClient: a verifier hands data cap on."""
    params = call.read(VERIFIER_PARAMS)
    if params.allowance < size_min(call.network):
        raise bad_argument(
            f"allowance {params.allowance} below MinVerifiedDealSize for add verified client {params.address}"
        )
    client = _party(call, params.address)
    if client == VERIFREG_ROOT:
        raise bad_argument("root cannot be added as a verified client")
    verifier: DataCap | None = call.draft.get(VERIFIERS, call.caller)
    if verifier is None:
        raise not_found(f"caller f0{call.caller} is not a verifier")
    if call.draft.get(VERIFIERS, client) is not None:
        raise bad_argument(f"verifier f0{client} cannot be added as a verified client")
    if verifier.amount < params.allowance:
        raise bad_argument(f"Add more DataCap {params.allowance} for client than allocated {verifier.amount}")
    call.draft.put(VERIFIERS, call.caller, DataCap(verifier.amount - params.allowance))
    _datacap_change(call.draft, client, params.allowance * DATACAP_PER_BYTE)
    return b""


def transfer(call: Call) -> bytes:
    """Handle the token's Transfer: data cap goes to the registry only, with what it is for."""
    params = call.read(TRANSFER_PARAMS)
    if resolve_existing(call.draft, params.to) != VERIFREG:
        raise forbidden("transfer not allowed")
    if params.amount < 0 or params.amount % DATACAP_PER_BYTE:
        raise bad_argument(f"amount {params.amount} must be a multiple of {DATACAP_PER_BYTE}")
    have = datacap_of(call.draft, call.caller)
    if have < params.amount:
        raise bad_argument(
            f"caller f0{call.caller} has insufficient balance {have} to transfer {params.amount}"
        )
    left = _datacap_change(call.draft, call.caller, -params.amount)
    held = _datacap_change(call.draft, VERIFREG, params.amount)
    response = _requests_take(call, params.operator_data, params.amount)
    return TRANSFER_RETURN.encode(TransferReturn(left, held, response))


def balance(call: Call) -> bytes:
    """Handle the token's Balance."""
    holder = _party(call, call.read(OWNER_PARAMS).address)
    return TOKEN_AMOUNT_RETURN.encode(TokenAmountReturn(datacap_of(call.draft, holder)))


def _requests_take(call: Call, payload: bytes, amount: int) -> bytes:
    """Make allocations and lengthen claims as the payload says; the amount must fit exactly."""
    try:
        requests = ALLOCATION_REQUESTS.decode(payload)
    except (BadCbor, ValueError) as error:
        raise bad_argument(f"invalid allocation requests: {error}") from None
    total = 0
    state: VerifregState = call.draft.get(SYSTEM, "verifreg") or VerifregState(1)
    numbers: list[int] = []
    for request in requests.allocations:
        _request_check(call, request)
        total += request.size
        numbers.append(state.next_allocation + len(numbers))
        row = Allocation(
            client=call.caller,
            provider=request.provider,
            data=request.data,
            size=request.size,
            term_min=request.term_min,
            term_max=request.term_max,
            expiration=request.expiration,
        )
        call.draft.put(allocations_of(call.caller), numbers[-1], row)
    call.draft.put(SYSTEM, "verifreg", VerifregState(state.next_allocation + len(numbers)))
    longer = sum(_claim_extend(call, request) for request in requests.extensions)
    if (total + longer) * DATACAP_PER_BYTE != amount:
        raise bad_argument(
            f"total allocation size {total + longer} must match data cap amount received "
            f"{amount // DATACAP_PER_BYTE}"
        )
    _datacap_change(call.draft, VERIFREG, -longer * DATACAP_PER_BYTE)
    return ALLOCATIONS_RESPONSE.encode(
        AllocationsResponse(
            BatchReturn(len(numbers), ()), BatchReturn(len(requests.extensions), ()), tuple(numbers)
        )
    )


def _request_check(call: Call, request: AllocationRequest) -> None:
    """Raises ActorError 16 for an allocation that nobody may have."""
    least, now = size_min(call.network), call.epoch
    if request.size < least:
        raise bad_argument(f"allocation size {request.size} below minimum {least}")
    if request.term_min < TERM_MIN:
        raise bad_argument(f"allocation term min {request.term_min} below limit {TERM_MIN}")
    if request.term_max > TERM_MAX:
        raise bad_argument(f"allocation term max {request.term_max} above limit {TERM_MAX}")
    if request.term_min > request.term_max:
        raise bad_argument(f"allocation term min {request.term_min} exceeds term max {request.term_max}")
    if request.expiration < now:
        raise bad_argument(f"allocation expiration epoch {request.expiration} is past current epoch {now}")
    if request.expiration > now + EXPIRATION_MAX:
        raise bad_argument(
            f"allocation expiration {request.expiration} exceeds maximum {now + EXPIRATION_MAX}"
        )
    miner = actor_get(call.draft, request.provider)
    if miner is None or miner.kind != KIND_MINER:
        raise bad_argument(f"allocation provider {request.provider} must be a miner actor")


def _claim_extend(call: Call, request: ClaimExtensionRequest) -> int:
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
    _datacap_change(call.draft, VERIFREG, -size * DATACAP_PER_BYTE)
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


def remove_expired_allocations(call: Call) -> bytes:
    """Handle RemoveExpiredAllocations: the client has its data cap back."""
    params = call.read(REMOVE_EXPIRED_ALLOCATIONS_PARAMS)
    table = allocations_of(params.client)
    numbers = params.allocation_ids or tuple(
        number for number in sorted(call.draft.keys(table)) if _is_over(call, table, number)
    )
    failures, back = [], 0
    for at, number in enumerate(numbers):
        row: Allocation | None = call.draft.get(table, number)
        if row is None or call.epoch <= row.expiration:
            failures.append(FailCode(at, 17 if row is None else 18))
            continue
        call.draft.delete(table, number)
        back += row.size
    _datacap_change(call.draft, VERIFREG, -back * DATACAP_PER_BYTE)
    _datacap_change(call.draft, params.client, back * DATACAP_PER_BYTE)
    results = BatchReturn(len(numbers) - len(failures), tuple(failures))
    return REMOVE_EXPIRED_ALLOCATIONS_RETURN.encode(
        RemoveExpiredAllocationsReturn(tuple(numbers), results, back)
    )


def _is_over(call: Call, table: str, number: int) -> bool:
    row: Allocation | None = call.draft.get(table, number)
    return row is not None and call.epoch > row.expiration


def get_claims(call: Call) -> bytes:
    """Handle GetClaims."""
    params = call.read(GET_CLAIMS_PARAMS)
    failures, claims = [], []
    for at, number in enumerate(params.claim_ids):
        row: DataClaim | None = call.draft.get(data_claims_of(params.provider), number)
        if row is None:
            failures.append(FailCode(at, 17))
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
    params = call.read(EXTEND_CLAIM_TERMS_PARAMS)
    failures = []
    for at, term in enumerate(params.terms):
        table = data_claims_of(term.provider)
        row: DataClaim | None = call.draft.get(table, term.claim_id)
        code = 0
        if row is None:
            code = 17
        elif row.client != call.caller:
            code = 18
        elif term.term_max > TERM_MAX or term.term_max < row.term_max:
            code = 16
        if row is None or code:
            failures.append(FailCode(at, code))
            continue
        call.draft.put(table, term.claim_id, replace(row, term_max=term.term_max))
    return BATCH_RETURN.encode(BatchReturn(len(params.terms) - len(failures), tuple(failures)))


REGISTRY: Final[dict[int, Callable[[Call], bytes]]] = {
    Method.ADD_VERIFIER: add_verifier,
    Method.REMOVE_VERIFIER: remove_verifier,
    Method.ADD_VERIFIED_CLIENT: add_verified_client,
    Method.ADD_VERIFIED_CLIENT_EXPORTED: add_verified_client,
    Method.REMOVE_EXPIRED_ALLOCATIONS: remove_expired_allocations,
    Method.REMOVE_EXPIRED_ALLOCATIONS_EXPORTED: remove_expired_allocations,
    Method.GET_CLAIMS: get_claims,
    Method.GET_CLAIMS_EXPORTED: get_claims,
    Method.EXTEND_CLAIM_TERMS: extend_claim_terms,
    Method.EXTEND_CLAIM_TERMS_EXPORTED: extend_claim_terms,
}
TOKEN: Final[dict[int, Callable[[Call], bytes]]] = {
    TokenMethod.TRANSFER_EXPORTED: transfer,
    TokenMethod.BALANCE_EXPORTED: balance,
}
"""Handlers by method number."""
