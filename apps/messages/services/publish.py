"""Giving signed messages to every node: at once after signing, and again on later heads where one is missing.

Safe to repeat: a node says "already in mpool" or "nonce too low" to what it knows (`KNOWN_TEXTS`).
Source: lotus chain/messagepool/messagepool.go (texts as recorded from a real node).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import Q

from apps.chain.errors import BadNodeAddress, NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.addresses import node_address
from apps.chain.node.link import ANSWER_TIMEOUT_S, NodeLink, link_to
from apps.chain.selectors.nodes import nodes_all
from apps.chain.states import CONDITIONS_FOREIGN, NodeCondition
from apps.core.reasons import quoted
from apps.messages.models import ExtraNode, Message
from apps.messages.reasons import NO_NODE
from apps.messages.rules.message_states import wrong_state
from apps.messages.services.audit import message_audit
from apps.messages.services.bulk_transitions import message_changes_publish, waits_record
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import Principal
from poolsite.filecoin.codec import to_json
from poolsite.filecoin.message import signed_message_from_cbor
from poolsite.tracing import span, trace_carried
from poolsite.tracing.subjects import of_messages

log = structlog.get_logger(__name__)

KNOWN_TEXTS: Final = (
    "message with nonce already exists",
    "minimum expected nonce",
    "nonce too low",
    "Message with sequence already in mempool",
    "Message sequence too low",
)
"""What a node says of a message that it has, or that is on chain: no failure.

The last two are of forest, src/message_pool/errors.rs; the others of lotus and venus.
"""

NODES_AT_ONCE: Final = 8

AWAY_S: Final = 2.0
"""Longest wait for a node that does not answer: what all nodes said is stored once the last has, and a node
that takes a connection and says nothing would hold up each message of the pool for half a minute."""

AWAY_KEPT_S: Final = 60.0
"""So long after a failed call a node is waited for no longer than that: nobody probes an extra one."""

OUTGOING_COLUMNS: Final = ("id", "from_addr", "nonce", "cid", "signed", "published_at")
"""What of a message goes to a node: the signed form holds the rest."""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A signed message on its way to the nodes."""

    id: str
    from_addr: str
    nonce: int
    cid: str
    """Of this version."""
    body: dict[str, Any]
    """The signed message in JSON."""
    is_fresh: bool
    """True if no node has taken this version yet."""


@dataclass(slots=True)
class PublishResult:
    """What the nodes said."""

    accepted: set[str] = field(default_factory=set)
    """Ids that at least one node has."""
    refused: dict[str, str] = field(default_factory=dict)
    """Ids that some node refuses, with its reason."""
    away: list[str] = field(default_factory=list)
    """Nodes that did not answer."""


def message_republish(*, message: Message, now: datetime, by: Principal | None) -> PublishResult:
    """Publish a message in flight to every node again, because somebody asks for it.  Raises BadMessage."""
    if message.state != MessageState.FILLED:
        raise wrong_state(message.state, needed=MessageState.FILLED)
    message_audit(by, action="message.republish", message=message, after={"nodes": "all"})
    return messages_publish([message.pk], now=now)


def messages_publish(ids: Iterable[str], *, now: datetime) -> PublishResult:
    """Publish these messages to every node.  What no node took is tried again on the next head."""
    rows = Message.objects.filter(pk__in=list(ids), state=MessageState.FILLED).exclude(signed=b"")
    rows = rows.order_by("from_addr", "nonce")
    return _publish([_outgoing(row) for row in rows.only(*OUTGOING_COLUMNS)], now=now)


def messages_republish(*, now: datetime) -> PublishResult:
    """Publish to each node what it lacks of the messages in flight.

    One request per node asks for the end of each sender's contiguous run; only what lies behind it is
    sent.  A version that no node has taken yet is sent in any case: it may replace an older one.
    """
    # What was read back from the chain and left it again has no signature here; nodes have it.
    rows = Message.objects.filter(state=MessageState.FILLED).exclude(signed=b"")
    rows = rows.order_by("from_addr", "nonce")
    return _publish(
        [_outgoing(row) for row in rows.only(*OUTGOING_COLUMNS).iterator(chunk_size=500)], now=now
    )


def fee_caps_update(*, head: Head, now: datetime) -> None:
    """Write on messages in flight that the base fee overtook their cap, and that it is below it again."""
    flight, fee = Message.objects.filter(state=MessageState.FILLED).order_by(), int(head.base_fee)
    over = flight.filter(wait=Wait.IN_POOL, gas_fee_cap__lt=fee).values_list("pk", flat=True)
    under = flight.filter(wait=Wait.FEE_CAP, gas_fee_cap__gte=fee).values_list("pk", flat=True)
    waits_record(
        [*((pk, Wait.FEE_CAP, "") for pk in over), *((pk, Wait.IN_POOL, "") for pk in under)], now=now
    )


def publishing_nodes_list() -> list[tuple[NodeLink, float]]:
    """Return a link to every node that messages go to, with the seconds that an answer of it is waited for.

    They are the pool's own and the messager's extra ones, without those whose row cannot be read: that must
    not keep messages from the others.
    """
    own = nodes_all().exclude(condition__in=CONDITIONS_FOREIGN)
    places = {node.url: node.token for node in own}
    away = {node.url for node in own if node.condition == NodeCondition.AWAY}
    for extra in ExtraNode.objects.all():
        try:
            address = node_address(extra.url, token=extra.token)
        except BadNodeAddress as error:
            log.warning("extra_node_unreadable", node=extra.name, reason=error.reason[:300])
            continue
        places.setdefault(address.http_url, address.token)
    links = [link_to(url, token) for url, token in places.items()]
    failed_since = time.monotonic() - AWAY_KEPT_S
    return [
        (link, AWAY_S if link.url in away or link.tired_until > failed_since else ANSWER_TIMEOUT_S)
        for link in links
    ]


