"""What a node would say of a message before it is pushed: one verdict for each rule, warnings too.

Source: lotus chain/messagepool/check.go, api/types.go CheckStatusCode; recorded answers of a lotus node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.mempool import MessageRejected, message_len_max
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.gas import MINIMUM_BASE_FEE
from poolsite.filecoin.message import MessageRefused, message_check_for_inclusion, message_to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import Message


class Check(IntEnum):
    """Which rule a verdict is about."""

    SERIALIZE = 1
    SIZE = 2
    VALIDITY = 3
    MIN_GAS = 4
    MIN_BASE_FEE = 5
    BASE_FEE = 6
    BASE_FEE_LOWER_BOUND = 7
    BASE_FEE_UPPER_BOUND = 8
    GET_STATE_NONCE = 9
    NONCE = 10
    GET_STATE_BALANCE = 11
    BALANCE = 12


BASE_FEE_FACTOR: Final = 10
"""How far the base fee may fall or rise within 20 epochs."""
SIGNATURE_MAX_BYTES: Final = 128
"""Bytes that are left for the signature."""
MESSAGE_COMPUTE_GAS: Final = 38_863
MESSAGE_STORAGE_BYTES: Final = 36
"""What a message costs besides its own bytes."""
STORAGE_GAS_PER_BYTE: Final = 1000


@dataclass(slots=True)
class Sender:
    """One sender while its messages are gone through."""

    next_nonce: int
    required: int
    balance: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one rule."""

    code: Check
    error: str = ""
    hint: dict[str, Any] | None = None
    is_warning: bool = False
    """Said, but not refused."""

    @property
    def is_ok(self) -> bool:
        """Return whether the message may go on."""
        return not self.error or self.is_warning


