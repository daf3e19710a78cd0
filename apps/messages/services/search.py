"""Finding what became of messages when the chain's way is unknown: after days offline, or on demand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from django.db import transaction
from django.db.models import OuterRef, Q, Subquery

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.call_timeouts import LONG
from apps.chain.node.client import ChainClient
from apps.chain.node.failover import NO_NODE
from apps.chain.node.tipsets import key_to_json, tipset_from_json
from apps.core.formatting import plural
from apps.core.marked_texts import gettext
from apps.messages.models import Message, Sender, SignedVersion
from apps.messages.rules.displaced import displaced_columns
from apps.messages.services.audit import message_audit
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.services.spend import ADDED, exit_code_cap, gas_cost_compute, spend_record
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.message import receipt_from_json

SEARCHED_AT_ONCE: Final = LONG.at_once
"""Stored before the next are asked for: without an index of its chain a node walks it back for each message,
and after days away one that failed at the last message would begin with the first again."""

REPLACED_TEXT: Final = "found message with equal nonce"
"""Words by which a node says that another message has used the nonce: this one is not on the chain.

Source: lotus chain/stmgr/searchwait.go (tests/golden/chain/lotus/golden_ws.json), venus pkg/chain/waiter.go,
forest src/state_manager/message_search.rs.
"""


def messages_search(
    *, client: ChainClient, now: datetime, key: str, ids: Sequence[str] | None = None
) -> tuple[int, int]:
    """Search the node for every message whose nonce is open (or for `ids`); returns how many landed and were
    displaced.

    All questions are about the chain of one tipset, `key`: what a later one has executed is not known yet,
    and what another branch has executed would stay landed for ever.
    Raises NodeUnavailable.
    """
    # What was given up while its nonce was open may have landed all the same.
    open_nonce = Sender.objects.filter(address=OuterRef("from_addr")).values("chain_nonce")[:1]
    given_up = Q(state=MessageState.FAILED, nonce__gte=Subquery(open_nonce))
    rows = Message.objects.filter(Q(state=MessageState.FILLED) | given_up)
    rows = rows.exclude(cid="")  # its signature is made offline, and part of its CID
    if ids is not None:
        rows = rows.filter(pk__in=list(ids))
    landed = displaced = 0
    for part in _parts(rows.order_by("from_addr", "nonce")):
        more, lost = _search(part, client=client, key=key, now=now)
        landed += more
        displaced += lost
    return landed, displaced


def message_search(message: Message, *, client: ChainClient, now: datetime, key: str, by: Principal) -> bool:
    """Search the node for one message; return whether it or another of its nonce was found.

    Raises NodeUnavailable.
    """
    landed, displaced = messages_search(client=client, now=now, key=key, ids=[message.pk])
    message_audit(
        by, action="message.search", message=message, after={"landed": landed, "replaced": displaced}
    )
    return landed + displaced > 0


def open_messages_search(*, client: ChainClient, now: datetime, key: str, by: Principal) -> int:
    """Search the node for all messages in flight; return of how many it knows.  Raises NodeUnavailable."""
    landed, displaced = messages_search(client=client, now=now, key=key)
    after = {"landed": plural(landed, "message"), "replaced": plural(displaced, "message")}
    audit_record(principal=by, action="message.search", target="all in flight", after=after)
    return landed + displaced


def _parts(rows: Iterable[Message]) -> Iterator[list[Message]]:
    """Yield messages in order, with those of one nonce together: what landed displaces the others."""
    part: list[Message] = []
    for _, same in groupby(rows, lambda row: (row.from_addr, row.nonce)):
        part += same
        if len(part) >= SEARCHED_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _search(rows: Sequence[Message], *, client: ChainClient, key: str, now: datetime) -> tuple[int, int]:
    """Look for all versions of each message, then for the nonces of the senders of what was not found.

    A message of which the node could not say whether it landed is left as it is.
    """
    signed: list[Message | SignedVersion] = [
        *rows,
        *SignedVersion.objects.filter(message__in=rows).select_related("message").order_by("pk"),
    ]
    answers = _answers(signed, client=client, key=key)
    found: dict[str, tuple[Message | SignedVersion, dict[str, Any]]] = {}
    unknown: set[str] = set()
    for one, answer in zip(signed, answers, strict=True):
        pk = _message_of(one).pk
        if isinstance(answer, dict):
            found[pk] = (one, answer)
        elif isinstance(answer, NodeRefused):
            unknown.add(pk)
    land = _landed_columns(_once_each_nonce(found), client=client, now=now)
    settled = [row for row in rows if row.pk not in land and row.pk not in unknown | found.keys()]
    own = {(row.from_addr, row.nonce) for row in rows if row.pk in land}
    lost = _displaced_columns(settled, own=own, client=client, key=key)
    with transaction.atomic():
        displaced = messages_advance("CONFLICT", rows=lost, now=now)  # first: a nonce has one holder
        moved = messages_advance("LAND", rows=land, now=now)
        spend_record(moved, sign=ADDED)
        message_changes_publish([*moved.items(), *displaced.items()])
    return len(moved), len(displaced)


def _once_each_nonce(found: dict[str, Any]) -> dict[str, Any]:
    """Return what was found, less what was given up and whose nonce the very same message on chain has."""
    rows = sorted(
        (_message_of(one) for one, _ in found.values()),
        key=lambda row: (row.state == MessageState.FILLED, row.created_at),
    )
    landed = {(row.from_addr, row.nonce): row.pk for row in rows}.values()
    return {pk: answer for pk, answer in found.items() if pk in landed}


def _answers(signed: Sequence[Message | SignedVersion], *, client: ChainClient, key: str) -> list[Any]:
    """Return the lookup of each version, None if it is not on the chain, the refusal if no node can say.

    Raises NodeUnavailable if no node answers.
    """
    answers: list[Any] = [NodeRefused(0, NO_NODE)] * len(signed)
    failure: NodeUnavailable | None = None
    has_answer = False
    for node in client.nodes():
        unsettled = [at for at, answer in enumerate(answers) if isinstance(answer, NodeRefused)]
        if not unsettled:
            break
        try:
            found = _node_answers([signed[at] for at in unsettled], node=node, key=key)
        except NodeUnavailable as error:
            failure = error
            continue
        has_answer = True
        for at, answer in zip(unsettled, found, strict=True):
            answers[at] = answer
    if not has_answer:
        raise failure or NodeUnavailable(gettext(NO_NODE))
    return answers


def _node_answers(signed: Sequence[Message | SignedVersion], *, node: ChainClient, key: str) -> list[Any]:
    """Return what one node says of each version.

    That it does not have a message means that this is not on the chain only if it has the messages of the
    blocks since: a snapshot has those of the last day or so, and no receipts.
    """
    calls = [("StateSearchMsg", [key_to_json(key), {"/": one.cid}, -1, False]) for one in signed]
    answers = [
        None if isinstance(answer, NodeRefused) and REPLACED_TEXT in answer.reason else answer
        for answer in node.call_many(calls)
    ]
    never_seen = [
        at
        for at, (one, answer) in enumerate(zip(signed, answers, strict=True))
        if isinstance(answer, NodeRefused) and answer.is_missing_object and answer.reason.endswith(one.cid)
    ]
    heights = sorted({_message_of(signed[at]).pushed_height for at in never_seen})
    first = bisect_left(heights, True, key=lambda height: _has_messages(node, height, key))
    for at in never_seen:
        if _message_of(signed[at]).pushed_height in heights[first:]:
            answers[at] = None
    return answers


def _has_messages(node: ChainClient, height: int, key: str) -> bool:
    """Return whether a node has the messages of the block at a height."""
    try:
        node.chain_get_block_messages(node.chain_get_tipset_by_height(height, key).cids[0])
    except NodeRefused:
        return False
    return True


def _message_of(signed: Message | SignedVersion) -> Message:
    return signed.message if isinstance(signed, SignedVersion) else signed


def _landed_columns(
    found: dict[str, tuple[Message | SignedVersion, dict[str, Any]]], *, client: ChainClient, now: datetime
) -> dict[str, dict[str, object]]:
    """Turn lookups into our columns: the node names the executing tipset, we keep the including one too."""
    keys = list(dict.fromkeys(_key(answer) for _, answer in found.values()))
    above = _tipsets(keys, client=client)
    below = _tipsets(
        list(dict.fromkeys(facts.parent_key for facts in above.values() if facts)), client=client
    )
    columns: dict[str, dict[str, object]] = {}
    for pk, (signed, answer) in found.items():
        executing = above.get(_key(answer))
        including = below.get(executing.parent_key) if executing else None
        if executing is None or including is None:
            continue
        receipt = receipt_from_json(answer["Receipt"])
        columns[pk] = {
            "height": including.height,
            "tipset_key": including.key,
            "executed_key": executing.key,
            "landed_cid": signed.cid,
            "exit_code": exit_code_cap(receipt),
            "gas_used": receipt.gas_used,
            "gas_cost": gas_cost_compute(signed, receipt=receipt, base_fee=including.base_fee),
            "return_data": receipt.return_,
            "landed_at": now,
            "wait": str(Wait.NONE),
            "error": "",
        }
    return columns


def _displaced_columns(
    rows: Sequence[Message], *, own: set[tuple[str, int | None]], client: ChainClient, key: str
) -> dict[str, dict[str, object]]:
    """Return the messages whose nonce the chain has passed although they did not land.

    `own` are the places, sender and nonce, of which this very search found the message.
    """
    addresses = list(dict.fromkeys(row.from_addr for row in rows))
    tipset = key_to_json(key)
    answers = client.call_many([("StateGetActor", [address, tipset]) for address in addresses])
    nonces = {
        address: int(answer["Nonce"])
        for address, answer in zip(addresses, answers, strict=True)
        if not isinstance(answer, NodeRefused)
    }
    lost = [row for row in rows if (row.nonce or 0) < nonces.get(row.from_addr, 0)]
    own = own | set(
        Message.objects.filter(
            state=MessageState.LANDED,
            from_addr__in={row.from_addr for row in lost},
            nonce__in={row.nonce for row in lost},
        ).values_list("from_addr", "nonce")
    )
    return {row.pk: displaced_columns(row, is_own=(row.from_addr, row.nonce) in own) for row in lost}


def _tipsets(keys: Sequence[str], *, client: ChainClient) -> dict[str, Any]:
    answers = client.call_many([("ChainGetTipSet", [[{"/": cid} for cid in key.split()]]) for key in keys])
    return {
        key: None if isinstance(answer, NodeRefused) else tipset_from_json(answer)
        for key, answer in zip(keys, answers, strict=True)
    }


def _key(answer: dict[str, Any]) -> str:
    return " ".join(link["/"] for link in answer["TipSet"] or ())
