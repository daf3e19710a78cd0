"""The data cap token's own calls: clients pay the registry with it, and let the market pay for them.

Source: builtin-actors actors/datacap/src/lib.rs; filecoin-project/actors-utils
frc46_token/src/token/mod.rs (FRC-0046).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import NOT_FOUND, ActorError, bad_argument, forbidden
from poolsite.devnet.actors.ledger import VERIFREG, resolve_existing
from poolsite.devnet.actors.nested import nested_call, nested_send
from poolsite.devnet.actors.verified.datacap import (
    allowance_of,
    allowance_set,
    allowance_use,
    amount_check,
    datacap_burn,
    datacap_change,
    datacap_of,
    identified,
    supply_of,
    tokens,
)
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE
from poolsite.filecoin.actors.datacap import (
    AllowanceParams,
    BurnFromParams,
    BurnFromReturn,
    BurnParams,
    BurnReturn,
    DestroyParams,
    GetAllowanceParams,
    GranularityReturn,
    Method,
    MintParams,
    MintReturn,
    OwnerParams,
    RevokeAllowanceParams,
    TextReturn,
    TokenAmountReturn,
    TransferFromParams,
    TransferFromReturn,
    TransferParams,
    TransferReturn,
)
from poolsite.filecoin.actors.receiver import FRC46_TOKEN_TYPE, TokensReceived, UniversalReceiverParams
from poolsite.filecoin.actors.verifreg import Method as RegistryMethod
from poolsite.filecoin.address import id_address
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.address import Address

INFINITE_ALLOWANCE: Final = 10**21 * DATACAP_PER_BYTE
"""What the operators that a client gets with its data cap may spend: more than 800 EiB."""


@contextmanager
def transaction() -> Iterator[None]:
    """Prefix refusals with where they come from, as the real actor does."""
    try:
        yield
    except ActorError as error:
        text = f"state transaction failed: {error.text}"
        raise ActorError(error.code, text, frames=error.frames) from None


def name(_: Call) -> bytes:
    """Handle Name."""
    return to_cbor(TextReturn("DataCap"))


def symbol(_: Call) -> bytes:
    """Handle Symbol."""
    return to_cbor(TextReturn("DCAP"))


def granularity(_: Call) -> bytes:
    """Handle Granularity: data cap comes in whole bytes."""
    return to_cbor(GranularityReturn(DATACAP_PER_BYTE))


def total_supply(call: Call) -> bytes:
    """Handle TotalSupply."""
    return _amount(supply_of(call.draft))


def balance(call: Call) -> bytes:
    """Handle Balance: nothing for an address without an actor."""
    holder = resolve_existing(call.draft, call.read(OwnerParams).address)
    return _amount(0 if holder is None else datacap_of(call.draft, holder))


def allowance(call: Call) -> bytes:
    """Handle Allowance: nothing where one of the two has no actor."""
    params = call.read(GetAllowanceParams)
    owner = resolve_existing(call.draft, params.owner)
    operator = resolve_existing(call.draft, params.operator)
    if owner is None or operator is None:
        return _amount(0)
    return _amount(allowance_of(call.draft, owner, operator))


def mint(call: Call) -> bytes:
    """Handle Mint: the registry gives new data cap, and lets operators spend it."""
    params = call.read(MintParams)
    with transaction():
        call.require_caller((VERIFREG,))
        amount_check(params.amount, "mint")
        holder = _holder_or_create(call, params.to)
        datacap_change(call.draft, holder, params.amount)
        for operator in params.operators:
            allowance_set(call.draft, holder, _holder_or_create(call, operator), amount=INFINITE_ALLOWANCE)
    returned = _hook(call, source=call.caller, target=holder, amount=params.amount, data=b"")
    return to_cbor(MintReturn(datacap_of(call.draft, holder), supply_of(call.draft), returned))


def destroy(call: Call) -> bytes:
    """Handle Destroy: the registry takes a client's data cap away."""
    params = call.read(DestroyParams)
    with transaction():
        call.require_caller((VERIFREG,))
        amount_check(params.amount, "burn")
        balance = datacap_burn(call.draft, _holder(call, params.owner), params.amount)
    return to_cbor(BurnReturn(balance))


def transfer(call: Call) -> bytes:
    """Handle Transfer: data cap goes to the registry, with what it is for, or comes back from it."""
    params = call.read(TransferParams)
    target = _target(call, params.to)
    with transaction():
        if VERIFREG not in (target, call.caller):
            raise _not_allowed(call.caller, target)
        _move(call, call.caller, target, amount=params.amount)
    returned = _hook(call, source=call.caller, target=target, amount=params.amount, data=params.operator_data)
    draft = call.draft
    return to_cbor(TransferReturn(datacap_of(draft, call.caller), datacap_of(draft, target), returned))


def transfer_from(call: Call) -> bytes:
    """Handle TransferFrom: an operator gives its client's data cap to the registry."""
    params = call.read(TransferFromParams)
    target = _target(call, params.to)
    with transaction():
        if target != VERIFREG:
            raise _not_allowed(params.from_, target)
        amount_check(params.amount, "transfer")
        source = _debited(call, params.from_)
        allowance = allowance_use(call.draft, source, call.caller, amount=params.amount)
        _move(call, source, target, amount=params.amount)
    returned = _hook(call, source=source, target=target, amount=params.amount, data=params.operator_data)
    draft = call.draft
    return to_cbor(
        TransferFromReturn(datacap_of(draft, source), datacap_of(draft, target), allowance, returned)
    )


