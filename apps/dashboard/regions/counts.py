"""Counts that several pages show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Count, Q

from apps.messages.selectors import messages_open
from apps.messages.states import MessageState, Wait
from apps.sectors.selectors import sectors_visible
from poolsite.wire.pipeline import FINAL_STATES

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.messages.models import Message
    from apps.users.principals import Principal


def sectors_under_way(viewer: Principal) -> dict[int, int]:
    """Count the sectors that are being sealed, by miner."""
    rows = sectors_visible(viewer).select_related(None).order_by().exclude(state__in=FINAL_STATES)
    return dict(rows.values_list("miner_id").annotate(Count("pk")))


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages have not landed."""

    signed: int
    queued: int
    """Without a nonce yet."""
    stuck: int
    """Of both: those that somebody has to look at."""


STUCK: Final = (
    Wait.POLICY,
    Wait.ESTIMATE,
    Wait.FUNDS,
    Wait.NO_ACTOR,
    Wait.FEE_LIMIT,
    Wait.GAS_CAP,
    Wait.NODE_REFUSES,
)
"""Waits that rarely end by themselves."""
STUCK_TRIES: Final = 3
"""What failed once or twice may still pass."""


IS_STUCK: Final = Q(wait__in=STUCK, attempts__gte=STUCK_TRIES)


def messages_stuck(viewer: Principal) -> QuerySet[Message]:
    """Give the open messages that somebody has to look at."""
    return messages_open(viewer).filter(IS_STUCK)


def messages_waiting(viewer: Principal) -> Waiting:
    """Count what has not landed; the index holds open messages only."""
    rows = messages_open(viewer).select_related(None).order_by()
    counted = rows.values_list("state").annotate(count=Count("pk"), stuck=Count("pk", filter=IS_STUCK))
    found = {state: (count, stuck) for state, count, stuck in counted}
    signed, queued = (found.get(state, (0, 0)) for state in (MessageState.FILLED, MessageState.UNFILLED))
    return Waiting(signed=signed[0], queued=queued[0], stuck=signed[1] + queued[1])


def messages_by_sender(viewer: Principal) -> dict[str, int]:
    """Count open messages by sender."""
    rows = messages_open(viewer).select_related(None).order_by()
    return dict(rows.values_list("from_addr").annotate(Count("pk")))
