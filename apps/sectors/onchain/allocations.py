"""Allocations of verified data that the chain's registry holds, read out of a node's JSON.

Source: lotus node/impl/full/state.go StateGetAllAllocations, StateGetAllocations (a node keeps no index by
miner); go-state-types builtin/v18/verifreg Allocation.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.chain.errors import NodeRefused
from apps.chain.node.tipsets import key_to_json
from poolsite.filecoin.cids import cid_from_json

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient


@dataclass(frozen=True, slots=True)
class AllocationFacts:
    """An allocation as the chain has it."""

    number: int
    provider: int
    client: int
    piece_cid: str
    size: int
    term_min: int
    term_max: int
    expiration: int


def all_allocations_read(
    client: ChainClient, *, providers: Container[int], key: str
) -> list[AllocationFacts]:
    """Return the allocations for these miners, by any client; a node lists those for all of the network.

    Raises NodeRefused, NodeUnavailable.
    """
    return client.ask(lambda rows: _read(rows, providers), "StateGetAllAllocations", key_to_json(key))


def allocations_of_clients_read(
    client: ChainClient, clients: Sequence[int], *, providers: Container[int], key: str
) -> list[AllocationFacts]:
    """Return the allocations by these clients for these miners.  Raises NodeRefused, NodeUnavailable."""
    answers = client.call_many([("StateGetAllocations", [f"f0{one}", key_to_json(key)]) for one in clients])
    found: list[AllocationFacts] = []
    for answer in answers:
        if not isinstance(answer, NodeRefused):
            found += _read(answer, providers)
        elif not answer.is_missing_actor:
            raise answer
    return found


def _read(rows: dict[str, dict[str, Any]] | None, providers: Container[int]) -> list[AllocationFacts]:
    found = ((int(number), row) for number, row in (rows or {}).items() if int(row["Provider"]) in providers)
    return list(_facts(found))


def _facts(rows: Iterable[tuple[int, dict[str, Any]]]) -> Iterable[AllocationFacts]:
    for number, row in rows:
        yield AllocationFacts(
            number=number,
            provider=int(row["Provider"]),
            client=int(row["Client"]),
            piece_cid=str(cid_from_json(row["Data"]) or ""),
            size=int(row["Size"]),
            term_min=int(row["TermMin"]),
            term_max=int(row["TermMax"]),
            expiration=int(row["Expiration"]),
        )
