"""Verified data over RPC: allocations, claims, verifiers.  Source: lotus node/impl/full/state.go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.actors.market.deals import Market
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import ACTOR_NOT_FOUND
from poolsite.devnet.rpc.forms import state_get
from poolsite.devnet.state.rows import ACTORS
from poolsite.devnet.state.verified_rows import (
    VERIFIERS,
    Allocation,
    DataCap,
    DataClaim,
    allocations_of,
    data_claims_of,
)
from poolsite.filecoin.cids import cid_to_json
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid

Key = tuple["Cid", ...]


def _party(state: State, address: Address) -> int:
    actor_id = resolve(state, address)
    if actor_id is None:
        raise RpcError("actor not found", code=ACTOR_NOT_FOUND)
    return actor_id


def allocation_json(row: Allocation) -> dict[str, Any]:
    """Return an allocation as JSON."""
    return {
        "Client": row.client,
        "Provider": row.provider,
        "Data": cid_to_json(row.data),
        "Size": row.size,
        "TermMin": row.term_min,
        "TermMax": row.term_max,
        "Expiration": row.expiration,
    }


def claim_json(provider: int, row: DataClaim) -> dict[str, Any]:
    """Return a claim as JSON."""
    return {
        "Provider": provider,
        "Client": row.client,
        "Data": cid_to_json(row.data),
        "Size": row.size,
        "TermMin": row.term_min,
        "TermMax": row.term_max,
        "TermStart": row.term_start,
        "Sector": row.sector,
    }


def _allocations(state: State, client: int) -> dict[str, Any]:
    table = allocations_of(client)
    return {str(number): allocation_json(state.get(table, number)) for number in state.keys(table)}


def _claims(state: State, provider: int) -> dict[str, Any]:
    table = data_claims_of(provider)
    return {str(number): claim_json(provider, state.get(table, number)) for number in state.keys(table)}


def state_allocations(node: Devnet, client: Address, key: Key) -> Any:
    state = state_get(node, key)
    return _allocations(state, _party(state, client))


def state_allocation(node: Devnet, client: Address, number: int, key: Key) -> Any:
    """Null if there is none."""
    return state_allocations(node, client, key).get(str(number))


def pending_deal_allocation_id(node: Devnet, deal: int, key: Key) -> Any:
    """Return the number of a published deal's allocation; 0 once it is active, or if it has none."""
    published = Market(state_get(node, key)).deal(deal)
    return 0 if published is None else published.allocation or 0


def pending_deal_allocation(node: Devnet, deal: int, key: Key) -> Any:
    """Null if there is none."""
    number = pending_deal_allocation_id(node, deal, key)
    proposal = Market(state_get(node, key)).proposal(deal)
    return state_allocation(node, proposal.client, number, key) if number and proposal else None


def state_claims(node: Devnet, provider: Address, key: Key) -> Any:
    state = state_get(node, key)
    return _claims(state, _party(state, provider))


def state_claim(node: Devnet, provider: Address, number: int, key: Key) -> Any:
    """Null if there is none."""
    return state_claims(node, provider, key).get(str(number))


def state_all_allocations(node: Devnet, key: Key) -> Any:
    state = state_get(node, key)
    return {number: row for actor in state.keys(ACTORS) for number, row in _allocations(state, actor).items()}


def state_all_claims(node: Devnet, key: Key) -> Any:
    state = state_get(node, key)
    return {number: row for actor in state.keys(ACTORS) for number, row in _claims(state, actor).items()}


def state_verifier(node: Devnet, address: Address, key: Key) -> Any:
    """Bytes that a verifier may hand out; null for whoever is none."""
    state = state_get(node, key)
    row: DataCap | None = state.get(VERIFIERS, _party(state, address))
    return None if row is None else str(row.amount)


METHODS: Final = (
    Method("StateGetAllocation", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), state_allocation),
    Method("StateGetAllocations", "read", (p.ADDRESS, p.TIPSET_KEY), state_allocations),
    Method("StateGetAllocationForPendingDeal", "read", (p.UINT, p.TIPSET_KEY), pending_deal_allocation),
    Method("StateGetAllocationIdForPendingDeal", "read", (p.UINT, p.TIPSET_KEY), pending_deal_allocation_id),
    Method("StateGetAllAllocations", "read", (p.TIPSET_KEY,), state_all_allocations),
    Method("StateGetClaim", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), state_claim),
    Method("StateGetClaims", "read", (p.ADDRESS, p.TIPSET_KEY), state_claims),
    Method("StateGetAllClaims", "read", (p.TIPSET_KEY,), state_all_claims),
    Method("StateVerifierStatus", "read", (p.ADDRESS, p.TIPSET_KEY), state_verifier),
)
