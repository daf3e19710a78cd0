"""What the chain says of a proposal's allocation, of both sides' money, and of what would be published.

Source: lotus node/impl/full/state.go StateGetAllocation, which looks the client's actor up itself.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import NODE_OVER_ESTIMATION
from apps.chain.node.tipsets import key_to_json
from poolsite.filecoin.actors.market import PublishStorageDealsReturn
from poolsite.filecoin.actors.market_deals import DealSettlement, SettleDealPaymentsReturn
from poolsite.filecoin.cids import cid_from_json
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.gas_estimates import unsigned_inclusion_gas
from poolsite.filecoin.message import Message

NO_ALLOCATION: Final = 0
"""Number of none.  Source: go-state-types builtin/v9/verifreg NoAllocationID."""

ALL_LEFT_OUT: Final = "All deal proposals invalid"
"""Part of the error of a message that publishes nothing.  Source: builtin-actors actors/market/src/lib.rs."""

DEAL_GONE: Final = "deal {number} not found"
"""Part of a node's answer where there is no such deal.  Source: lotus chain/stmgr GetStorageDeal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """Free market balances of a deal's client and miner, the least collateral, and the client's data cap."""

    height: int
    """The epoch at which they were read."""
    least_collateral: int
    """attoFIL that the miner must lock for a piece of this size."""
    client_free: int
    """attoFIL in the client's market balance that no deal locks."""
    miner_free: int
    data_cap: int | None
    """Bytes that the client may still allocate; None: it is not asked for."""
    is_client_known: bool = True
    """Whether the chain has the client's actor: the market actor leaves out deals of others."""


def balances_read(client: ChainClient, *, addresses: list[str], key: str) -> dict[str, int]:
    """Return what each has at the market actor that no deal locks, attoFIL.  Raises NodeUnavailable."""
    answers = client.call_many([_balance_call(address, key) for address in addresses])
    return dict(zip(addresses, map(_free, answers), strict=True))


def _balance_call(address: str, key: str) -> tuple[str, list[Any]]:
    return "StateMarketBalance", [address, key_to_json(key)]


def _known(answer: Any) -> Any:
    """Return what a node answered; None for what is about an actor that the chain does not have."""
    if isinstance(answer, NodeRefused):
        if not answer.is_missing_actor:
            raise answer
        return None
    return answer


def _free(answer: Any) -> int:
    found = _known(answer)
    return 0 if found is None else int(found["Escrow"]) - int(found["Locked"])


def proposal_balances_read(
    chain: ChainClient, *, client: str, miner: str, size: int, is_verified: bool, head: Head
) -> Balances:
    """Return what both sides have at the market actor, and what it wants of them, in one request.

    Raises NodeUnavailable, NodeRefused.
    """
    key = head.key
    calls = [_balance_call(client, key), _balance_call(miner, key)]
    calls.append(("StateDealProviderCollateralBounds", [size, is_verified, key_to_json(key)]))
    if is_verified:
        calls.append(("StateVerifiedClientStatus", [client, key_to_json(key)]))
    client_balance, miner_balance, bounds, *data_cap = chain.call_many(calls)
    if isinstance(bounds, NodeRefused):
        raise bounds
    return Balances(
        height=head.height,
        least_collateral=int(bounds["Min"]),
        client_free=_free(client_balance),
        miner_free=_free(miner_balance),
        data_cap=int(_known(data_cap[0]) or 0) if is_verified else None,
        is_client_known=_known(client_balance) is not None,
    )


def escrow_read(client: ChainClient, *, address: str, key: str) -> tuple[int, int]:
    """Return what a party has at the market actor in all, and what deals lock of it, attoFIL."""
    try:
        answer = client.call("StateMarketBalance", address, key_to_json(key))
    except NodeRefused as refusal:
        if refusal.is_missing_actor:
            return 0, 0
        raise
    return int(answer["Escrow"]), int(answer["Locked"])


def collateral_read(client: ChainClient, *, size: int, is_verified: bool, key: str) -> int:
    """Return what a miner must lock at least for a piece, attoFIL."""
    bounds = client.call("StateDealProviderCollateralBounds", size, is_verified, key_to_json(key))
    return int(bounds["Min"])


def deal_allocation_read(client: ChainClient, *, deal: int, key: str) -> int | None:
    """Return the allocation that publishing made for a deal; None if it has none, or is active already."""
    number = int(client.call("StateGetAllocationIdForPendingDeal", deal, key_to_json(key)))
    return None if number == NO_ALLOCATION else number


