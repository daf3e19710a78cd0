"""Calling an actor: value moves, missing accounts are born, the method's handler runs.

Source: ref-fvm fvm/src/call_manager/default.rs call_actor_unchecked; builtin-actors method tables of version
18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors import fault_injection, multisig
from poolsite.devnet.actors.actor_errors import (
    INVALID_RECEIVER,
    SYS_INSUFFICIENT_FUNDS,
    UNHANDLED,
    ActorError,
    fil,
)
from poolsite.devnet.actors.call import Frame
from poolsite.devnet.actors.creation import create_miner
from poolsite.devnet.actors.frames import framed
from poolsite.devnet.actors.getters import (
    POWER_METHODS,
    authenticate_message,
    pubkey_address,
    this_epoch_reward,
)
from poolsite.devnet.actors.init import exec_actor
from poolsite.devnet.actors.ledger import (
    KIND_ACCOUNT,
    KIND_ETH,
    KIND_MINER,
    KIND_MULTISIG,
    KIND_PLACEHOLDER,
    NoFunds,
    actor_create,
    actor_get,
    resolve,
    transfer,
)
from poolsite.devnet.actors.market import methods as market
from poolsite.devnet.actors.miner import (
    compaction,
    declarations,
    disputes,
    extensions,
    inquiries,
    management,
    noninteractive,
    numbers,
    post,
    precommit,
    prove,
    slashing,
    terminations,
    updates,
    withdrawal,
)
from poolsite.devnet.actors.verified import methods as verified
from poolsite.filecoin.actors.account import Method as AccountMethod
from poolsite.filecoin.actors.decode import ACTOR_METHODS, actor_kind
from poolsite.filecoin.address import BLS, DELEGATED, EAM_NAMESPACE, ID, SECP256K1, UNDEF, ZERO_ADDRESS
from poolsite.filecoin.gas_model import (
    FAIL_EARLY,
    OTHER_CALLS,
    VALUE_TO_SELF,
    VALUE_TRANSFER,
    send_gas,
)
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.address import Address

Handler = Callable[["Call"], bytes]

MIN_EXPORTED_METHOD: Final = 1 << 24
"""Accounts accept calls of these numbers without effect."""

GAS_NAMES: Final = {"storageminer": "miner", "storagepower": "power", "storagemarket": "market"}
"""Names of kinds in the gas model."""

_OWN: Final[dict[str, dict[int, Handler]]] = {
    KIND_ACCOUNT: {
        AccountMethod.PUBKEY_ADDRESS: pubkey_address,
        AccountMethod.AUTHENTICATE_MESSAGE: authenticate_message,
    },
    KIND_ETH: {},
    KIND_PLACEHOLDER: {},
    KIND_MULTISIG: multisig.METHODS,
    KIND_MINER: {
        2: management.control_addresses,
        3: management.change_worker,
        4: management.change_peer,
        5: post.submit_window_post,
        9: terminations.terminate_sectors,
        10: declarations.declare_faults,
        11: declarations.declare_recovered,
        13: numbers.check_proven,
        15: slashing.report_consensus_fault,
        16: withdrawal.withdraw_balance,
        18: management.change_multiaddrs,
        19: compaction.compact_partitions,
        20: numbers.compact_numbers,
        21: management.confirm_worker,
        22: withdrawal.repay_debt,
        23: management.change_owner,
        24: disputes.dispute_window_post,
        28: precommit.precommit_sectors,
        30: management.change_beneficiary,
        31: management.get_beneficiary,
        32: extensions.extend_expiration,
        34: prove.prove_commit_sectors,
        35: updates.prove_replica_updates,
        36: noninteractive.prove_commit_sectors_ni,
        **inquiries.METHODS,
    },
    "system": fault_injection.METHODS,
    "init": {2: exec_actor},
    "storagepower": {2: create_miner, **POWER_METHODS},
    "reward": {3: this_epoch_reward},
    "storagemarket": market.METHODS,
    "verifiedregistry": verified.REGISTRY,
    "datacap": verified.TOKEN,
}
"""Handlers by kind of actor and method number."""


def _with_twins(kind: str, handlers: dict[int, Handler]) -> dict[int, Handler]:
    """Return the handlers, also by the numbers under which any actor may call the same methods (FRC-42)."""
    specs = ACTOR_METHODS.get(actor_kind(UNDEF, code_name=kind), {})
    numbers = {spec.name: number for number, spec in specs.items()}
    twins = {
        numbers[f"{spec.name}Exported"]: handlers[number]
        for number, spec in specs.items()
        if number in handlers and f"{spec.name}Exported" in numbers
    }
    return twins | handlers


METHODS: Final = {kind: _with_twins(kind, handlers) for kind, handlers in _OWN.items()}
"""All handlers."""


def invoke(call: Call, to: Address) -> bytes:
    """Run the call; sets its receiver and its frame.

    Raises ActorError, after which the caller undoes everything.
    """
    call.frame = Frame(call.caller, to, call.value, call.method, call.params)
    with framed(call.machine, call.frame) as frame:
        frame.returned = _invoke(call, to, frame)
    return frame.returned


def _invoke(call: Call, to: Address, frame: Frame) -> bytes:
    receiver = resolve(call.draft, to)
    if receiver is None or actor_get(call.draft, receiver) is None:
        receiver = _receiver_create(call, to)
    call.receiver = receiver
    frame.received(call.machine.draft, receiver)
    if call.value:
        _value_move(call)
    if call.method == METHOD_SEND:
        return b""
    actor = actor_get(call.draft, receiver)
    kind = "" if actor is None else actor.kind
    call.charge_to(FAIL_EARLY)
    handler = METHODS.get(kind, {}).get(call.method)
    if handler is None:
        if kind in (KIND_ACCOUNT, KIND_ETH, KIND_PLACEHOLDER) and call.method >= MIN_EXPORTED_METHOD:
            return b""
        raise ActorError(UNHANDLED, f"invalid method: {call.method}")
    returned = handler(call)
    call.charge_to(OTHER_CALLS.get((GAS_NAMES.get(kind, kind), call.method), 0))
    return returned


def _value_move(call: Call) -> None:
    if call.value < 0:
        raise ActorError(SYS_INSUFFICIENT_FUNDS, "sender tried to send a negative value")
    call.meter.charge(VALUE_TO_SELF)
    try:
        transfer(call.draft, call.caller, call.receiver, call.value)
    except NoFunds:
        sender = actor_get(call.draft, call.caller)
        balance = fil(0 if sender is None else sender.balance)
        raise ActorError(
            SYS_INSUFFICIENT_FUNDS,
            f"sender does not have funds to transfer (balance {balance}, transfer {fil(call.value)}) "
            "(5: insufficient funds)",
        ) from None
    if call.caller != call.receiver:
        call.meter.charge(VALUE_TRANSFER - VALUE_TO_SELF)


def _receiver_create(call: Call, to: Address) -> int:
    """Make the account that a key address names, or the placeholder of an Ethereum address."""
    if to.protocol in (SECP256K1, BLS) and to != ZERO_ADDRESS:
        call.meter.charge(send_gas(0, creates="bls" if to.protocol == BLS else "secp256k1"))
        return actor_create(call.draft, kind=KIND_ACCOUNT, address=to)
    if to.protocol == DELEGATED and to.namespace == EAM_NAMESPACE:
        call.meter.charge(send_gas(0, creates="delegated"))
        return actor_create(call.draft, kind=KIND_PLACEHOLDER, address=None, delegated=to)
    if to.protocol == ID:
        text = f"actor does not exist: {to.actor_id} (6: resource not found)"
    else:
        text = f"actor does not exist or cannot be created: {to} (6: resource not found)"
    raise ActorError(INVALID_RECEIVER, text)
