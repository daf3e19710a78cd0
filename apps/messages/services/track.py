"""Following messages on chain: landed with their receipt, taken back by a reorganisation, or displaced.

A head executes the messages that its parents include, so each applied head brings the receipts of the
tipset below it.  The tracker keeps its own place in the chain; killed anywhere, it goes on from there, and
whatever it does twice has the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.selectors import head_by_key, network_current, path_between
from apps.chain.tipsets import key_to_json, tipset_from_json
from apps.core.compiled import Compiled
from apps.core.locks import try_lock
from apps.messages.models import Message, Sender, SignedVersion, Tracker
from apps.messages.services.bulk_transitions import NOT_LANDED, messages_advance, publish_message_changes
from apps.messages.services.recovery.detect import recovery_begin
from apps.messages.services.search import messages_search
from apps.messages.services.selection import chain_nonces_advance, chain_nonces_rewind
from apps.messages.services.spend import ADDED, TAKEN_OFF, exit_code_bounded, gas_cost, spend_record
from apps.messages.states import MessageState, Wait
from apps.wallets.services.sign import wallets_moved
from poolsite.filecoin.address import address_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from poolsite.filecoin.message import Message as ChainMessage
    from poolsite.filecoin.message import Receipt

log = structlog.get_logger(__name__)

TRACK_LOCK: Final = 0x4D54
"""Lock class of the tracker; it only saves double work."""

CAN_LAND: Final = (MessageState.FILLED, MessageState.FAILED, MessageState.REPLACED)
"""States of a signed message that a landing moves."""

PATIENCE_EPOCHS: Final = 60
"""A tipset so far below the head whose receipts cannot be had or read is not asked for again: a node
that was built from a snapshot has none of before."""

LOOKED_AT: Final = 20_000
"""Newest changes among which those epochs' landings are looked for after a long absence."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One message of a tipset with its receipt."""

    cid: str
    from_addr: str
    to: str
    nonce: int
    receipt: Receipt
    message: ChainMessage


@dataclass(frozen=True, slots=True)
class Executed:
    """What one head executed."""

    head: Head
    height: int
    """Of the tipset that includes the messages."""
    base_fee: int
    """That they pay: the including tipset's."""
    messages: tuple[Execution, ...]


@dataclass(frozen=True, slots=True)
class Tracked:
    """What one run of the tracker did."""

    heads: int = 0
    landed: int = 0
    reverted: int = 0
    displaced: int = 0
    has_searched: bool = False
    """True if the way from its last place was not known and the node was asked for each message."""


TRACKER: Final[Compiled[Tracker]] = Compiled("tracker", lambda: Tracker.objects.filter(pk=1))


def messages_track(*, head: Head, client: ChainClient, now: datetime) -> Tracked:
    """Bring all messages up to `head`.  Raises NodeUnavailable, NodeRefused; what was done stays done."""
    with try_lock(TRACK_LOCK, "tracker") as is_mine:
        if not is_mine:
            return Tracked()
        tracker = next(iter(TRACKER.rows()), None) or Tracker.objects.get_or_create(pk=1)[0]
        if tracker.key == head.key:
            return Tracked()
        path = path_between(tracker.key, head)
        if not path.is_complete:
            gone = _left_chain(tracker, head, client=client)
            return _search_instead(tracker, head, gone=gone, client=client, now=now)
        total = Tracked()
        gone = [row.key for row in path.reverted]
        if not path.applied:  # only reverts: the head moved down
            count = _revert(tracker, gone, to=head, now=now)
            return Tracked(reverted=count)
        below = path.common
        for row in path.applied:
            try:
                executed = _executed(row, below, client=client)
            except (NodeRefused, NodeUnavailable) as error:
                if head.height - row.height < PATIENCE_EPOCHS:
                    raise
                # If the node is away altogether, so it is for the search, and nothing is given up.
                log.warning("receipts_given_up", height=row.height, reason=error.reason[:300])
                return _search_instead(tracker, head, gone=gone, client=client, now=now)
            landed, displaced, reverted = _apply(tracker, executed, gone=gone, now=now)
            below, gone = row, []
            total = Tracked(
                total.heads + 1,
                total.landed + landed,
                total.reverted + reverted,
                total.displaced + displaced,
            )
        return total


def _search_instead(
    tracker: Tracker, head: Head, *, gone: Sequence[str], client: ChainClient, now: datetime
) -> Tracked:
    """Look up each message by itself where the tipsets between cannot be read."""
    with transaction.atomic():
        reverted = _revert_landings(gone, now=now)
    landed, displaced = messages_search(client=client, key=head.key, now=now)
    _place(tracker, head)
    return Tracked(0, landed, reverted, displaced, has_searched=True)


