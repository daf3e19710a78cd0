"""What a node remembers of its clients' calls while it runs; a restart forgets it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import SignedMessage


def _session_new() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True)
class RememberedCalls:
    """The calls of one run of a node."""

    session: str = field(default_factory=_session_new)
    """Names this run: clients learn from another one that the node was started again."""
    started_at: float = field(default_factory=time.time)
    """When this run began, UNIX seconds of the computer's clock."""
    pushed: dict[str, SignedMessage] = field(default_factory=dict)
    """Messages that MpoolPushMessage made, by the caller's UUID."""
    named: dict[bytes, bytes] = field(default_factory=dict)
    """Parts of actors' states by CID, as StateReadState named them."""
    signer_nonces: dict[Address, int] = field(default_factory=dict)
    """Next nonces that MpoolPushMessage remembers, even after the pool was cleared."""
