"""A call of an actor's method: who calls whom with what, and the machine it runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from poolsite.devnet.actors.actor_errors import SERIALIZATION, ActorError, bad_argument, forbidden
from poolsite.devnet.actors.ledger import KIND_MINER, actor_get, resolve_existing
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor

if TYPE_CHECKING:
    from poolsite.devnet.profile import Profile
    from poolsite.devnet.proofs import ProofChecks
    from poolsite.devnet.state.rows import Actor
    from poolsite.devnet.state.tables import Draft
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.policy import Network
    from poolsite.filecoin.randomness import Tag


T = TypeVar("T")


class Randomness(Protocol):
    """What a call may learn of the chain's randomness; epochs after the current one are refused."""

    def tickets(self, tag: Tag, epoch: int, entropy: bytes) -> bytes: ...

    def beacon(self, tag: Tag, epoch: int, entropy: bytes) -> bytes: ...


@dataclass(slots=True)
class Frame:
    """One call between actors, as execution traces show it."""

    caller: int
    to: Address
    value: int
    method: int
    params: bytes
    receiver: int = -1
    """Actor that was called, -1 if there is none."""
    actor: Actor | None = None
    """The receiver as it was then."""
    code: int = 0
    returned: bytes = b""
    inner: list[Frame] = field(default_factory=list)
    """Calls that the receiver made in its turn."""

    def received(self, draft: Draft, receiver: int) -> None:
        """Note who is called."""
        self.receiver = receiver
        self.actor = actor_get(draft, receiver)


@dataclass(slots=True)
class Machine:
    """What a tipset's messages run on."""

    profile: Profile
    network: Network
    draft: Draft
    epoch: int
    randomness: Randomness
    proofs: ProofChecks
    invoke: Callable[[Call, Address], bytes]
    """How an actor calls another (`invoke.invoke`)."""
    frame: Frame | None = None
    """The innermost call that runs; nothing of it is state."""
    implicit: list[Frame] = field(default_factory=list)
    """The calls that the chain itself made: rewards and cron."""


@dataclass(slots=True)
class Call:
    """One invocation; nested calls share the machine and the gas."""

    machine: Machine
    caller: int
    receiver: int
    value: int
    method: int
    params: bytes
    origin: int
    """Actor that signed the message."""
    nonce: int
    """Nonce of the message, part of the addresses of actors that it creates."""
    meter: Meter
    frame: Frame | None = None
    """What traces show of it, from its beginning on."""

    @property
    def draft(self) -> Draft:
        return self.machine.draft

    @property
    def epoch(self) -> int:
        return self.machine.epoch

    @property
    def network(self) -> Network:
        return self.machine.network

    def child(self, *, value: int, method: int, params: bytes) -> Call:
        """Return a call that the receiver makes in its turn."""
        return replace(
            self, caller=self.receiver, receiver=-1, value=value, method=method, params=params, frame=None
        )

    def require_caller(self, allowed: tuple[int, ...]) -> None:
        """Refuse other callers.  Raises ActorError 18."""
        if self.caller not in allowed:
            raise forbidden(f"caller f0{self.caller} is not one of supported")

    def require_miner(self) -> None:
        """Refuse callers that are no miners.  Raises ActorError 18."""
        actor = actor_get(self.draft, self.caller)
        if actor is None or actor.kind != KIND_MINER:
            raise forbidden(f"caller f0{self.caller} is not one of supported")

    def id_of(self, address: Address) -> int:
        """Return the id of the actor that an address names.  Raises ActorError 16 without one."""
        actor_id = resolve_existing(self.draft, address)
        if actor_id is None:
            raise bad_argument(f"failed to resolve address {address}")
        return actor_id

    def charge_to(self, gas: float) -> None:
        """Charge the message at least `gas` beyond its inclusion."""
        self.meter.used = max(self.meter.used, round(gas))

    def read(self, cls: type[T]) -> T:
        """Decode the params.  Raises ActorError 21."""
        try:
            return from_cbor(cls, self.params)
        except (BadCbor, ValueError) as error:
            reason = "Eof" if str(error) == "unexpected EOF" else str(error)
            text = f"Serialization error for Cbor protocol: {reason}"
            raise ActorError(SERIALIZATION, text) from None


@dataclass(slots=True)
class Meter:
    """Gas used by a message beyond its inclusion."""

    used: int = 0
    """What counts so far."""
    created: int = 0
    """Actors that the message made, part of the next one's address."""

    def charge(self, gas: float) -> None:
        """Add a cost."""
        self.used += round(gas)
