"""The verified registry actor f06: data cap, its allocations and claims.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go; FIP-0045.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.allocations import AllocationsResponse
from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.actors.claims import (
    ClaimAllocationsParams,
    ClaimAllocationsReturn,
    ExtendClaimTermsParams,
    GetClaimsParams,
    GetClaimsReturn,
    RemoveExpiredClaimsParams,
    RemoveExpiredClaimsReturn,
)
from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.receiver import UniversalReceiverParams
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import TokenAmount, Uint64, cbor_transparent, cbor_tuple, to_cbor
from poolsite.filecoin.signature import Signature


@cbor_tuple
@dataclass(frozen=True, slots=True)
class VerifierParams:
    """Give data cap to a verifier or a client."""

    address: Address
    """Who is notified."""
    allowance: TokenAmount
    """Data cap, bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class RemoveVerifierParams:
    """Take a verifier's right away."""

    address: Address
    """Who is notified."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapRequest:
    """A verifier's consent to taking data cap away."""

    verifier: Address
    """The verifier."""
    verifier_signature: Signature
    """Its signature."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapProposal:
    """What two verifiers sign to take data cap from a client."""

    verified_client: Address
    """ID address of the client."""
    data_cap_amount: TokenAmount
    """Bytes."""
    removal_proposal_id: tuple[Uint64, ...]
    """How often this verifier asked before to take from this client: one number."""


REMOVE_DATA_CAP_DOMAIN: Final = b"fil_removedatacap:"
"""Stands before the proposal in what is signed."""


def removal_signed(client: Address, amount: int, *, proposal_id: int) -> bytes:
    """Give the bytes that a verifier signs to take `amount` bytes of data cap from a client (ID address)."""
    proposal = RemoveDataCapProposal(client, amount, (proposal_id,))
    return REMOVE_DATA_CAP_DOMAIN + to_cbor(proposal)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapParams:
    """Take data cap from a client."""

    verified_client_to_remove: Address
    """The client."""
    data_cap_amount_to_remove: TokenAmount
    """Bytes."""
    verifier_request1: RemoveDataCapRequest
    """One verifier's request."""
    verifier_request2: RemoveDataCapRequest
    """Another verifier's request."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapReturn:
    """The data cap that a client lost."""

    verified_client: Address
    """The client."""
    data_cap_removed: TokenAmount
    """Bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredAllocationsParams:
    """Give back expired allocations."""

    client: Uint64
    """Actor number of the client."""
    allocation_ids: tuple[Uint64, ...]
    """Allocations; empty for all that expired."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredAllocationsReturn:
    """What was given back."""

    considered: tuple[Uint64, ...]
    """The items looked at."""
    results: BatchReturn
    """How they fared."""
    data_cap_recovered: TokenAmount
    """Bytes given back."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    ADD_VERIFIER = 2
    REMOVE_VERIFIER = 3
    ADD_VERIFIED_CLIENT = 4
    DEPRECATED1 = 5
    DEPRECATED2 = 6
    REMOVE_VERIFIED_CLIENT_DATA_CAP = 7
    REMOVE_EXPIRED_ALLOCATIONS = 8
    CLAIM_ALLOCATIONS = 9
    GET_CLAIMS = 10
    EXTEND_CLAIM_TERMS = 11
    REMOVE_EXPIRED_CLAIMS = 12
    EXTEND_CLAIM_TERMS_EXPORTED = 1_752_273_514
    GET_CLAIMS_EXPORTED = 2_199_871_187
    REMOVE_EXPIRED_ALLOCATIONS_EXPORTED = 2_421_068_268
    REMOVE_EXPIRED_CLAIMS_EXPORTED = 2_873_373_899
    UNIVERSAL_RECEIVER_HOOK = 3_726_118_371
    ADD_VERIFIED_CLIENT_EXPORTED = 3_916_220_144


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", RemoveVerifierParams),
    MethodSpec(Method.ADD_VERIFIER, "AddVerifier", VerifierParams),
    MethodSpec(Method.REMOVE_VERIFIER, "RemoveVerifier", RemoveVerifierParams),
    MethodSpec(Method.ADD_VERIFIED_CLIENT, "AddVerifiedClient", VerifierParams),
    MethodSpec(Method.DEPRECATED1, "Deprecated1"),
    MethodSpec(Method.DEPRECATED2, "Deprecated2"),
    MethodSpec(
        Method.REMOVE_VERIFIED_CLIENT_DATA_CAP,
        "RemoveVerifiedClientDataCap",
        RemoveDataCapParams,
        RemoveDataCapReturn,
    ),
    MethodSpec(
        Method.REMOVE_EXPIRED_ALLOCATIONS,
        "RemoveExpiredAllocations",
        RemoveExpiredAllocationsParams,
        RemoveExpiredAllocationsReturn,
    ),
    MethodSpec(Method.CLAIM_ALLOCATIONS, "ClaimAllocations", ClaimAllocationsParams, ClaimAllocationsReturn),
    MethodSpec(Method.GET_CLAIMS, "GetClaims", GetClaimsParams, GetClaimsReturn),
    MethodSpec(Method.EXTEND_CLAIM_TERMS, "ExtendClaimTerms", ExtendClaimTermsParams, BatchReturn),
    MethodSpec(
        Method.REMOVE_EXPIRED_CLAIMS,
        "RemoveExpiredClaims",
        RemoveExpiredClaimsParams,
        RemoveExpiredClaimsReturn,
    ),
    MethodSpec(
        Method.EXTEND_CLAIM_TERMS_EXPORTED,
        "ExtendClaimTermsExported",
        ExtendClaimTermsParams,
        BatchReturn,
    ),
    MethodSpec(Method.GET_CLAIMS_EXPORTED, "GetClaimsExported", GetClaimsParams, GetClaimsReturn),
    MethodSpec(
        Method.REMOVE_EXPIRED_ALLOCATIONS_EXPORTED,
        "RemoveExpiredAllocationsExported",
        RemoveExpiredAllocationsParams,
        RemoveExpiredAllocationsReturn,
    ),
    MethodSpec(
        Method.REMOVE_EXPIRED_CLAIMS_EXPORTED,
        "RemoveExpiredClaimsExported",
        RemoveExpiredClaimsParams,
        RemoveExpiredClaimsReturn,
    ),
    MethodSpec(
        Method.UNIVERSAL_RECEIVER_HOOK,
        "UniversalReceiverHook",
        UniversalReceiverParams,
        AllocationsResponse,
    ),
    MethodSpec(Method.ADD_VERIFIED_CLIENT_EXPORTED, "AddVerifiedClientExported", VerifierParams),
)
"""What each method takes and returns."""
