"""Pending messages: which are taken, which replace others, which a block carries.

Source: lotus chain/messagepool/messagepool.go, check.go; recorded refusals of a lotus node, whose own pushes
are "local": nonce gaps are accepted, the balance must cover the gas only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.ledger import SENDER_KINDS, actor_get, key_address, resolve
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.address import ID
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.gas import MINIMUM_BASE_FEE
from poolsite.filecoin.gas_estimates import replacement_premium
from poolsite.filecoin.message import (
    MessageRefused,
    message_check_for_inclusion,
    signed_message_from_cbor,
    signed_message_to_cbor,
)
from poolsite.filecoin.policy import ProofForm
from poolsite.filecoin.signature import BadSignature
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_DELEGATED, SIG_SECP256K1

if TYPE_CHECKING:
    from poolsite.devnet.chain import Chain
    from poolsite.devnet.consensus import Rules
    from poolsite.devnet.signatures import Signatures
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import Message, SignedMessage
    from poolsite.filecoin.policy import Network

MAX_PENDING_PER_SENDER: Final = 1000
ADDED: Final = 0
REMOVED: Final = 1
"""Kinds of MpoolSub updates."""


class MessageRejected(ValueError):
    """A message that the pool does not take; the text is lotus'."""


def message_len_max(network: Network, message: Message) -> int:
    """Return the most bytes that a message may have with its signature.

    A report of a double block carries the headers of two blocks, whose WinningPoSts may be containers.
    """
    has_containers = (
        network.proof_form is ProofForm.VANILLA and message.method == Method.REPORT_CONSENSUS_FAULT
    )
    return network.max_message_len * (2 if has_containers else 1)


