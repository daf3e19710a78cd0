"""The chain in one line, and the clock that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext_lazy as _

from apps.chain.errors import NetworkUnknown
from apps.chain.models import Head, Node
from apps.chain.selectors.epochs import epoch_at
from apps.chain.selectors.network import network_current
from apps.chain.selectors.nodes import nodes_serve
from apps.chain.states import NodeCondition
from apps.core.marked_texts import gettext
from poolsite.filecoin.policy import Network

LATE_EPOCHS: Final = 4
"""So many epochs without a head and the status asks for a look: as many nulls in a row are rare."""
GONE_EPOCHS: Final = 10
LATE_WORD: Final = _("no new head")
GONE_WORD: Final = _("chain stalled")
"""`_chain_status.html` says both, too."""
BEHIND_WORD: Final = _("behind the chain")
AWAY_WORD: Final = _("no node answers")
FOREIGN_WORD: Final = _("node on another network")


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """The chain in one line."""

    epoch: int
    """Newest head's height."""
    base_fee: int
    """attoFIL."""
    tone: str
    word: str
    age_s: float
    """Seconds since the head came."""
    old_s: float
    """Seconds since the time that the head bears, where the chain goes by the same clock; else as `age_s`."""
    late_at: int
    """Seconds since 1970 at which a head is overdue: nothing is pushed then, the page counts itself."""
    gone_at: int
    """And at which the chain stands still."""


def unreadable_text(nodes: Sequence[Node]) -> str:
    """Return why none of the pool's nodes can be read; empty if one can."""
    if not nodes or nodes_serve(nodes):
        return ""
    return str(AWAY_WORD if all(node.condition == NodeCondition.AWAY for node in nodes) else FOREIGN_WORD)


def chain_status_of(
    head: Head | None, *, network: Network | None, at: datetime, nodes: Sequence[Node] = ()
) -> ChainStatus | None:
    """Return the chain's status; None before the first head."""
    if head is None or network is None:
        return None
    age_s = (at - head.arrived_at).total_seconds()
    # An accelerated chain stands still with its machine, so there the age is that of the head's arrival.
    old_s = age_s if network.is_devnet else max(at.timestamp() - head.timestamp, age_s)
    tone, word = "ok", gettext("in sync")
    if old_s >= LATE_EPOCHS * network.epoch_s:
        is_stalled = old_s >= GONE_EPOCHS * network.epoch_s
        is_coming = age_s < LATE_EPOCHS * network.epoch_s  # a node that catches up has old heads come quickly
        tone = "bad" if is_stalled else "warn"
        word = str(BEHIND_WORD if is_coming else GONE_WORD if is_stalled else LATE_WORD)
    if unread := unreadable_text(nodes):
        tone, word = "bad", unread
    arrived_s = round(head.arrived_at.timestamp())
    return ChainStatus(
        epoch=head.height,
        base_fee=int(head.base_fee),
        tone=tone,
        word=word,
        age_s=age_s,
        old_s=old_s,
        late_at=arrived_s + LATE_EPOCHS * network.epoch_s,
        gone_at=arrived_s + GONE_EPOCHS * network.epoch_s,
    )


@dataclass(frozen=True, slots=True)
class EpochClock:
    """Turns epochs into wall time around the newest head."""

    epoch: int
    """The epoch that runs now."""
    at_s: float
    """Wall time now, in seconds since 1970."""
    delay_s: int
    """Seconds per epoch."""

    def starts_at(self, epoch: int) -> int:
        """Return when `epoch` begins, in seconds since 1970."""
        return round(self.at_s + (epoch - self.epoch) * self.delay_s)

    def left_s(self, epoch: int) -> int:
        """Seconds until `epoch` begins; negative if it has."""
        return (epoch - self.epoch) * self.delay_s


def network_known() -> Network | None:
    """Return the network's rules, or None until a node has told them."""
    try:
        return network_current()
    except NetworkUnknown:
        return None


def clock_of(head: Head | None, *, network: Network | None, at: datetime) -> EpochClock | None:
    """Set the clock by the newest head; None before the first one."""
    if head is None or network is None:
        return None
    epoch = epoch_at(head, now=at, epoch_s=network.epoch_s)
    return EpochClock(epoch=epoch, at_s=at.timestamp(), delay_s=network.epoch_s)
