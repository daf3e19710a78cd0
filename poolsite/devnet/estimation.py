"""What a message will cost: its gas by running it, a premium and a cap by what was paid lately.

Source: lotus node/impl/gasutils/gasutils.go, chain/stmgr/call.go CallWithGas.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.ledger import actor_get, key_address, resolve
from poolsite.devnet.consensus import machine_at, machine_for
from poolsite.devnet.execution import IncludedMessage, message_apply
from poolsite.filecoin.address import BLS, ID
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.gas_estimates import fee_cap_estimate, fee_cap_limit, premium_estimate
from poolsite.filecoin.message import SignedMessage, message_to_cbor
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.sigtypes import SECP256K1_SIGNATURE_LEN, SIG_SECP256K1

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.chain import Chain
    from poolsite.devnet.consensus import Rules
    from poolsite.devnet.execution import Applied
    from poolsite.devnet.mempool import Mempool
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import Message
    from poolsite.filecoin.tipset import Tipset

OVER_ESTIMATION: Final = 1.25
"""Share of the simulated gas that estimates name as limit."""
DEFAULT_MAX_FEE: Final = 70_000_000_000_000_000
"""0.07 FIL: most that the gas of one message may cost unless its spec says otherwise."""
PREMIUM_BLOCKS: Final = 10
FEE_CAP_BLOCKS: Final = 20


class UnknownSender(LookupError):
    """A message from an actor that is not on chain."""

    def __init__(self, sender: Address) -> None:
        super().__init__(f"sender {sender} not found on chain")


class ExecutionFailed(Exception):
    """A message that would fail; carries what became of it."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied.error)
        self.applied = applied


@dataclass(frozen=True, slots=True)
class Spec:
    """How a sender wants the fees to be estimated."""

    max_fee: int = 0
    """Most for the whole gas; 0 is the default."""
    over_estimation: float = 0.0
    over_premium: float = 0.0
    maximize_fee_cap: bool = False
    uuid: str = ""
    """Name under which MpoolPushMessage remembers what it pushed."""