class Mempool:
    """The pool of one node; methods may be called from any thread."""

    def __init__(self, chain: Chain, rules: Rules, signatures: Signatures) -> None:
        self.chain = chain
        self.signatures = signatures
        self.rules = rules
        self.lock = threading.RLock()
        self.watchers: set[Callable[[int, SignedMessage], None]] = set()
        self._pending: dict[Address, dict[int, SignedMessage]] = {}

    def load(self) -> None:
        """Load the messages that were pending when the node stopped."""
        executed = []
        for data in self.chain.store.pool():
            signed = signed_message_from_cbor(data)
            if signed.message.nonce < self.state_nonce(signed.message.from_):
                executed.append(signed.cid.data)
            else:
                self._slot(signed)[signed.message.nonce] = signed
        self.chain.store.pool_remove(executed)

    @property
    def _state(self) -> State:
        return self.chain.state_after(self.chain.head.key)

    def push(self, signed: SignedMessage) -> None:
        """Add a message to the pool.  Raises MessageRejected."""
        self._check(signed)
        with self.lock:
            state_nonce = self._nonce_of_sender(signed)
            message = signed.message
            if message.nonce < state_nonce:
                raise MessageRejected(
                    f"minimum expected nonce is {state_nonce}, got {message.nonce}: message nonce too low"
                )
            self._check_balance(signed)
            try:
                self._insert(signed)
            except MessageRejected as error:
                raise MessageRejected(f"failed to add locked: {error}") from None
            self.chain.message_cache(signed)
            self.chain.transactions_index([signed], chain_id=self.rules.network.eth_chain_id)
            self.chain.store.pool_put(signed.cid.data, signed_message_to_cbor(signed))
            self._notify(ADDED, signed)

    def pending(self) -> list[SignedMessage]:
        """All pending messages, by sender and nonce."""
        with self.lock:
            return [slot[nonce] for slot in list(self._pending.values()) for nonce in sorted(slot)]

    def pending_of(self, sender: Address) -> list[SignedMessage]:
        """Return a sender's pending messages by nonce."""
        with self.lock:
            slot = self._pending.get(self._key_of(sender), {})
            return [slot[nonce] for nonce in sorted(slot)]

    def next_nonce(self, sender: Address) -> int:
        """Return the first nonce that is free after the chain's and the contiguous pending ones."""
        nonce = self.state_nonce(sender)
        with self.lock:
            slot = self._pending.get(self._key_of(sender), {})
            while nonce in slot:
                nonce += 1
        return nonce

    def clear(self) -> None:
        """Forget all pending messages."""
        with self.lock:
            self._remove(self.pending())

    def drop(self, signed: SignedMessage) -> None:
        """Forget one pending message."""
        with self.lock:
            self._remove([signed])

    def head_changed(self, reverted: Iterable[SignedMessage], applied: Iterable[SignedMessage]) -> None:
        """Follow a new head: landed messages go, those of reverted blocks come back."""
        with self.lock:
            landed = list(applied)
            names = {(signed.message.from_, signed.message.nonce) for signed in landed}
            for signed in reverted:
                message = signed.message
                if (message.from_, message.nonce) in names or message.nonce in self._slot(signed):
                    continue
                self._slot(signed)[message.nonce] = signed
                self.chain.store.pool_put(signed.cid.data, signed_message_to_cbor(signed))
                self._notify(ADDED, signed)
            rivals = [self._slot(signed).get(signed.message.nonce) for signed in landed]
            self._remove([rival for rival in rivals if rival is not None])
            self._sweep()

    def _sweep(self) -> None:
        """Drop what the chain has gone past."""
        for sender in list(self._pending):
            if not self._pending[sender]:
                del self._pending[sender]
                continue
            nonce = self.state_nonce(sender)
            self._remove([m for n, m in self._pending[sender].items() if n < nonce])

    def _remove(self, messages: Iterable[SignedMessage]) -> None:
        """Remove those of these messages that are in the pool, in one transaction."""
        removed = [one for one in messages if self._slot(one).pop(one.message.nonce, None) is not None]
        if removed:
            self.chain.store.pool_remove([signed.cid.data for signed in removed])
        for signed in removed:
            self._notify(REMOVED, signed)

    def _slot(self, signed: SignedMessage) -> dict[int, SignedMessage]:
        return self._pending.setdefault(self._key_of(signed.message.from_), {})

    def _key_of(self, sender: Address) -> Address:
        if sender.protocol == ID:
            return key_address(self._state, sender.actor_id) or sender
        return sender

    def state_nonce(self, sender: Address) -> int:
        """Return the next nonce as the chain knows it.  Raises MessageRejected if there is no such actor."""
        state = self._state
        actor_id = resolve(state, sender)
        actor = None if actor_id is None else actor_get(state, actor_id)
        if actor is None:
            raise MessageRejected(
                f"resolution lookup failed ({sender}): resolve address {sender}: actor not found"
            )
        return actor.nonce

    def _nonce_of_sender(self, signed: SignedMessage) -> int:
        sender = signed.message.from_
        try:
            nonce = self.state_nonce(sender)
        except MessageRejected as error:
            raise MessageRejected(
                f"failed to look up actor state nonce: {error}: validation failure"
            ) from None
        actor_id = resolve(self._state, sender)
        actor = None if actor_id is None else actor_get(self._state, actor_id)
        if actor is not None and actor.kind not in SENDER_KINDS:
            raise MessageRejected(f"sender actor {sender} is not a valid top-level sender")
        return nonce

    def _check(self, signed: SignedMessage) -> None:
        """Check what can be said of a message without the chain."""
        message = signed.message
        size = len(signed_message_to_cbor(signed)) if signed.signature.type in _SIG_TYPES else 0
        if size > message_len_max(self.rules.network, message):
            raise MessageRejected(f"mpool message too large ({size}B): message too big")
        try:
            message_check_for_inclusion(message)
        except MessageRefused as error:
            raise MessageRejected(f"message not valid for block inclusion: {error}") from None
        if message.gas_fee_cap < MINIMUM_BASE_FEE:
            raise MessageRejected("gas fee cap too low")
        self._check_signature(signed)

    def _check_signature(self, signed: SignedMessage) -> None:
        prefix = "signature verification failed: "
        kind = signed.signature.type
        if kind not in _SIG_TYPES:
            raise MessageRejected(f"{prefix}unrecognized signature type: {kind}")
        if kind == SIG_BLS and len(signed.signature.data) != _BLS_BYTES:
            raise MessageRejected(f"{prefix}bls signature incorrectly sized")
        try:
            self.signatures.verify(signed, signed.message.from_)
        except BadSignature as error:
            raise MessageRejected(
                f"{prefix}failed to validate signature: invalid signature for message {signed.cid} "
                f"(type {kind}): {error}"
            ) from None

    def _check_balance(self, signed: SignedMessage) -> None:
        state = self._state
        actor_id = resolve(state, signed.message.from_)
        actor = None if actor_id is None else actor_get(state, actor_id)
        balance = 0 if actor is None else actor.balance
        required = signed.message.required_funds
        if balance < required:
            raise MessageRejected(
                f"failed to check balance: not enough funds (required: {fil_format(required)}, "
                f"balance: {fil_format(balance)}): not enough funds to execute transaction"
            )

    def _insert(self, signed: SignedMessage) -> None:
        message = signed.message
        slot = self._slot(signed)
        old = slot.get(message.nonce)
        if old is None:
            if len(slot) >= MAX_PENDING_PER_SENDER:
                raise MessageRejected("too many pending messages for actor")
        elif old.cid == signed.cid:
            raise MessageRejected(
                f"message from {message.from_} with nonce {message.nonce} already in mpool: "
                "message with nonce already exists"
            )
        else:
            least = replacement_premium(old.message.gas_premium)
            if message.gas_premium < least:
                raise MessageRejected(
                    f"message from {message.from_} with nonce {message.nonce} already in mpool, "
                    f"increase GasPremium to {least} from {message.gas_premium} to trigger replace by fee: "
                    "replace by fee has too low GasPremium"
                )
            self._remove([old])
        slot[message.nonce] = signed

    def _notify(self, kind: int, signed: SignedMessage) -> None:
        for watcher in list(self.watchers):
            watcher(kind, signed)


_SIG_TYPES: Final = (SIG_SECP256K1, SIG_BLS, SIG_DELEGATED)
_BLS_BYTES: Final = 96
