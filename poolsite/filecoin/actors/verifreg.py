"""The verified registry actor f06: data cap, its allocations and claims.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go; FIP-0045.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.allocations import ALLOCATIONS_RESPONSE
from poolsite.filecoin.actors.batch import BATCH_RETURN, BatchReturn
from poolsite.filecoin.actors.claims import ALLOCATION_CLAIM as ALLOCATION_CLAIM
from poolsite.filecoin.actors.claims import CLAIM as CLAIM
from poolsite.filecoin.actors.claims import CLAIM_ALLOCATIONS_PARAMS as CLAIM_ALLOCATIONS_PARAMS
from poolsite.filecoin.actors.claims import CLAIM_ALLOCATIONS_RETURN as CLAIM_ALLOCATIONS_RETURN
from poolsite.filecoin.actors.claims import CLAIM_TERM as CLAIM_TERM
from poolsite.filecoin.actors.claims import EXTEND_CLAIM_TERMS_PARAMS as EXTEND_CLAIM_TERMS_PARAMS
from poolsite.filecoin.actors.claims import GET_CLAIMS_PARAMS as GET_CLAIMS_PARAMS
from poolsite.filecoin.actors.claims import GET_CLAIMS_RETURN as GET_CLAIMS_RETURN
from poolsite.filecoin.actors.claims import REMOVE_EXPIRED_CLAIMS_PARAMS as REMOVE_EXPIRED_CLAIMS_PARAMS
from poolsite.filecoin.actors.claims import REMOVE_EXPIRED_CLAIMS_RETURN as REMOVE_EXPIRED_CLAIMS_RETURN
from poolsite.filecoin.actors.claims import SECTOR_ALLOCATION_CLAIMS as SECTOR_ALLOCATION_CLAIMS
from poolsite.filecoin.actors.claims import SECTOR_CLAIM_SUMMARY as SECTOR_CLAIM_SUMMARY
from poolsite.filecoin.actors.claims import AllocationClaim as AllocationClaim
from poolsite.filecoin.actors.claims import Claim as Claim
from poolsite.filecoin.actors.claims import ClaimAllocationsParams as ClaimAllocationsParams
from poolsite.filecoin.actors.claims import ClaimAllocationsReturn as ClaimAllocationsReturn
from poolsite.filecoin.actors.claims import ClaimTerm as ClaimTerm
from poolsite.filecoin.actors.claims import ExtendClaimTermsParams as ExtendClaimTermsParams
from poolsite.filecoin.actors.claims import GetClaimsParams as GetClaimsParams
from poolsite.filecoin.actors.claims import GetClaimsReturn as GetClaimsReturn
from poolsite.filecoin.actors.claims import RemoveExpiredClaimsParams as RemoveExpiredClaimsParams
from poolsite.filecoin.actors.claims import RemoveExpiredClaimsReturn as RemoveExpiredClaimsReturn
from poolsite.filecoin.actors.claims import SectorAllocationClaims as SectorAllocationClaims
from poolsite.filecoin.actors.claims import SectorClaimSummary as SectorClaimSummary
from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.receiver import UNIVERSAL_RECEIVER_PARAMS as UNIVERSAL_RECEIVER_PARAMS
from poolsite.filecoin.actors.receiver import UniversalReceiverParams as UniversalReceiverParams
from poolsite.filecoin.codec import ADDRESS, AMOUNT, UINT64, Field, Struct, list_of
from poolsite.filecoin.signature import SIGNATURE, Signature

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class VerifierParams:
    """Give data cap to a verifier or a client."""

    address: Address
    """Who is notified."""
    allowance: int
    """Data cap, bytes."""


VERIFIER_PARAMS: Final = Struct(
    VerifierParams,
    Field("address", "Address", ADDRESS),
    Field("allowance", "Allowance", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class RemoveVerifierParams:
    """Take a verifier's right away."""

    address: Address
    """Who is notified."""


