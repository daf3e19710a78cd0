"""Following messages on chain: landed with their receipt, taken back by a reorganisation, or displaced.

A head executes the messages that its parents include, so each applied head brings the receipts of the
tipset below it.  The tracker keeps its own place in the chain; killed anywhere, it goes on from there, and
whatever it does twice has the same result.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json, tipset_from_json
from apps.chain.selectors.network import network_current
from apps.chain.selectors.paths import path_between
from apps.core.compiled import Compiled
from apps.core.locks import try_lock
from apps.messages.models import Message, Sender, Tracker
from apps.messages.selectors.executions import Executed, executed_read
from apps.messages.services.bulk_transitions import NOT_LANDED, message_changes_publish, messages_advance
from apps.messages.services.landings import executions_land, own_executions_select
from apps.messages.services.search import messages_search
from apps.messages.services.selection import chain_nonces_rewind, senders_lock
from apps.messages.services.spend import SUBTRACTED, spend_record
from apps.messages.states import MessageState
from apps.wallets.services.refresh import moved_wallets_mark, stale_wallets_mark


def landings_revert(keys: Sequence[str], *, now: datetime) -> int:
    """Put messages whose executing tipset left the chain back into flight.

    Where two rows hold one nonce (a message given up that landed all the same, and the one that filled
    its gap; or one that got it since), the one that was displaced stays so: only one can be in flight.
    """
    if not keys:
        return 0
    landed = Message.objects.filter(
        executed_key__in=list(keys), state__in=[MessageState.LANDED, MessageState.REPLACED]
    ).exclude(executed_key="")
    addresses = sorted(set(landed.order_by().values_list("from_addr", flat=True)))
    # A sender may be deleted since; without its row the message would never land again.
    Sender.objects.bulk_create([Sender(address=one) for one in addresses], ignore_conflicts=True)
    senders_lock(addresses)
    locked = landed.select_for_update().order_by("pk")
    rows = sorted(locked, key=lambda row: (row.state, row.created_at, row.pk))
    back: list[Message] = []
    holders = _holders(rows)
    for row in rows:  # those that landed come first
        if row.state == MessageState.LANDED or (row.from_addr, row.nonce) not in holders:
            holders.add((row.from_addr, row.nonce))
            back.append(row)
    spend_record([row.pk for row in back], sign=SUBTRACTED)
    chain_nonces_rewind((row.from_addr, row.nonce or 0) for row in rows)
    moved_wallets_mark({one for row in rows for one in (row.from_addr, row.to)}, at=now)
    moved = messages_advance("REVERT", rows=dict.fromkeys((row.pk for row in back), NOT_LANDED), now=now)
    message_changes_publish(moved)
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


log = structlog.get_logger(__name__)

TRACK_LOCK: Final = 0x4D54
"""Lock class of the tracker; it only saves double work."""

PATIENCE_EPOCHS: Final = 60
"""A tipset so far below the head whose receipts cannot be had or read is not asked for again: a node
that was built from a snapshot has none of before."""

CHANGES_SEARCHED: Final = 20_000
"""Newest changes that are searched for those epochs' landings after a long absence."""


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
        if len(path.reverted) > 1:  # the oldest of these executed what the first of the new branch has, too
            stale_wallets_mark(since=path.reverted[-2].arrived_at)
        if not path.is_complete:
            reverted_keys = _left_chain(head, client=client)
            return _search_instead(tracker, head, reverted_keys=reverted_keys, client=client, now=now)
        total = Tracked()
        reverted_keys = [row.key for row in path.reverted]
        if not path.applied:  # the path only reverts: the head moved down
            count = _revert(tracker, reverted_keys, to=head, now=now)
            return Tracked(reverted=count)
        below = path.common
        for row in path.applied:
            try:
                executed = executed_read(row, below=below, client=client)
            except (NodeRefused, NodeUnavailable) as error:
                if head.height - row.height < PATIENCE_EPOCHS:
                    raise
                # If the node is away altogether, the search fails too, and nothing is marked failed.
                log.warning("receipts_given_up", height=row.height, reason=error.reason[:300])
                return _search_instead(tracker, head, reverted_keys=reverted_keys, client=client, now=now)
            landed, displaced, reverted = _apply(tracker, executed, reverted_keys=reverted_keys, now=now)
            below, reverted_keys = row, []
            total = Tracked(
                total.heads + 1,
                total.landed + landed,
                total.reverted + reverted,
                total.displaced + displaced,
            )
        return total


