"""One sender's selection on one head, while it is being worked out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from apps.chain.models import Head
    from apps.messages.models import Message, Sender
    from apps.messages.services.guards import Budgets
    from apps.messages.services.nonces import SenderChainState
    from apps.messages.services.readback import Landed
    from apps.messages.states import Wait
    from poolsite.filecoin.message import Message as ChainMessage


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
    has_more: bool = False
    """True if the round had to end although there were places left."""
    waits: list[tuple[str, str, str]] = field(default_factory=list)
    """Why messages are left: id, reason, text."""
    known: dict[str, ChainMessage] = field(default_factory=dict)
    """What the signer signed before, by id: such a message keeps that nonce and those fees."""
    landed: dict[str, Landed] = field(default_factory=dict)
    """Where the chain has those already."""
    dead: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Nonces that were signed for an id, and that other messages have used for good."""
    failed: list[Message] = field(default_factory=list)
    """Those of them that are not tried again at once."""

    refused: dict[str, str] = field(default_factory=dict)
    """Those of them that an actor refuses, with its words."""

    def leave(self, row: Message, wait: Wait, text: str = "", *, is_failure: bool = False) -> None:
        """Leave a message for later and say why."""
        self.waits.append((row.pk, wait, text))
        if is_failure:
            self.failed.append(row)
