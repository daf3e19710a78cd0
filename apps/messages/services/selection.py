"""What one sender's selection works with: the state of its account on chain, nonces, and what is chosen.

The stated rule for nonce gaps: a nonce below our next one that none of our messages in flight has and that
the node's pool lacks too is a gap.  What the pool has above a gap is another program's: no message of ours
gets that nonce.  Seen at two heads, it is given to the next message that is chosen; if
none waits, a transfer of nothing to oneself closes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

import structlog
from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest, Least

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.reasons import Reason
from apps.messages.models import Message, Sender
from apps.messages.services.budgets import Budgets
from apps.messages.services.recovery.chain_history import Landed
from apps.messages.states import MessageState, NoncesBy, Wait
from poolsite.filecoin.message import Message as ChainMessage

log = structlog.get_logger(__name__)

GAPS_AT_ONCE: Final = 200
"""Most gaps that one round closes."""

POOL_READ_AGAIN_MAX: Final = 500
"""A node's pool of more messages than this is read once for a head, not for each sender."""


@dataclass(slots=True)
class LargePool:
    """The nonces in the node's pool at one head, where it has many messages or does not answer."""

    key: str = ""
    nonces: dict[str, frozenset[int]] = field(default_factory=dict)


_large_pool: Final = LargePool()


@dataclass(frozen=True, slots=True)
class Ready:
    """A message that can be signed, with its gas values."""

    row: Message
    message: ChainMessage

    @property
    def cost(self) -> int:
        """Most that it can take from the balance."""
        return self.message.gas_limit * self.message.gas_fee_cap + self.message.value


@dataclass(slots=True)
class SelectionId:
    """One selection as a signer knows it: until it has stored them, its messages may get other nonces."""

    id: str = field(default_factory=lambda: str(uuid4()))
    step: int = 0


@dataclass(slots=True)
class Selection:
    """One sender's selection while it is being worked out."""

    sender: Sender
    head: Head
    chain_state: SenderChainState
    gaps: list[int]
    places: int
    """How many messages may be chosen."""
    budgets: Budgets
    selection_id: SelectionId
    is_export: bool = False
    """Whether nonces are assigned for signatures that are made offline."""
    has_more: bool = False
    """True if the round had to end although there were places left."""
    has_new_forms: bool = False
    """Whether parameters of one of its messages were changed to the form that a network upgrade requires."""
    waits: list[tuple[str, str, Reason | str]] = field(default_factory=list)
    """Why messages are left: id, reason, text."""
    known: dict[str, ChainMessage] = field(default_factory=dict)
    """What the signer signed before, by id: such a message keeps that nonce and those fees."""
    landed: dict[str, Landed] = field(default_factory=dict)
    """Where the chain has those already."""
    dead: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Nonces that were signed for an id, and that other messages have used for good."""
    unapproved: dict[str, str] = field(default_factory=dict)
    """Ids of messages that a second person must approve, with what makes them wait."""
    failed: list[Message] = field(default_factory=list)
    """Those of them that are not tried again at once."""
    refused: dict[str, Reason | str] = field(default_factory=dict)
    """Those of them that an actor refuses, with its reason."""
    postponed: list[str] = field(default_factory=list)
    """Ids that failed nothing and let those behind them go first for some epochs."""

    def leave(self, row: Message, wait: Wait, text: Reason | str = "", *, is_failure: bool = False) -> None:
        """Note that a message is left for later, and why."""
        self.waits.append((row.pk, wait, text))
        if is_failure:
            self.failed.append(row)


@dataclass(frozen=True, slots=True)
class InFlight:
    """What a selection has to know about a message that already has its nonce."""

    id: str
    nonce: int
    cost: int
    """Most that it can take from the balance: gas and value."""


@dataclass(frozen=True, slots=True)
class SenderChainState:
    """A sender at one head."""

    exists: bool
    """False if the chain has no such actor: it was never funded."""
    chain_nonce: int
    pool_nonce: int
    """First nonce after the node's contiguous run; counts messages that others made."""
    balance: int
    flight: tuple[InFlight, ...]
    """Our messages at or above the chain's nonce, by nonce."""
    foreign_nonces: frozenset[int] = frozenset()
    """Nonces above a gap that another program's messages in the node's pool have."""

    @property
    def end(self) -> int:
        """Return the nonce after the highest one of this sender on chain or in the node's pool."""
        return max(self.pool_nonce, self.chain_nonce, *(nonce + 1 for nonce in self.foreign_nonces))

    @property
    def free_balance(self) -> int:
        """Return what is left for new messages, in attoFIL."""
        return self.balance - sum(row.cost for row in self.flight)