def settled_read(client: ChainClient, *, deals: list[int], key: str) -> list[int | NodeRefused | None]:
    """Return up to which epoch the market actor has paid each of these deals.

    -1: it has paid nothing; None: it has the deal no more.
    """
    found: list[int | NodeRefused | None] = []
    calls = [("StateMarketStorageDeal", [deal, key_to_json(key)]) for deal in deals]
    for deal, answer in zip(deals, client.call_many(calls), strict=True):
        if isinstance(answer, NodeRefused):
            found.append(None if DEAL_GONE.format(number=deal) in str(answer) else answer)
        else:
            found.append(int(answer["State"]["LastUpdatedEpoch"]))
    return found


@dataclass(frozen=True, slots=True)
class PublishTrial:
    """The outcome of a message that publishes deals, before it is sent."""

    exit_code: int
    is_refused: bool
    """Whether it would fail, but for leaving out each of its deals by itself: then none spoils another."""
    gas_limit: int
    """Gas for which it would be signed."""
    valid: frozenset[int] = frozenset()
    """Places of the deals that it publishes."""


def publishing_try(client: ChainClient, message: Message, *, key: str) -> PublishTrial:
    """Try a message that publishes deals."""
    trial = client.state_call(message, key)
    receipt = trial.get("MsgRct") or {}
    code = int(receipt.get("ExitCode", -1))
    gas = int(receipt.get("GasUsed", 0)) + unsigned_inclusion_gas(message)
    limit = int(gas * NODE_OVER_ESTIMATION)
    if code:
        return PublishTrial(code, ALL_LEFT_OUT not in str(trial.get("Error")), limit)
    answer = from_cbor(PublishStorageDealsReturn, base64.b64decode(receipt["Return"]))
    return PublishTrial(code, False, limit, frozenset(answer.valid_deals))


@dataclass(frozen=True, slots=True)
class SettlementTrial:
    """The outcome of a message that settles deals, before it is sent."""

    exit_code: int
    gas_used: int
    """Without the message's inclusion."""
    settled: dict[int, DealSettlement]
    """By the deal's number."""
    refused: dict[int, int]
    """Exit codes by the number of a deal that is left out."""


def settlement_try(
    client: ChainClient, message: Message, *, deals: Sequence[int], key: str
) -> SettlementTrial:
    """Try a message that settles deals, whose numbers rise."""
    receipt = client.state_call(message, key).get("MsgRct") or {}
    code, gas = int(receipt.get("ExitCode", -1)), int(receipt.get("GasUsed", 0))
    if code:
        return SettlementTrial(code, gas, {}, {})
    answer = from_cbor(SettleDealPaymentsReturn, base64.b64decode(receipt["Return"]))
    return SettlementTrial(code, gas, *settlements_match(answer, deals))


def settlements_match(
    answer: SettleDealPaymentsReturn, deals: Sequence[int]
) -> tuple[dict[int, DealSettlement], dict[int, int]]:
    """Return what was settled, and why others were not, by the deals' numbers, which rise."""
    refused = {deals[fail.idx]: int(fail.code) for fail in answer.results.fail_codes}
    fine = [number for number in deals if number not in refused]
    return dict(zip(fine, answer.settlements, strict=True)), refused


@dataclass(frozen=True, slots=True)
class AllocationTerms:
    """An allocation, for which miner and data it is, and for how long."""

    client: int
    provider: int
    piece_cid: str
    size: int
    """Padded bytes."""
    term_min: int
    term_max: int
    expiration: int


def allocation_read(client: ChainClient, *, owner: str, number: int) -> AllocationTerms | None:
    """Return an allocation of a client by its number; None if the chain has none.  Raises NodeUnavailable."""
    try:
        return client.ask(_read, "StateGetAllocation", owner, number, key_to_json(None))
    except NodeRefused as refusal:
        if refusal.is_missing_actor:
            return None
        raise


def _read(row: dict[str, Any] | None) -> AllocationTerms | None:
    if row is None:
        return None
    return AllocationTerms(
        client=int(row["Client"]),
        provider=int(row["Provider"]),
        piece_cid=str(cid_from_json(row["Data"]) or ""),
        size=int(row["Size"]),
        term_min=int(row["TermMin"]),
        term_max=int(row["TermMax"]),
        expiration=int(row["Expiration"]),
    )