def _outgoing(row: Message) -> OutgoingMessage:
    signed = signed_message_from_cbor(bytes(row.signed))
    return OutgoingMessage(
        id=row.pk,
        from_addr=row.from_addr,
        nonce=signed.message.nonce,
        cid=row.cid,
        body=to_json(signed),  # without the CIDs, which a node computes itself
        is_fresh=row.published_at is None,
    )


def _publish(outgoing: Sequence[OutgoingMessage], *, now: datetime) -> PublishResult:
    """Send to all nodes at the same time, then write down what they said."""
    nodes = publishing_nodes_list() if outgoing else []
    if not nodes:
        return PublishResult()
    with span("message publish", about=of_messages(one.id for one in outgoing if one.is_fresh)):
        return _published(outgoing, nodes, now=now)


def _published(
    outgoing: Sequence[OutgoingMessage], nodes: Sequence[tuple[NodeLink, float]], *, now: datetime
) -> PublishResult:
    result = PublishResult()
    with ThreadPoolExecutor(max_workers=NODES_AT_ONCE, thread_name_prefix="publish") as threads:
        sends = [threads.submit(trace_carried(partial(_send, outgoing, *node))) for node in nodes]
        outcomes = [sent.result() for sent in sends]
        for (link, _), outcome in zip(nodes, outcomes, strict=True):
            if isinstance(outcome, NodeUnavailable):
                result.away.append(link.url)
                continue
            for pk, text in outcome.items():
                if text:
                    result.refused[pk] = text
                else:
                    result.accepted.add(pk)
    _result_store(outgoing, result, nodes=len(nodes), now=now)
    return result


def _send(
    outgoing: Sequence[OutgoingMessage], link: NodeLink, timeout_s: float
) -> dict[str, str] | NodeUnavailable:
    """Publish to one node what it lacks: id to the reason of its refusal, empty if it has the message.

    Runs in a thread without a database.
    """
    try:
        missing = _missing(outgoing, link, timeout_s)
        answers = link.call_many([("MpoolPush", [item.body]) for item in missing], timeout_s=timeout_s)
    except NodeUnavailable as error:
        return error
    outcome = {item.id: "" for item in outgoing}
    for item, answer in zip(missing, answers, strict=True):
        if isinstance(answer, NodeRefused) and not any(text in answer.reason for text in KNOWN_TEXTS):
            outcome[item.id] = answer.reason
    return outcome


def _missing(outgoing: Sequence[OutgoingMessage], link: NodeLink, timeout_s: float) -> list[OutgoingMessage]:
    """Return what the node has not, in nonce order per sender."""
    senders = list(dict.fromkeys(item.from_addr for item in outgoing if not item.is_fresh))
    calls = [("MpoolGetNonce", [address]) for address in senders]
    answers = link.call_many(calls, timeout_s=timeout_s)
    # Not only a refusal is passed over: an extra node may be no node at all.
    ends = {address: end for address, end in zip(senders, answers, strict=True) if isinstance(end, int)}
    return [item for item in outgoing if item.is_fresh or item.nonce >= ends.get(item.from_addr, 0)]


@transaction.atomic
def _result_store(
    outgoing: Sequence[OutgoingMessage], result: PublishResult, *, nodes: int, now: datetime
) -> None:
    """Write first publication and refusals; rows that landed meanwhile are left alone."""
    new = {item.id: item.cid for item in outgoing if item.is_fresh and item.id in result.accepted}
    if new:
        unpublished = Message.objects.filter(pk__in=new, state=MessageState.FILLED, published_at=None)
        # A version that took its place meanwhile was sent to nobody yet, and no node would seem to lack it.
        unpublished = unpublished.filter(cid__in=list(new.values()))
        # What somebody is moving is noted by the next head: a landing might wait for us, and we for it.
        free = unpublished.select_for_update(skip_locked=True, no_key=True)
        published = dict(free.values_list("pk", "tenant_id"))
        Message.objects.filter(pk__in=published).update(published_at=now, updated_at=now)
        message_changes_publish(published)
    refused = {pk: text for pk, text in result.refused.items() if pk not in result.accepted}
    waits_record([(pk, Wait.NODE_REFUSES, quoted(text, by="node")) for pk, text in refused.items()], now=now)
    recovered = Message.objects.filter(
        pk__in=result.accepted, state=MessageState.FILLED, wait__in=[Wait.NODE_REFUSES, Wait.NODE_AWAY]
    )
    waits_record([(pk, Wait.IN_POOL, "") for pk in recovered.values_list("pk", flat=True)], now=now)
    if len(result.away) == nodes:
        reason = NO_NODE(away=", ".join(result.away))
        lost = Message.objects.filter(Q(pk__in=[item.id for item in outgoing]), state=MessageState.FILLED)
        waits_record([(pk, Wait.NODE_AWAY, reason) for pk in lost.values_list("pk", flat=True)], now=now)
    if result.refused or result.away:
        log.warning("publish", refused=len(refused), away=len(result.away), of=len(outgoing))
