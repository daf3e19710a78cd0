"""The data cap token's own calls: clients pay the registry with it.

Source: builtin-actors actors/datacap/src/lib.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.exits import bad_argument, forbidden
from poolsite.devnet.actors.ledger import VERIFREG, resolve_existing
from poolsite.devnet.actors.verified.allocations import datacap_spend
from poolsite.devnet.actors.verified.datacap import datacap_of, holder_of
from poolsite.filecoin.actors.allocations import ALLOCATION_REQUESTS, ALLOCATIONS_RESPONSE, DATACAP_PER_BYTE
from poolsite.filecoin.actors.datacap import (
    OWNER_PARAMS,
    TOKEN_AMOUNT_RETURN,
    TRANSFER_PARAMS,
    TRANSFER_RETURN,
    TokenAmountReturn,
    TransferReturn,
)
from poolsite.filecoin.cbor import BadCbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def transfer(call: Call) -> bytes:
    """Handle Transfer: data cap goes to the registry only, with what it is for."""
    params = call.read(TRANSFER_PARAMS)
    if resolve_existing(call.draft, params.to) != VERIFREG:
        raise forbidden("transfer not allowed")
    if params.amount < 0 or params.amount % DATACAP_PER_BYTE:
        raise bad_argument(f"amount {params.amount} must be a multiple of {DATACAP_PER_BYTE}")
    try:
        requests = ALLOCATION_REQUESTS.decode(params.operator_data)
    except (BadCbor, ValueError) as error:
        raise bad_argument(f"invalid allocation requests: {error}") from None
    response = datacap_spend(call, call.caller, requests, amount=params.amount)
    left, held = datacap_of(call.draft, call.caller), datacap_of(call.draft, VERIFREG)
    return TRANSFER_RETURN.encode(TransferReturn(left, held, ALLOCATIONS_RESPONSE.encode(response)))


def balance(call: Call) -> bytes:
    """Handle Balance."""
    holder = holder_of(call, call.read(OWNER_PARAMS).address)
    return TOKEN_AMOUNT_RETURN.encode(TokenAmountReturn(datacap_of(call.draft, holder)))
