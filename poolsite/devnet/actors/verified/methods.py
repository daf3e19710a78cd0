"""The methods of the verified registry and of the data cap token.

Source: builtin-actors actors/verifreg/src/lib.rs, actors/datacap/src/lib.rs actor_dispatch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.verified import allocations, claims, grants, token
from poolsite.filecoin.actors.verifreg import Method

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call

REGISTRY: Final[dict[int, Callable[[Call], bytes]]] = {
    Method.ADD_VERIFIER: grants.add_verifier,
    Method.REMOVE_VERIFIER: grants.remove_verifier,
    Method.ADD_VERIFIED_CLIENT: grants.add_verified_client,
    Method.ADD_VERIFIED_CLIENT_EXPORTED: grants.add_verified_client,
    Method.REMOVE_VERIFIED_CLIENT_DATA_CAP: grants.remove_data_cap,
    Method.REMOVE_EXPIRED_ALLOCATIONS: allocations.remove_expired_allocations,
    Method.REMOVE_EXPIRED_ALLOCATIONS_EXPORTED: allocations.remove_expired_allocations,
    Method.CLAIM_ALLOCATIONS: claims.claim_allocations,
    Method.GET_CLAIMS: claims.get_claims,
    Method.GET_CLAIMS_EXPORTED: claims.get_claims,
    Method.EXTEND_CLAIM_TERMS: claims.extend_claim_terms,
    Method.EXTEND_CLAIM_TERMS_EXPORTED: claims.extend_claim_terms,
    Method.REMOVE_EXPIRED_CLAIMS: claims.remove_expired_claims,
    Method.REMOVE_EXPIRED_CLAIMS_EXPORTED: claims.remove_expired_claims,
    Method.UNIVERSAL_RECEIVER_HOOK: allocations.tokens_received,
}
TOKEN: Final[dict[int, Callable[[Call], bytes]]] = token.METHODS
"""Handlers by method number."""
