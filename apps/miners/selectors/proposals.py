"""Acts of which a multisig is the sender: what a message proposes, and what waits on the chain.

A miner's owner or beneficiary may be a multisig: its acts come in proposals, not in messages to the miner.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from django.db.models import Q

from apps.messages.models import Message, Receiver
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.onchain.multisigs import MultisigFacts, PendingProposal
from apps.users.selectors.tenants import operator_tenants
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.multisig import Method, ProposeParams
from poolsite.filecoin.address import ID, address_parse
from poolsite.filecoin.cbor import BadCbor

PROPOSE: Final = (int(Method.PROPOSE), int(Method.PROPOSE_EXPORTED))
APPROVE: Final = (int(Method.APPROVE), int(Method.APPROVE_EXPORTED))
CANCEL: Final = (int(Method.CANCEL), int(Method.CANCEL_EXPORTED))


class Act(NamedTuple):
    """A message to an actor: receiver, method, parameters and value."""

    to: str
    method: int
    params: bytes
    value: int = 0
    """attoFIL."""


def act_read(message: Message) -> Act:
    """Return what a message of the pool's own does; of a proposal to a multisig, what that is to send."""
    direct = Act(str(message.to), int(message.method), bytes(message.params), int(message.value))
    if message.kind and message.method in PROPOSE:
        return act_proposed(message) or direct
    return direct


def act_proposed(message: Message) -> Act | None:
    """Return what a message proposes to a multisig; None if its parameters cannot be read."""
    try:
        inner = params_read(ProposeParams, bytes(message.params))
    except (BadCbor, ValueError):
        return None
    return Act(str(inner.to), int(inner.method), bytes(inner.params), int(inner.value))


def messages_to_multisigs(tenant_id: int | None, methods: Collection[int]) -> Iterable[Message]:
    """Return the messages to multisigs with these methods that are not on chain yet, oldest first.

    Those of a tenant, of the operators and of the pool.
    """
    rows = Message.objects.filter(
        Q(tenant_id=tenant_id) | Q(tenant=None) | Q(tenant__in=operator_tenants()),
        to__in=Receiver.objects.filter(kind="multisig").values("address"),
        method__in=methods,
        state__in=[MessageState.UNFILLED, MessageState.FILLED],
    )
    return rows.order_by("created_at")


def proposals_open(miner: Miner, methods: Collection[int]) -> list[tuple[Message, Act]]:
    """Return the messages, not on chain yet, that propose to call one of these methods of a miner."""
    found = []
    for message in messages_to_multisigs(miner.tenant_id, PROPOSE):
        act = act_proposed(message)
        if act is not None and act.to in miner.names and act.method in methods:
            found.append((message, act))
    return found


def proposals_pending(
    miner: Miner, methods: Collection[int], *, multisigs: Iterable[MultisigFacts]
) -> list[PendingProposal]:
    """Return what waits in these multisigs for approvals and would call one of these methods of a miner."""
    return [
        one for facts in multisigs for one in facts.pending if one.method in methods and one.to in miner.names
    ]


def is_id(address: str) -> bool:
    """Return whether an address is an actor's ID, as rows keep one that has no key."""
    return bool(address) and address_parse(address).protocol == ID