def increase_allowance(call: Call) -> bytes:
    """Handle IncreaseAllowance."""
    return _allowance_change(call, sign=1, name="increase allowance delta")


def decrease_allowance(call: Call) -> bytes:
    """Handle DecreaseAllowance: never below nothing."""
    return _allowance_change(call, sign=-1, name="decrease allowance delta")


def _allowance_change(call: Call, *, sign: int, name: str) -> bytes:
    params = call.read(AllowanceParams)
    with transaction():
        if params.amount < 0:
            raise bad_argument(f'value {tokens(params.amount)} for "{name}" must be non-negative')
        operator = _holder_or_create(call, params.operator)
        allowance = max(allowance_of(call.draft, call.caller, operator) + sign * params.amount, 0)
        allowance_set(call.draft, call.caller, operator, amount=allowance)
    return _amount(allowance)


def revoke_allowance(call: Call) -> bytes:
    """Handle RevokeAllowance; the answer is what it was."""
    operator = resolve_existing(call.draft, call.read(RevokeAllowanceParams).operator)
    if operator is None:
        return _amount(0)
    old = allowance_of(call.draft, call.caller, operator)
    allowance_set(call.draft, call.caller, operator, amount=0)
    return _amount(old)


def burn(call: Call) -> bytes:
    """Handle Burn."""
    amount = call.read(BurnParams).amount
    with transaction():
        amount_check(amount, "burn")
        balance = datacap_burn(call.draft, call.caller, amount)
    return to_cbor(BurnReturn(balance))


def burn_from(call: Call) -> bytes:
    """Handle BurnFrom: an operator burns its client's data cap."""
    params = call.read(BurnFromParams)
    with transaction():
        amount_check(params.amount, "burn")
        owner = _debited(call, params.owner)
        allowance = allowance_use(call.draft, owner, call.caller, amount=params.amount)
        balance = datacap_burn(call.draft, owner, params.amount)
    return to_cbor(BurnFromReturn(balance, allowance))


def _amount(amount: int) -> bytes:
    return to_cbor(TokenAmountReturn(amount))


def _holder(call: Call, address: Address) -> int:
    """Return the actor that an address names.  Raises ActorError 17."""
    found = resolve_existing(call.draft, address)
    if found is None:
        text = f"error calling other actor: address could not be resolved: `{address}`"
        raise ActorError(NOT_FOUND, text)
    return found


def _holder_or_create(call: Call, address: Address) -> int:
    """Return the actor that an address names; a key's account is made by sending nothing to it."""
    if resolve_existing(call.draft, address) is None:
        nested_call(call, to=address, value=0, method=METHOD_SEND, params=b"")
    return _holder(call, address)


def _debited(call: Call, address: Address) -> int:
    """Return whose tokens an operator spends: somebody else's.  Raises ActorError 16, 19."""
    found = resolve_existing(call.draft, address)
    if found == call.caller:
        raise bad_argument(f"operator cannot be the same as the debited address {id_address(call.caller)}")
    return _holder(call, address) if found is None else found


def _target(call: Call, address: Address) -> int:
    found = resolve_existing(call.draft, address)
    if found is None:
        raise bad_argument("to must be ID address")
    return found


def _not_allowed(source: int | Address, target: int) -> ActorError:
    named = f"f0{source}" if isinstance(source, int) else str(source)
    return forbidden(f"transfer not allowed from {named} to f0{target} (governor is f0{VERIFREG})")


def _move(call: Call, source: int, target: int, *, amount: int) -> None:
    amount_check(amount, "transfer")
    datacap_change(call.draft, source, -amount)
    datacap_change(call.draft, target, amount)


def _hook(call: Call, *, source: int, target: int, amount: int, data: bytes) -> bytes:
    """Notify whoever has new tokens; its refusal undoes all.  Raises ActorError with its code."""
    payload = TokensReceived(source, target, call.caller, amount, data, b"")
    params = UniversalReceiverParams(FRC46_TOKEN_TYPE, to_cbor(payload))
    try:
        return nested_send(
            call,
            to=id_address(target),
            method=RegistryMethod.UNIVERSAL_RECEIVER_HOOK,
            params=to_cbor(params),
        )
    except ActorError as error:
        text = (
            f"receiver hook error from {identified(target)}: "
            f"exit_code=ExitCode {{ value: {error.code} }}, return_data=RawBytes {{ }}"
        )
        raise ActorError(error.code, text, frames=error.frames) from None


METHODS: Final[dict[int, Callable[[Call], bytes]]] = {
    Method.NAME_EXPORTED: name,
    Method.SYMBOL_EXPORTED: symbol,
    Method.GRANULARITY_EXPORTED: granularity,
    Method.TOTAL_SUPPLY_EXPORTED: total_supply,
    Method.BALANCE_EXPORTED: balance,
    Method.ALLOWANCE_EXPORTED: allowance,
    Method.MINT_EXPORTED: mint,
    Method.DESTROY_EXPORTED: destroy,
    Method.TRANSFER_EXPORTED: transfer,
    Method.TRANSFER_FROM_EXPORTED: transfer_from,
    Method.INCREASE_ALLOWANCE_EXPORTED: increase_allowance,
    Method.DECREASE_ALLOWANCE_EXPORTED: decrease_allowance,
    Method.REVOKE_ALLOWANCE_EXPORTED: revoke_allowance,
    Method.BURN_EXPORTED: burn,
    Method.BURN_FROM_EXPORTED: burn_from,
}
"""Handlers by method number."""
