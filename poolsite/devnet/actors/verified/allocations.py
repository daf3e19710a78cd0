"""Allocations: data cap that a client set aside for pieces at a miner.

Source: builtin-actors actors/verifreg/src/lib.rs, runtime/src/runtime/policy.rs (bounds); FIP-0045.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from poolsite.devnet.actors.actor_errors import FORBIDDEN, NOT_FOUND, SERIALIZATION, ActorError, bad_argument
from poolsite.devnet.actors.ledger import DATACAP, KIND_MINER, actor_get
from poolsite.devnet.actors.nested import nested_send
from poolsite.devnet.actors.verified.claims import TERM_MAX, claim_prolong, registry_datacap_burn
from poolsite.devnet.state.rows import SYSTEM
from poolsite.devnet.state.verified_rows import Allocation, VerifregState, allocations_of
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE, AllocationRequests, AllocationsResponse
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.actors.datacap import TransferParams
from poolsite.filecoin.actors.receiver import FRC46_TOKEN_TYPE, TokensReceived, UniversalReceiverParams
from poolsite.filecoin.actors.verifreg import RemoveExpiredAllocationsParams, RemoveExpiredAllocationsReturn
from poolsite.filecoin.address import DATACAP_ACTOR, id_address
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.actors.allocations import AllocationRequest
    from poolsite.filecoin.policy import Network

TERM_MIN: Final = 180 * EPOCHS_PER_DAY_MAINNET
"""Least bound of an allocation's term in epochs.  Source: policy.rs."""
EXPIRATION_MAX: Final = 60 * EPOCHS_PER_DAY_MAINNET
"""Epochs from now in which an allocation must be claimed at the latest.  Source: policy.rs."""
SMALL: Final = 256
USUAL: Final = 1 << 20
"""Least bytes of an allocation: less where sectors are of 2 KiB.

Source: builtin-actors runtime/src/runtime/policy.rs MINIMUM_VERIFIED_ALLOCATION_SIZE, small-deals.
"""

T = TypeVar("T")


def size_min(network: Network) -> int:
    """Return the least size of an allocation."""
    return SMALL if any(proof.sector_size < USUAL for proof in network.seal_proofs) else USUAL


def tokens_received(call: Call) -> bytes:
    """Handle UniversalReceiverHook: data cap that comes is for new allocations and longer claims.

    It must be exactly what they need.  Raises ActorError 16, 17, 18, 21.
    """
    call.require_caller((DATACAP,))
    params: UniversalReceiverParams = call.read(UniversalReceiverParams)
    received = _payload(params, call.receiver)
    requests: AllocationRequests = _decoded(AllocationRequests, received.operator_data)
    for request in requests.allocations:
        _request_check(call, request)
    longer = sum(claim_prolong(call, request) for request in requests.extensions)
    total = longer + sum(request.size for request in requests.allocations)
    received_bytes = received.amount // DATACAP_PER_BYTE
    if total != received_bytes:
        raise bad_argument(
            f"total allocation size {total} must match data cap amount received {received_bytes}"
        )
    registry_datacap_burn(call, longer)
    numbers = _enter(call, received.from_, requests.allocations)
    extended = BatchReturn(len(requests.extensions), ())
    return to_cbor(AllocationsResponse(BatchReturn(len(numbers), ()), extended, numbers))


def _payload(params: UniversalReceiverParams, receiver: int) -> TokensReceived:
    if params.type != FRC46_TOKEN_TYPE:
        raise bad_argument(f"invalid token type {params.type}, expected {FRC46_TOKEN_TYPE} (FRC-46)")
    payload = _decoded(TokensReceived, params.payload)
    if payload.to != receiver:
        raise bad_argument(f"token receiver expected to {receiver}, was {payload.to}")
    return payload


def _decoded(cls: type[T], data: bytes) -> T:
    try:
        return from_cbor(cls, data)
    except (BadCbor, ValueError) as error:
        raise ActorError(SERIALIZATION, f"Serialization error for Cbor protocol: {error}") from None


def _enter(call: Call, client: int, requests: tuple[AllocationRequest, ...]) -> tuple[int, ...]:
    """Make the allocations; gives their numbers."""
    state: VerifregState = call.draft.get(SYSTEM, "verifreg") or VerifregState(1)
    for number, request in enumerate(requests, start=state.next_allocation):
        row = Allocation(
            client=client,
            provider=request.provider,
            data=request.data,
            size=request.size,
            term_min=request.term_min,
            term_max=request.term_max,
            expiration=request.expiration,
        )
        call.draft.put(allocations_of(client), number, row)
    last = state.next_allocation + len(requests)
    call.draft.put(SYSTEM, "verifreg", VerifregState(last))
    return tuple(range(state.next_allocation, last))


def _request_check(call: Call, request: AllocationRequest) -> None:
    """Raise ActorError 16 for an allocation that nobody may have."""
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


def remove_expired_allocations(call: Call) -> bytes:
    """Handle RemoveExpiredAllocations: the client has its data cap back."""
    params = call.read(RemoveExpiredAllocationsParams)
    table = allocations_of(params.client)
    numbers = params.allocation_ids or tuple(
        number for number in sorted(call.draft.keys(table)) if _is_over(call, table, number)
    )
    failures, back = [], 0
    for at, number in enumerate(numbers):
        row: Allocation | None = call.draft.get(table, number)
        if row is None or call.epoch <= row.expiration:
            failures.append(FailCode(at, NOT_FOUND if row is None else FORBIDDEN))
            continue
        call.draft.delete(table, number)
        back += row.size
    if back:
        transfer_params = TransferParams(id_address(params.client), back * DATACAP_PER_BYTE, b"")
        nested_send(
            call,
            to=DATACAP_ACTOR,
            method=TokenMethod.TRANSFER_EXPORTED,
            params=to_cbor(transfer_params),
            failing="failed to transfer recovered datacap",
        )
    results = BatchReturn(len(numbers) - len(failures), tuple(failures))
    return to_cbor(RemoveExpiredAllocationsReturn(tuple(numbers), results, back))


def _is_over(call: Call, table: str, number: int) -> bool:
    row: Allocation | None = call.draft.get(table, number)
    return row is not None and call.epoch > row.expiration