def _search_instead(
    tracker: Tracker, head: Head, *, reverted_keys: Sequence[str], client: ChainClient, now: datetime
) -> Tracked:
    """Look up each message by itself where the tipsets between cannot be read."""
    with transaction.atomic():
        reverted = landings_revert(reverted_keys, now=now)
    landed, displaced = messages_search(client=client, key=head.key, now=now)
    _place(tracker, head)
    return Tracked(0, landed, reverted, displaced, has_searched=True)


def _left_chain(head: Head, *, client: ChainClient) -> list[str]:
    """Return the executing tipsets of what landed last, before we were away, and is not on the chain now.

    A reorganisation hardly takes back what is older than the network's finality; but a node that was on a
    wrong branch for longer may be set up anew.  So older ones are asked for while all younger ones have left.
    """
    finality = network_current().chain_finality
    # By the newest changes: the index of heights that this would need is of use nowhere else.
    newest = Message.objects.order_by("-updated_at").values("pk")[:CHANGES_SEARCHED]
    rows = Message.objects.filter(pk__in=newest, state__in=[MessageState.LANDED, MessageState.REPLACED])
    landed = rows.exclude(executed_key="").values_list("height", "tipset_key", "executed_key")
    places = list(landed.distinct().order_by("-height"))
    left: list[str] = []
    while places:
        count = bisect_left(places, finality - places[0][0], key=lambda place: -place[0])
        span, places = places[:count], places[count:]
        left += (reverted := _keys_reverted(span, key=head.key, client=client))
        if len(reverted) < len(span):
            break
    return left


def _keys_reverted(places: Sequence[tuple[int, str, str]], *, key: str, client: ChainClient) -> list[str]:
    """Return the executing tipsets of those places whose including tipset is not on the chain of a tipset."""
    tipset = key_to_json(key)
    answers = client.call_many([("ChainGetTipSetByHeight", [height, tipset]) for height, _, _ in places])
    return [
        executed
        for (_, including, executed), answer in zip(places, answers, strict=True)
        if not isinstance(answer, NodeRefused) and tipset_from_json(answer).key != including
    ]


def _place(tracker: Tracker, head: Head) -> None:
    Tracker.objects.filter(pk=tracker.pk).update(key=head.key, height=head.height, version=F("version") + 1)


@transaction.atomic
def _revert(tracker: Tracker, reverted_keys: Sequence[str], *, to: Head, now: datetime) -> int:
    count = landings_revert(reverted_keys, now=now)
    _place(tracker, to)
    return count


def _apply(
    tracker: Tracker, executed: Executed, *, reverted_keys: Sequence[str], now: datetime
) -> tuple[int, int, int]:
    """Write one head: first what reverted tipsets take back, then what it landed.

    Returns the numbers of messages landed, displaced and taken back.
    """
    if not reverted_keys and not executed.messages:
        _place(tracker, executed.head)
        return 0, 0, 0
    with transaction.atomic():
        return _change(tracker, executed, reverted_keys=reverted_keys, now=now)


def _change(
    tracker: Tracker, executed: Executed, *, reverted_keys: Sequence[str], now: datetime
) -> tuple[int, int, int]:
    reverted = landings_revert(reverted_keys, now=now)
    own = own_executions_select(executed)
    landed = displaced = 0
    if own:
        landed, displaced = executions_land(executed, own=own, now=now)
    moved_wallets_mark({one for sent in executed.messages for one in (sent.from_addr, sent.to)}, at=now)
    _place(tracker, executed.head)
    return landed, displaced, reverted
