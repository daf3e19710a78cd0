"""What a pass over sectors, batches and runs works with: the head, a node to ask, and the policy in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from apps.chain.errors import NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import ChainClient, chain_client, page_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.marked_texts import gettext
from apps.messages.models import Message
from apps.messages.selectors.tracking import tracked_height
from apps.messages.states import MessageState
from apps.sectors.rules.policy import SealingPolicy, sealing_policy
from poolsite.filecoin.policy import Network


@dataclass(frozen=True, slots=True)
class SealingContext:
    """Head, node and policy of one pass; with a miner's funds where a batch of its is made."""

    client: ChainClient
    network: Network
    head: Head
    now: datetime
    policy: SealingPolicy
    available: int = 0
    """attoFIL of the balance of the miner whose batch is made; 0 where it pays nothing."""
    free: int = 0
    """attoFIL of that balance that no other batch counts on."""

    def sent(self, needed: int) -> int:
        """Return what a message carries that needs so much for deposits and pledge."""
        return max(needed - self.free, 0)


def sealing_context_make(
    *, client: ChainClient, network: Network, head: Head, now: datetime
) -> SealingContext:
    """Return what a pass works with, under the policy in force."""
    return SealingContext(client=client, network=network, head=head, now=now, policy=sealing_policy())


def landing_is_deep(message: Message, *, work: SealingContext) -> bool:
    """Return whether a message landed long enough ago, by the head up to which landings are known.

    A newer head may be of another branch, of which it is not known yet that it lacks the message.
    """
    tracked = tracked_height()
    height = work.head.height if tracked < 0 else min(work.head.height, tracked)
    confidence = work.network.confidences.message
    return message.state == MessageState.LANDED and message.height + 1 + confidence <= height


def sealing_context_read(*, is_preview: bool = False) -> SealingContext:
    """Return what a person's act works with: the newest head.  Raises NetworkUnknown, NodeUnavailable.

    What only shows what the act would do (`is_preview`) does not wait for a node that hangs.
    """
    head = head_current()
    if head is None:
        raise NodeUnavailable(gettext("no chain head has been read yet"))
    client = page_client() if is_preview else chain_client()
    return sealing_context_make(client=client, network=network_current(), head=head, now=clock.now())