def sender_chain_state_read(address: str, *, client: ChainClient, key: str) -> SenderChainState:
    """Compare what the node has of an address with our rows.  Raises NodeUnavailable, NodeRefused."""
    actor, pool = client.call_many(
        [("StateGetActor", [address, [{"/": cid} for cid in key.split()]]), ("MpoolGetNonce", [address])]
    )
    if isinstance(actor, NodeRefused):
        if actor.is_missing_actor:
            return SenderChainState(False, 0, 0, 0, ())
        raise actor
    chain_nonce = int(actor["Nonce"])
    if isinstance(pool, NodeRefused):
        raise pool
    rows = Message.objects.filter(from_addr=address, state=MessageState.FILLED, nonce__gte=chain_nonce)
    flight = tuple(
        InFlight(pk, nonce or 0, limit * cap + value)
        for pk, nonce, limit, cap, value in rows.order_by("nonce").values_list(
            "id", "nonce", "gas_limit", "gas_fee_cap", "value"
        )
    )
    own_nonces = {row.nonce for row in flight}
    held = mempool_nonces_read(address, client=client, key=key)
    foreign = frozenset(nonce for nonce in held if nonce >= int(pool) and nonce not in own_nonces)
    return SenderChainState(True, chain_nonce, int(pool), int(actor["Balance"]), flight, foreign)


def mempool_nonces_read(address: str, *, client: ChainClient, key: str) -> frozenset[int]:
    """Return the nonces with which the node's pool has messages of an address, above gaps too.

    A node names the end of the contiguous run only, so its whole pool is read; a large one once for each
    head.  Where no node says, nothing is known above that run; one that does not answer in time is not asked
    again before the next head, as proofs would wait for it.
    """
    if _large_pool.key == key:
        return _large_pool.nonces.get(address, frozenset())
    try:
        nonces = client.mpool_nonces()
    except NodeRefused as error:
        log.warning("mempool_unread", reason=error.reason[:300])
        return frozenset()
    except NodeUnavailable as error:
        log.warning("mempool_unread", reason=error.reason[:300])
        nonces, is_kept = {}, True
    else:
        is_kept = sum(map(len, nonces.values())) > POOL_READ_AGAIN_MAX
    if is_kept:
        _large_pool.nonces, _large_pool.key = nonces, key  # in this order: other threads look at the key
    return nonces.get(address, frozenset())


def senders_lock(addresses: Iterable[str]) -> None:
    """Lock senders, which comes before their messages."""
    rows = Sender.objects.select_for_update(no_key=True).filter(address__in=set(addresses))
    list(rows.order_by("pk").values_list("pk", flat=True))


def chain_nonces_advance(places: Iterable[tuple[str, int]]) -> None:
    """Note that the chain has executed these, sender and nonce: it wants the ones after them.

    A sender with nothing to choose is not read, so its row would say for ever what was so at its last
    choice.
    """
    after: dict[str, int] = {}
    for address, nonce in places:
        after[address] = max(after.get(address, 0), nonce + 1)
    _chain_nonces_move(after, Greatest)


def chain_nonces_rewind(places: Iterable[tuple[str, int]]) -> None:
    """Note that the chain wants these again: the tipsets that executed them have left it."""
    wanted: dict[str, int] = {}
    for address, nonce in places:
        wanted[address] = min(wanted.get(address, nonce), nonce)
    _chain_nonces_move(wanted, Least)


def _chain_nonces_move(nonces: dict[str, int], bound: type[Greatest | Least]) -> None:
    if not nonces:
        return
    chain_nonce = Case(*(When(address=address, then=Value(nonce)) for address, nonce in nonces.items()))
    Sender.objects.filter(address__in=nonces).update(chain_nonce=bound(F("chain_nonce"), chain_nonce))


def nonce_gaps_find(sender: Sender, *, chain_state: SenderChainState) -> list[int]:
    """Return the nonces that nobody has and that block those above, lowest first."""
    start = max(chain_state.pool_nonce, chain_state.chain_nonce)
    own_nonces = {row.nonce for row in chain_state.flight}
    if start >= sender.next_nonce or start in own_nonces:
        return []
    used = own_nonces | chain_state.foreign_nonces
    # Where another program gives the nonces, it may push what it had signed later: only what is ours matters.
    end = max(own_nonces, default=0) if sender.nonces_by == NoncesBy.OTHER else sender.next_nonce
    missing = [nonce for nonce in range(start, end) if nonce not in used]
    # Where others send from this address too, the nonces missing above the first may be theirs.
    return missing[:1] if sender.foreign_at else missing[:GAPS_AT_ONCE]


def free_nonces_generate(sender: Sender, *, chain_state: SenderChainState, gaps: list[int]) -> Iterator[int]:
    """Yield nonces for new messages: confirmed gaps first, then on from what anybody used.

    What a message of ours in flight has is passed over, whatever the sender's row says: it may have been
    set back by hand, or made anew.  So is what another program's message has in the node's pool.
    """
    yield from gaps
    used = {row.nonce for row in chain_state.flight} | chain_state.foreign_nonces
    nonce = max(sender.next_nonce, chain_state.pool_nonce, chain_state.chain_nonce)
    while True:
        if nonce not in used:
            yield nonce
        nonce += 1