def _left_chain(tracker: Tracker, head: Head, *, client: ChainClient) -> list[str]:
    """Return the executing tipsets of what landed last, before we were away, and is not on the chain now.

    A reorganisation may take back what is younger than the network's finality.
    """
    finality = network_current().chain_finality
    # By the newest changes: the index of heights that this would need is of use nowhere else.
    newest = Message.objects.order_by("-updated_at").values("pk")[:LOOKED_AT]
    rows = Message.objects.filter(
        pk__in=newest,
        state__in=[MessageState.LANDED, MessageState.REPLACED],
        height__gt=tracker.height - finality,
    )
    places = list(
        rows.exclude(executed_key="").values_list("height", "tipset_key", "executed_key").distinct()
    )
    tipset = key_to_json(head.key)
    answers = client.call_many([("ChainGetTipSetByHeight", [height, tipset]) for height, _, _ in places])
    return [
        executed
        for (_, including, executed), answer in zip(places, answers, strict=True)
        if not isinstance(answer, NodeRefused) and tipset_from_json(answer).key != including
    ]


def _executed(row: Head, below: Head | None, *, client: ChainClient) -> Executed:
    """Return what executed `row`, as the node says; `below` is the tipset below it, where known."""
    if not row.parent_key:  # genesis executes nothing
        return Executed(row, row.height, 0, ())
    block = row.cids[0]
    messages = client.chain_get_parent_messages(block)
    receipts = client.chain_get_parent_receipts(block) if messages else []
    if len(messages) != len(receipts):
        raise NodeRefused(0, f"messages not match receipts, {len(messages)} != {len(receipts)}")
    if below is None or below.key != row.parent_key:
        below = head_by_key(row.parent_key)
    including = below or client.chain_get_tipset(row.parent_key)
    return Executed(
        head=row,
        height=including.height,
        base_fee=int(including.base_fee),
        messages=tuple(
            Execution(
                cid=str(cid),
                from_addr=address_format(message.from_),
                to=address_format(message.to),
                nonce=message.nonce,
                receipt=receipt,
                message=message,
            )
            for (cid, message), receipt in zip(messages, receipts, strict=True)
        ),
    )


def _place(tracker: Tracker, head: Head) -> None:
    Tracker.objects.filter(pk=tracker.pk).update(key=head.key, height=head.height, version=F("version") + 1)


@transaction.atomic
def _revert(tracker: Tracker, gone: Sequence[str], *, to: Head, now: datetime) -> int:
    count = _revert_landings(gone, now=now)
    _place(tracker, to)
    return count


def _apply(
    tracker: Tracker, executed: Executed, *, gone: Sequence[str], now: datetime
) -> tuple[int, int, int]:
    """Write one head: first what reverted tipsets take back, then what it landed.

    Returns the numbers of messages landed, displaced and taken back.
    """
    if not gone and not executed.messages:
        _place(tracker, executed.head)
        return 0, 0, 0
    with transaction.atomic():
        return _change(tracker, executed, gone=gone, now=now)


def _change(
    tracker: Tracker, executed: Executed, *, gone: Sequence[str], now: datetime
) -> tuple[int, int, int]:
    reverted = _revert_landings(gone, now=now)
    ours = _ours(executed)
    landed = displaced = 0
    if ours:
        landed, displaced = _landings(executed, ours, now=now)
    wallets_moved({one for sent in executed.messages for one in (sent.from_addr, sent.to)}, at=now)
    _place(tracker, executed.head)
    return landed, displaced, reverted


def _revert_landings(keys: Sequence[str], *, now: datetime) -> int:
    """Put messages whose executing tipset left the chain back into flight.

    Where two rows hold one nonce (a message given up that landed all the same, and the one that filled
    its gap; or one that got it since), the one that was displaced stays so: only one can be in flight.
    """
    if not keys:
        return 0
    rows = list(
        Message.objects.select_for_update()
        .filter(executed_key__in=list(keys), state__in=[MessageState.LANDED, MessageState.REPLACED])
        .order_by("state", "created_at", "pk")
    )
    back: list[Message] = []
    taken = _holders(rows)
    for row in rows:  # those that landed come first
        if row.state == MessageState.LANDED or (row.from_addr, row.nonce) not in taken:
            taken.add((row.from_addr, row.nonce))
            back.append(row)
    spend_record([row.pk for row in back], sign=TAKEN_OFF)
    chain_nonces_rewind((row.from_addr, row.nonce or 0) for row in rows)
    wallets_moved({one for row in rows for one in (row.from_addr, row.to)}, at=now)
    moved = messages_advance("REVERT", dict.fromkeys((row.pk for row in back), NOT_LANDED), now=now)
    publish_message_changes(moved)
    return len(moved)


def _holders(rows: Sequence[Message]) -> set[tuple[str, int | None]]:
    """Return the places, sender and nonce, of displaced rows that another row holds by now."""
    places = {(row.from_addr, row.nonce) for row in rows if row.state == MessageState.REPLACED}
    holders = Message.objects.filter(
        state__in=[MessageState.FILLED, MessageState.LANDED],
        from_addr__in={address for address, _ in places},
        nonce__in={nonce for _, nonce in places},
    ).exclude(pk__in=[row.pk for row in rows])
    return places & set(holders.values_list("from_addr", "nonce"))


