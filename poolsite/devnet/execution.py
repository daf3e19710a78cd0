"""Executing messages and tipsets: pre-flight checks, gas, receipts, block rewards, cron.

Source: ref-fvm fvm/src/executor/default.rs; lotus chain/consensus/compute_state.go ApplyBlocks; Filecoin
spec, section Virtual Machine.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import (
    ILLEGAL_INSTRUCTION,
    OK,
    OUT_OF_GAS,
    SENDER_INVALID,
    SENDER_STATE_INVALID,
    ActorError,
)
from poolsite.devnet.actors.call import Call, Frame, Machine, Meter
from poolsite.devnet.actors.cron import cron_tick
from poolsite.devnet.actors.fault_injection import failure_consume
from poolsite.devnet.actors.invoke import invoke
from poolsite.devnet.actors.ledger import (
    BURNT,
    KIND_ETH,
    KIND_PLACEHOLDER,
    REWARD,
    SENDER_KINDS,
    actor_get,
    credit,
    resolve,
)
from poolsite.devnet.actors.reward import block_reward_award
from poolsite.devnet.state.rows import ACTORS
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.gas import GasOutputs, gas_outputs
from poolsite.filecoin.gas_estimates import inclusion_gas
from poolsite.filecoin.message import Receipt

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import Message

log = logging.getLogger(__name__)

NO_GAS: Final = GasOutputs(*(0,) * 7)  # type: ignore[arg-type]  # zero is an AttoFil


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one message."""

    receipt: Receipt
    outputs: GasOutputs
    error: str
    """The machine's text for a failure, empty on success."""
    frame: Frame | None
    """The calls that were made, None if there was none."""


@dataclass(frozen=True, slots=True)
class IncludedMessage:
    """A message as a block carries it."""

    message: Message
    chain_length: int
    """Bytes that it pays for."""


@dataclass(frozen=True, slots=True)
class BlockWork:
    """One block of a tipset, ready to be executed."""

    miner: Address
    win_count: int
    messages: Sequence[IncludedMessage]
    """BLS messages first, without those of earlier blocks of the tipset."""


def _refused(code: int, text: str, *, penalty: int) -> Applied:
    outputs = replace(NO_GAS, miner_penalty=AttoFil(penalty))
    return Applied(Receipt(code, b"", 0, None), outputs, text, None)


def message_apply(
    machine: Machine, included: IncludedMessage, *, base_fee: int, is_landed: bool = False
) -> Applied:
    """Execute one message of a block; the machine's draft keeps what it did, gas and nonce in any case.

    `is_landed`: it stands in a block, and meets injected failures; estimates do not.
    """
    message, draft = included.message, machine.draft
    inclusion = inclusion_gas(included.chain_length)
    if message.gas_limit < inclusion:
        text = f"Out of gas ({inclusion} > {message.gas_limit})"
        return _refused(OUT_OF_GAS, text, penalty=base_fee * inclusion)
    penalty = base_fee * message.gas_limit
    sender_id = resolve(draft, message.from_)
    sender = None if sender_id is None else actor_get(draft, sender_id)
    if sender_id is None or sender is None:
        return _refused(SENDER_INVALID, "Sender does not exist", penalty=penalty)
    if sender.kind not in SENDER_KINDS:
        return _refused(SENDER_INVALID, "Send not from valid sender", penalty=penalty)
    if sender.nonce != message.nonce:
        text = f"Actor sequence invalid: {message.nonce} != {sender.nonce}"
        return _refused(SENDER_STATE_INVALID, text, penalty=penalty)
    cost = message.gas_limit * message.gas_fee_cap
    if sender.balance < cost:
        text = f"Actor balance less than needed: {sender.balance} < {cost}"
        return _refused(SENDER_STATE_INVALID, text, penalty=penalty)
    # A placeholder's first message makes it an account.
    kind = KIND_ETH if sender.kind == KIND_PLACEHOLDER else sender.kind
    draft.put(
        ACTORS, sender_id, replace(sender, kind=kind, nonce=sender.nonce + 1, balance=sender.balance - cost)
    )
    fault = failure_consume(draft, message, sender=sender_id) if is_landed else None
    receipt, error, frame = _run(machine, message, sender_id=sender_id, inclusion=inclusion, fault=fault)
    outputs = gas_outputs(
        gas_used=receipt.gas_used,
        gas_limit=message.gas_limit,
        base_fee=base_fee,
        fee_cap=message.gas_fee_cap,
        premium=message.gas_premium,
    )
    credit(draft, BURNT, outputs.base_fee_burn + outputs.over_estimation_burn)
    credit(draft, REWARD, outputs.miner_tip)
    credit(draft, sender_id, outputs.refund)
    return Applied(receipt, outputs, error, frame)


def _run(
    machine: Machine,
    message: Message,
    *,
    sender_id: int,
    inclusion: int,
    fault: ActorError | None = None,
) -> tuple[Receipt, str, Frame]:
    """Call the receiver; undo its doings if it refuses, at a `fault`, or if the gas does not suffice."""
    mark = machine.draft.mark()
    meter = Meter()
    call = Call(
        machine=machine,
        caller=sender_id,
        receiver=-1,
        value=message.value,
        method=message.method,
        params=message.params,
        origin=sender_id,
        nonce=message.nonce,
        meter=meter,
    )
    code, text, returned = OK, "", b""
    try:
        returned = invoke(call, message.to)
        if fault is not None:
            raise fault
    except ActorError as error:
        code = error.code
        text = error.backtrace(call.receiver, message.method)
    except Exception:
        # An actor that panics aborts its message and nothing else: one message must not stop the chain.
        log.exception("devnet actor panic to=%s method=%d", message.to, message.method)
        code = ILLEGAL_INSTRUCTION
        text = ActorError(code, "actor panicked").backtrace(call.receiver, message.method)
    used = inclusion + meter.used
    if used > message.gas_limit:
        code, used, returned = OUT_OF_GAS, message.gas_limit, b""
        text = (
            f"message failed with backtrace:\n00: f0{call.receiver} (method {message.method}) -- "
            "out of gas (7)\n (RetCode=7)"
        )
    frame = call.frame or Frame(sender_id, message.to, message.value, message.method, message.params)
    frame.code, frame.returned = code, returned
    if code != OK:
        machine.draft.rollback(mark)
    return Receipt(code, returned, used, None), text, frame


def message_simulate(machine: Machine, message: Message, *, from_id: int) -> tuple[Receipt, str, Frame]:
    """Execute a message that nobody pays for: no inclusion, no nonce check; gas of the actors only."""
    return _run(machine, message, sender_id=from_id, inclusion=0)


def tipset_apply(machine: Machine, blocks: Iterable[BlockWork], *, base_fee: int) -> list[Applied]:
    """Execute a tipset at the machine's epoch: its messages, each block's reward, then cron."""
    applied: list[Applied] = []
    for block in blocks:
        tips = penalties = 0
        for included in block.messages:
            result = message_apply(machine, included, base_fee=base_fee, is_landed=True)
            tips += result.outputs.miner_tip
            penalties += result.outputs.miner_penalty
            applied.append(result)
        miner_id = block.miner.actor_id
        block_reward_award(machine, miner_id, penalty=penalties, gas_reward=tips, win_count=block.win_count)
    cron_tick(machine)
    return applied