class Estimator:
    """Estimates on any tipset; may be used from any thread."""

    def __init__(self, chain: Chain, mempool: Mempool, rules: Rules) -> None:
        self.chain = chain
        self.mempool = mempool
        self.rules = rules
        self._lock = threading.Lock()
        self._worked: tuple[bytes, State] | None = None

    def machine_on(self, tipset: Tipset) -> Machine:
        """Return a machine after the messages of a tipset but before its cron, as lotus runs calls."""
        with self._lock:
            if self._worked is not None and self._worked[0] == bytes(tipset.key):
                return machine_at(self.chain, tipset, self._worked[1], epoch=tipset.height, rules=self.rules)
        machine = machine_for(self.chain, tipset, self.rules)
        for messages in self.chain.tipset_messages(tipset):
            for _, signed in messages:
                included = IncludedMessage(signed.message, signed.chain_length)
                message_apply(machine, included, base_fee=tipset.parent_base_fee, is_landed=True)
        state, _ = machine.draft.seal()
        with self._lock:
            self._worked = (bytes(tipset.key), state)
        return machine_at(self.chain, tipset, state, epoch=tipset.height, rules=self.rules)

    def run(
        self, message: Message, tipset: Tipset, *, prior: Sequence[Message] = (), with_pool: bool = True
    ) -> Applied:
        """Run a message on a tipset behind the sender's pending ones.  Raises UnknownSender."""
        machine = self.machine_on(tipset)
        sender = resolve(machine.draft, message.from_)
        actor = None if sender is None else actor_get(machine.draft, sender)
        if sender is None or actor is None:
            raise UnknownSender(message.from_)
        pending = self._pending_before(message) if with_pool else []
        for earlier in (*pending, *prior):
            self._apply(machine, earlier)
        return self._apply(machine, message)

    def call(self, message: Message, tipset: Tipset) -> Applied:
        """Run a message on the state after a tipset, its cron included.  Raises UnknownSender."""
        state = self.chain.state_after(tipset.key)
        machine = machine_at(self.chain, tipset, state, epoch=tipset.height, rules=self.rules)
        sender = resolve(machine.draft, message.from_)
        if sender is None or actor_get(machine.draft, sender) is None:
            raise UnknownSender(message.from_)
        return self._apply(machine, message)

    def _pending_before(self, message: Message) -> list[Message]:
        """Return the sender's pending messages up to the one with the same nonce."""
        found = []
        for signed in self.mempool.pending_of(message.from_):
            if signed.message.nonce == message.nonce:
                break
            found.append(signed.message)
        return found

    def _apply(self, machine: Machine, message: Message) -> Applied:
        """Execute with the sender's next nonce, no fees and all the gas there is."""
        sender = resolve(machine.draft, message.from_)
        actor = None if sender is None else actor_get(machine.draft, sender)
        nonce = 0 if actor is None else actor.nonce
        free = replace(
            message,
            nonce=nonce,
            gas_limit=BLOCK_GAS_LIMIT,
            gas_fee_cap=AttoFil(0),
            gas_premium=AttoFil(0),
        )
        length = self._chain_length(machine.draft.base, free)
        return message_apply(machine, IncludedMessage(free, length), base_fee=0)

    def _chain_length(self, state: State, message: Message) -> int:
        """Bytes on chain of a message as it is simulated: with the largest limit and no fees."""
        sender = message.from_
        if sender.protocol == ID:
            sender = key_address(state, sender.actor_id) or sender
        if sender.protocol == BLS:
            return len(message_to_cbor(message))
        signature = Signature(SIG_SECP256K1, bytes(SECP256K1_SIGNATURE_LEN))
        return len(to_cbor(SignedMessage(message, signature)))

    def gas_limit(self, message: Message, tipset: Tipset, *, prior: Sequence[Message] = ()) -> int:
        """Gas that the message would use.  Raises UnknownSender, ExecutionFailed."""
        applied = self.run(message, tipset, prior=prior)
        if applied.receipt.exit_code:
            raise ExecutionFailed(applied)
        return applied.receipt.gas_used

    def premium(self, blocks: int, tipset: Tipset) -> AttoFil:
        """Return a premium that gets a message on chain within `blocks` epochs."""
        prices = []
        count = 0
        at: Tipset | None = tipset
        for _ in range(2 * max(blocks, 1)):
            if at is None or at.parents.is_empty:
                break
            count += len(at.blocks)
            for messages in self.chain.tipset_messages(at):
                prices += [(s.message.gas_premium, s.message.gas_limit) for _, s in messages]
            link = self.chain.parent(at)
            at = None if link is None else link.tipset
        return premium_estimate(prices, blocks=count, epochs=blocks)

    def fee_cap(self, premium: int, *, blocks: int) -> AttoFil:
        """Return a cap that still holds if the base fee rises for `blocks` epochs."""
        return fee_cap_estimate(self.chain.head.tipset.parent_base_fee, premium, epochs=blocks)

    def message_gas(
        self, message: Message, spec: Spec, tipset: Tipset, *, prior: Sequence[Message] = ()
    ) -> Message:
        """Fill in limit, premium and cap where they are 0.  Raises UnknownSender, ExecutionFailed."""
        if message.gas_limit == 0:
            gas = self.gas_limit(message, tipset, prior=prior)
            factor = spec.over_estimation or OVER_ESTIMATION
            message = replace(message, gas_limit=min(int(gas * factor), BLOCK_GAS_LIMIT))
        if message.gas_premium == 0:
            premium = self.premium(PREMIUM_BLOCKS, tipset)
            if spec.over_premium:
                premium = AttoFil(int(premium * spec.over_premium))
            message = replace(message, gas_premium=premium)
        if message.gas_fee_cap == 0:
            cap = self.fee_cap(message.gas_premium, blocks=FEE_CAP_BLOCKS)
            message = replace(message, gas_fee_cap=cap)
        return _capped(message, spec)


def _capped(message: Message, spec: Spec) -> Message:
    most = spec.max_fee or DEFAULT_MAX_FEE
    if spec.maximize_fee_cap and message.gas_limit > 0:
        message = replace(message, gas_fee_cap=AttoFil(most // message.gas_limit))
    cap, premium = fee_cap_limit(
        gas_limit=message.gas_limit,
        fee_cap=message.gas_fee_cap,
        premium=message.gas_premium,
        max_fee=most,
    )
    return replace(message, gas_fee_cap=cap, gas_premium=premium)