def _ours(executed: Executed) -> list[Execution]:
    """Return the executions of our senders and move their nonces on where somebody else used one."""
    addresses = {message.from_addr for message in executed.messages}
    senders = set(Sender.objects.filter(address__in=addresses).values_list("address", flat=True))
    return [message for message in executed.messages if message.from_addr in senders]


def _landings(executed: Executed, ours: Sequence[Execution], *, now: datetime) -> tuple[int, int]:
    """Land what is ours, displace what lost its nonce to another message, notice foreign ones."""
    by_cid = {message.cid: message for message in ours}
    rows = Message.objects.select_for_update().filter(cid__in=list(by_cid)).order_by("pk")
    # What was given up and what took its nonce may be one message on chain: the one in flight landed.
    rows_by_claim = sorted(rows, key=lambda row: (row.state == MessageState.FILLED, row.created_at))
    signed = {row.cid: row for row in rows_by_claim}
    older = {
        version.cid: version
        for version in SignedVersion.objects.filter(
            cid__in=[cid for cid in by_cid if cid not in signed]
        ).select_related("message")
    }
    land: dict[str, dict[str, object]] = {}
    displace: dict[str, dict[str, object]] = {}
    foreign: list[Execution] = []
    rivals = _rivals(ours)
    for cid, message in by_cid.items():
        version: Message | SignedVersion | ChainMessage | None = signed.get(cid) or older.get(cid)
        winner = version.message if isinstance(version, SignedVersion) else signed.get(cid)
        here = rivals.get((message.from_addr, message.nonce), ())
        if version is None and (winner := _same_content(here, message)) is not None:
            version = message.message  # a version that this database has forgotten
        for rival in here:
            if winner is None or rival.pk != winner.pk:
                displace[rival.pk] = _landing_columns(executed, message, now=now)
        if version is None or winner is None:
            foreign.append(message)
        elif winner.state in CAN_LAND:
            cost = gas_cost(version, message.receipt, base_fee=executed.base_fee)
            land[winner.pk] = _landing_columns(executed, message, now=now) | {"gas_cost": cost}
    lost = messages_advance("CONFLICT", displace, now=now)
    moved = messages_advance("LAND", land, now=now)
    spend_record(moved, sign=ADDED)
    publish_message_changes([*lost.items(), *moved.items()])
    _foreign_record(foreign, now=now)
    chain_nonces_advance((message.from_addr, message.nonce) for message in ours)
    return len(moved), len(lost)


def _rivals(ours: Sequence[Execution]) -> dict[tuple[str, int], list[Message]]:
    """Return our rows that hold the nonces which these executions used up."""
    wanted = {(message.from_addr, message.nonce) for message in ours}
    rows = Message.objects.select_for_update().filter(
        state=MessageState.FILLED,
        from_addr__in={address for address, _ in wanted},
        nonce__in={nonce for _, nonce in wanted},
    )
    found: dict[tuple[str, int], list[Message]] = {}
    for row in rows:
        place = (row.from_addr, row.nonce or 0)
        if place in wanted:
            found.setdefault(place, []).append(row)
    return found


def _same_content(rows: Iterable[Message], message: Execution) -> Message | None:
    """Return the row that this message is but for its fees."""
    return next((row for row in rows if row.has_content(message.message)), None)


def _landing_columns(executed: Executed, message: Execution, *, now: datetime) -> dict[str, object]:
    receipt = message.receipt
    return {
        "height": executed.height,
        "tipset_key": executed.head.parent_key,
        "executed_key": executed.head.key,
        "landed_cid": message.cid,
        "exit_code": exit_code_bounded(receipt),
        "gas_used": receipt.gas_used,
        "return_data": receipt.return_,
        "landed_at": now,
        "wait": str(Wait.NONE),
        "error": "",
    }


def _foreign_record(foreign: Sequence[Execution], *, now: datetime) -> None:
    """Remember that an address is used from elsewhere and never give out its nonces again."""
    for message in foreign:
        sender = Sender.objects.select_for_update().get(address=message.from_addr)
        Sender.objects.filter(pk=sender.pk).update(
            foreign_at=now,
            foreign_cid=message.cid,
            next_nonce=max(sender.next_nonce, message.nonce + 1),
            version=F("version") + 1,
        )
        waiting = Message.objects.filter(from_addr=message.from_addr, state=MessageState.UNFILLED)
        alike = waiting.filter(value=message.message.value, method=message.message.method)
        if row := _same_content(alike, message):
            text = gettext(
                "a message identical to {push_id}, which is pending here, landed with nonce {nonce}, "
                "of which the database has no record"
            ).format(push_id=row.push_id, nonce=message.nonce)
            recovery_begin(text, now=now)
        log.warning("foreign_message", sender=message.from_addr, nonce=message.nonce, cid=message.cid)