@dataclass(slots=True)
class Round:
    """One question with all its messages."""

    node: Devnet
    counts_pending: bool
    """Whether nonces and funds go on after what is pending."""
    senders: dict[Address, Sender] = field(default_factory=dict)

    def all_of(self, messages: Sequence[Message], flexible: Sequence[bool]) -> list[list[dict[str, Any]]]:
        """Go through the messages in their order."""
        return [
            [
                {
                    "Cid": cid_to_json(message.cid),
                    "Code": int(verdict.code),
                    "OK": verdict.is_ok,
                    "Err": verdict.error,
                    "Hint": verdict.hint,
                }
                for verdict in self.of(message, is_flexible=is_flexible)
            ]
            for message, is_flexible in zip(messages, flexible, strict=True)
        ]

    def of(self, message: Message, *, is_flexible: bool) -> Iterator[Verdict]:
        """Go through the rules for one message; what cannot be read ends it."""
        sender = self.senders.get(message.from_)
        hint = None
        if sender is None:
            try:
                sender = self.sender(message.from_)
            except MessageRejected as error:
                yield Verdict(Check.GET_STATE_NONCE, f"error retrieving state nonce: {error}")
                return
            self.senders[message.from_] = sender
            hint = {"nonce": sender.next_nonce}
        yield Verdict(Check.GET_STATE_NONCE, hint=hint)
        yield Verdict(Check.GET_STATE_BALANCE, hint={"balance": str(sender.balance)})
        data = message_to_cbor(message)
        yield Verdict(Check.SERIALIZE)
        limit = message_len_max(self.node.network, message) - SIGNATURE_MAX_BYTES
        yield Verdict(Check.SIZE, "message too big" if len(data) > limit else "")
        try:
            message_check_for_inclusion(message)
        except MessageRefused as error:
            yield Verdict(Check.VALIDITY, f"syntactically invalid message: {error}")
            return
        yield Verdict(Check.VALIDITY)
        yield from self.of_gas(message, size=len(data))
        yield from self.of_state(message, sender, is_flexible=is_flexible)

    def of_gas(self, message: Message, *, size: int) -> Iterator[Verdict]:
        """Limit and fee cap; a cap below the least base fee needs no further word."""
        storage = (MESSAGE_STORAGE_BYTES + size) * STORAGE_GAS_PER_BYTE
        least = {
            "Name": "OnChainMessage",
            "Extra": None,
            "ComputeGas": MESSAGE_COMPUTE_GAS,
            "StorageGas": storage,
            "VirtualCompute": 0,
            "VirtualStorage": 0,
        }
        short = message.gas_limit < MESSAGE_COMPUTE_GAS + storage
        reason = "GasLimit less than epoch minimum gas" if short else ""
        yield Verdict(Check.MIN_GAS, reason, {"minGas": least})
        cap = message.gas_fee_cap
        if cap < MINIMUM_BASE_FEE:
            yield Verdict(Check.MIN_BASE_FEE, "GasFeeCap less than minimum base fee")
            return
        yield Verdict(Check.MIN_BASE_FEE)
        fee = self.node.head.tipset.parent_base_fee
        lower, upper = max(fee // BASE_FEE_FACTOR, MINIMUM_BASE_FEE), fee * BASE_FEE_FACTOR
        hint = {"baseFee": str(fee)}
        yield Verdict(Check.BASE_FEE, "GasFeeCap less than current base fee" if cap < fee else "", hint)
        reason = "GasFeeCap less than base fee {} bound for inclusion in next 20 epochs"
        yield Verdict(
            Check.BASE_FEE_LOWER_BOUND,
            reason.format("lower") if cap < lower else "",
            hint | {"baseFeeLowerBound": str(lower)},
        )
        yield Verdict(
            Check.BASE_FEE_UPPER_BOUND,
            reason.format("upper") if cap < upper else "",
            hint | {"baseFeeUpperBound": str(upper)},
            is_warning=True,
        )

    def of_state(self, message: Message, sender: Sender, *, is_flexible: bool) -> Iterator[Verdict]:
        """Nonce and funds, after the messages before it."""
        hint = {"nextNonce": sender.next_nonce}
        if not is_flexible and sender.next_nonce != message.nonce:
            reason = f"message nonce doesn't match next nonce ({sender.next_nonce})"
            yield Verdict(Check.NONCE, reason, hint)
        else:
            yield Verdict(Check.NONCE, hint=hint)
            sender.next_nonce += 1
        sender.required += message.required_funds + message.value
        short = sender.balance < sender.required
        reason = "insufficient balance" if short else ""
        yield Verdict(Check.BALANCE, reason, {"requiredFunds": str(sender.required)})

    def sender(self, address: Address) -> Sender:
        """Begin with a sender.  Raises MessageRejected if there is no such actor."""
        pool, state = self.node.mempool, self.node.chain.state_after(self.node.head.key)
        nonce = pool.state_nonce(address)
        actor_id = resolve(state, address)
        actor = None if actor_id is None else actor_get(state, actor_id)
        required = 0
        if self.counts_pending:
            nonce = pool.next_nonce(address)
            pending = [signed.message for signed in pool.pending_of(address)]
            required = sum(message.required_funds + message.value for message in pending)
        return Sender(nonce, required, 0 if actor is None else actor.balance)


def messages_check(
    node: Devnet, messages: Sequence[Message], *, flexible: Sequence[bool], counts_pending: bool
) -> list[list[dict[str, Any]]]:
    """Return all verdicts; `flexible` says whose nonce is not meant yet."""
    return Round(node, counts_pending).all_of(messages, flexible)


def pending_check(node: Devnet, sender: Address) -> list[list[dict[str, Any]]] | None:
    """Return the verdicts on what a sender has pending; None if it is nothing."""
    messages = [signed.message for signed in node.mempool.pending_of(sender)]
    if not messages:
        return None
    return messages_check(node, messages, flexible=[False] * len(messages), counts_pending=False)


def replacement_check(node: Devnet, replacements: Sequence[Message]) -> list[list[dict[str, Any]]]:
    """Return the verdicts on what would be pending with `replacements` in place of what has their nonces."""
    senders: dict[Address, dict[int, Message]] = {}
    for message in replacements:
        if message.from_ not in senders:
            pending = node.mempool.pending_of(message.from_)
            senders[message.from_] = {signed.message.nonce: signed.message for signed in pending}
        senders[message.from_][message.nonce] = message
    messages = [slot[nonce] for slot in senders.values() for nonce in sorted(slot)]
    return messages_check(node, messages, flexible=[False] * len(messages), counts_pending=False)