REMOVE_VERIFIER_PARAMS: Final = Struct(
    RemoveVerifierParams,
    Field("address", "Address", ADDRESS),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class RemoveDataCapRequest:
    """A verifier's consent to taking data cap away."""

    verifier: Address
    """The verifier."""
    verifier_signature: Signature
    """Its signature."""


REMOVE_DATA_CAP_REQUEST: Final = Struct(
    RemoveDataCapRequest,
    Field("verifier", "Verifier", ADDRESS),
    Field("verifier_signature", "VerifierSignature", SIGNATURE),
)


@dataclass(frozen=True, slots=True)
class RemoveDataCapProposal:
    """What two verifiers sign to take data cap from a client."""

    verified_client: Address
    """ID address of the client."""
    data_cap_amount: int
    """Bytes."""
    removal_proposal_id: tuple[int, ...]
    """How often this verifier asked before to take from this client: one number."""


REMOVE_DATA_CAP_PROPOSAL: Final = Struct(
    RemoveDataCapProposal,
    Field("verified_client", "VerifiedClient", ADDRESS),
    Field("data_cap_amount", "DataCapAmount", AMOUNT),
    Field("removal_proposal_id", "RemovalProposalID", list_of(UINT64)),
)
REMOVE_DATA_CAP_DOMAIN: Final = b"fil_removedatacap:"
"""Stands before the proposal in what is signed."""


def removal_signed(client: Address, amount: int, *, proposal_id: int) -> bytes:
    """Give the bytes that a verifier signs to take `amount` bytes of data cap from a client (ID address)."""
    proposal = RemoveDataCapProposal(client, amount, (proposal_id,))
    return REMOVE_DATA_CAP_DOMAIN + REMOVE_DATA_CAP_PROPOSAL.encode(proposal)


@dataclass(frozen=True, slots=True)
class RemoveDataCapParams:
    """Take data cap from a client."""

    verified_client_to_remove: Address
    """The client."""
    data_cap_amount_to_remove: int
    """Bytes."""
    verifier_request1: RemoveDataCapRequest
    """One verifier's request."""
    verifier_request2: RemoveDataCapRequest
    """Another verifier's request."""


REMOVE_DATA_CAP_PARAMS: Final = Struct(
    RemoveDataCapParams,
    Field("verified_client_to_remove", "VerifiedClientToRemove", ADDRESS),
    Field("data_cap_amount_to_remove", "DataCapAmountToRemove", AMOUNT),
    Field("verifier_request1", "VerifierRequest1", REMOVE_DATA_CAP_REQUEST.kind()),
    Field("verifier_request2", "VerifierRequest2", REMOVE_DATA_CAP_REQUEST.kind()),
)


@dataclass(frozen=True, slots=True)
class RemoveDataCapReturn:
    """The data cap that a client lost."""

    verified_client: Address
    """The client."""
    data_cap_removed: int
    """Bytes."""


REMOVE_DATA_CAP_RETURN: Final = Struct(
    RemoveDataCapReturn,
    Field("verified_client", "VerifiedClient", ADDRESS),
    Field("data_cap_removed", "DataCapRemoved", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class RemoveExpiredAllocationsParams:
    """Give back expired allocations."""

    client: int
    """Actor number of the client."""
    allocation_ids: tuple[int, ...]
    """Allocations; empty for all that expired."""


REMOVE_EXPIRED_ALLOCATIONS_PARAMS: Final = Struct(
    RemoveExpiredAllocationsParams,
    Field("client", "Client", UINT64),
    Field("allocation_ids", "AllocationIDs", list_of(UINT64)),
)


@dataclass(frozen=True, slots=True)
class RemoveExpiredAllocationsReturn:
    """What was given back."""

    considered: tuple[int, ...]
    """The items looked at."""
    results: BatchReturn
    """How they fared."""
    data_cap_recovered: int
    """Bytes given back."""


REMOVE_EXPIRED_ALLOCATIONS_RETURN: Final = Struct(
    RemoveExpiredAllocationsReturn,
    Field("considered", "Considered", list_of(UINT64)),
    Field("results", "Results", BATCH_RETURN.kind()),
    Field("data_cap_recovered", "DataCapRecovered", AMOUNT),
)


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
    MethodSpec(Method.CONSTRUCTOR, "Constructor", REMOVE_VERIFIER_PARAMS),
    MethodSpec(Method.ADD_VERIFIER, "AddVerifier", VERIFIER_PARAMS),
    MethodSpec(Method.REMOVE_VERIFIER, "RemoveVerifier", REMOVE_VERIFIER_PARAMS),
    MethodSpec(Method.ADD_VERIFIED_CLIENT, "AddVerifiedClient", VERIFIER_PARAMS),
    MethodSpec(Method.DEPRECATED1, "Deprecated1"),
    MethodSpec(Method.DEPRECATED2, "Deprecated2"),
    MethodSpec(
        Method.REMOVE_VERIFIED_CLIENT_DATA_CAP,
        "RemoveVerifiedClientDataCap",
        REMOVE_DATA_CAP_PARAMS,
        REMOVE_DATA_CAP_RETURN,
    ),
    MethodSpec(
        Method.REMOVE_EXPIRED_ALLOCATIONS,
        "RemoveExpiredAllocations",
        REMOVE_EXPIRED_ALLOCATIONS_PARAMS,
        REMOVE_EXPIRED_ALLOCATIONS_RETURN,
    ),
    MethodSpec(
        Method.CLAIM_ALLOCATIONS, "ClaimAllocations", CLAIM_ALLOCATIONS_PARAMS, CLAIM_ALLOCATIONS_RETURN
    ),
    MethodSpec(Method.GET_CLAIMS, "GetClaims", GET_CLAIMS_PARAMS, GET_CLAIMS_RETURN),
    MethodSpec(Method.EXTEND_CLAIM_TERMS, "ExtendClaimTerms", EXTEND_CLAIM_TERMS_PARAMS, BATCH_RETURN),
    MethodSpec(
        Method.REMOVE_EXPIRED_CLAIMS,
        "RemoveExpiredClaims",
        REMOVE_EXPIRED_CLAIMS_PARAMS,
        REMOVE_EXPIRED_CLAIMS_RETURN,
    ),
    MethodSpec(
        Method.EXTEND_CLAIM_TERMS_EXPORTED,
        "ExtendClaimTermsExported",
        EXTEND_CLAIM_TERMS_PARAMS,
        BATCH_RETURN,
    ),
    MethodSpec(Method.GET_CLAIMS_EXPORTED, "GetClaimsExported", GET_CLAIMS_PARAMS, GET_CLAIMS_RETURN),
    MethodSpec(
        Method.REMOVE_EXPIRED_ALLOCATIONS_EXPORTED,
        "RemoveExpiredAllocationsExported",
        REMOVE_EXPIRED_ALLOCATIONS_PARAMS,
        REMOVE_EXPIRED_ALLOCATIONS_RETURN,
    ),
    MethodSpec(
        Method.REMOVE_EXPIRED_CLAIMS_EXPORTED,
        "RemoveExpiredClaimsExported",
        REMOVE_EXPIRED_CLAIMS_PARAMS,
        REMOVE_EXPIRED_CLAIMS_RETURN,
    ),
    MethodSpec(
        Method.UNIVERSAL_RECEIVER_HOOK,
        "UniversalReceiverHook",
        UNIVERSAL_RECEIVER_PARAMS,
        ALLOCATIONS_RESPONSE,
    ),
    MethodSpec(Method.ADD_VERIFIED_CLIENT_EXPORTED, "AddVerifiedClientExported", VERIFIER_PARAMS),
)
"""What each method takes and returns."""
