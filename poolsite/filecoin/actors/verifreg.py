"""The verified registry actor f06: verifiers, their data cap, allocations and claims.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go; builtin-actors
actors/verifreg/src/{types,lib}.rs; FIP-0045.
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
    """Appoint a verifier (sent by the root key), or grant data cap to a client (sent by a verifier)."""

    address: Address
    """The verifier or the client; one cannot be the other."""
    allowance: TokenAmount
    """Bytes, at least 1 MiB.  A verifier's replaces what it had; a client's is added, and taken from the
    verifier."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class RemoveVerifierParams:
    """Dismiss a verifier (sent by the root key); in the constructor, the root key."""

    address: Address
    """The verifier, or the root key."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapRequest:
    """One verifier's consent to removing data cap of a client."""

    verifier: Address
    """The account whose key signed."""
    verifier_signature: Signature
    """Over `removal_signed`."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapProposal:
    """What two verifiers sign, behind REMOVE_DATA_CAP_DOMAIN, to remove data cap of a client."""

    verified_client: Address
    """f0 address of the client."""
    data_cap_amount: TokenAmount
    """Bytes."""
    removal_proposal_id: tuple[Uint64, ...]
    """How often this verifier has removed from this client before, from 0; an array of one number on the
    wire."""


REMOVE_DATA_CAP_DOMAIN: Final = b"fil_removedatacap:"
"""Prefix of the signed bytes, so that the signature fits nothing else."""


def removal_signed(client: Address, amount: int, *, proposal_id: int) -> bytes:
    """Return the bytes that a verifier signs to remove `amount` bytes of data cap of a client (f0)."""
    # The actor builds the same bytes from its own counter, which it raises before it checks the signature:
    # a request can be used once, and only in its turn (lib.rs remove_verified_client_data_cap).
    proposal = RemoveDataCapProposal(client, amount, (proposal_id,))
    return REMOVE_DATA_CAP_DOMAIN + to_cbor(proposal)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapParams:
    """Remove data cap of a client with the consent of two verifiers; sent by the root key."""

    verified_client_to_remove: Address
    """The client that loses it."""
    data_cap_amount_to_remove: TokenAmount
    """Bytes; all that the client has, if that is less."""
    verifier_request1: RemoveDataCapRequest
    """Consent of one verifier."""
    verifier_request2: RemoveDataCapRequest
    """Of another verifier."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveDataCapReturn:
    """The data cap that a client lost."""

    verified_client: Address
    """f0 address."""
    data_cap_removed: TokenAmount
    """Bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredAllocationsParams:
    """Return data cap of expired allocations back to their client; anyone may send it."""

    client: Uint64
    """Actor ID of the client."""
    allocation_ids: tuple[Uint64, ...]
    """Empty for all expired ones of the client."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredAllocationsReturn:
    """Which allocations were removed."""

    considered: tuple[Uint64, ...]
    """Allocation IDs: the given ones, or the expired ones found."""
    results: BatchReturn
    """By index in `considered`; ErrForbidden for an allocation that has not expired."""
    data_cap_recovered: TokenAmount
    """Bytes given back."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes.

    `..._EXPORTED` of a name that is listed without is the same method, which contracts call.
    """

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    ADD_VERIFIER = 2
    """By the root key f080."""
    REMOVE_VERIFIER = 3
    """By the root key."""
    ADD_VERIFIED_CLIENT = 4
    """By a verifier, out of its own allowance."""
    DEPRECATED1 = 5
    """Dropped; once UseBytes."""
    DEPRECATED2 = 6
    """Dropped; once RestoreBytes."""
    REMOVE_VERIFIED_CLIENT_DATA_CAP = 7
    """By the root key, with the signatures of two verifiers."""
    REMOVE_EXPIRED_ALLOCATIONS = 8
    """By anyone; the data cap goes back to the client."""
    CLAIM_ALLOCATIONS = 9
    """By miner actors, as they activate sectors."""
    GET_CLAIMS = 10
    """By anyone."""
    EXTEND_CLAIM_TERMS = 11
    """By the client of the claims, for longer terms than they have."""
    REMOVE_EXPIRED_CLAIMS = 12
    """By anyone."""
    EXTEND_CLAIM_TERMS_EXPORTED = 1_752_273_514
    GET_CLAIMS_EXPORTED = 2_199_871_187
    REMOVE_EXPIRED_ALLOCATIONS_EXPORTED = 2_421_068_268
    REMOVE_EXPIRED_CLAIMS_EXPORTED = 2_873_373_899
    UNIVERSAL_RECEIVER_HOOK = 3_726_118_371
    """By the data cap actor: a transfer here asks for allocations and extensions."""
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
