"""Deadlines of proofs that come from outside: whoever pushes one keeps to itself until when it counts.

Proofs of the pool's own apps come with their deadline; of the others the chain is asked on each head, until
the deadline that the proof names is the open one.  Without it no automatic fee bump could apply to them.
Source: lotus StateMinerProvingDeadline; builtin-actors miner SubmitWindowedPoSt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from apps.chain.errors import NodeRefused
from apps.messages.models import Message
from apps.messages.services.validate import METHOD_WINDOW_POST
from apps.messages.states import MessageState, Priority
from poolsite.filecoin.actors.decode import params_decode
from poolsite.filecoin.cbor import BadCbor

if TYPE_CHECKING:
    from apps.chain.client import ChainClient
    from apps.chain.models import Head

log = structlog.get_logger(__name__)


def deadlines_learn(*, client: ChainClient, head: Head) -> list[str]:
    """Note until when proofs on their way count; gives the ids of those that were learnt.

    One question per miner.  Raises NodeUnavailable.
    """
    rows = Message.objects.filter(
        state__in=[MessageState.UNFILLED, MessageState.FILLED],
        priority=Priority.PROOF,
        method=METHOD_WINDOW_POST,
        urgent_epoch=None,
    ).order_by("to", "pk")
    open_deadlines: dict[str, tuple[int, int] | None] = {}
    learnt: list[str] = []
    for row in rows:
        if row.to not in open_deadlines:
            open_deadlines[row.to] = _open_deadline(row.to, client=client, head=head)
        found = open_deadlines[row.to]
        if found is not None and found[0] == _deadline_named(row):
            Message.objects.filter(pk=row.pk, urgent_epoch=None).update(urgent_epoch=found[1])
            learnt.append(row.pk)
    return learnt


def _open_deadline(miner: str, *, client: ChainClient, head: Head) -> tuple[int, int] | None:
    """Give number and closing epoch of a miner's open deadline; None if the node knows no such miner."""
    try:
        answer = client.state_miner_proving_deadline(miner, head.key)
    except NodeRefused as error:
        log.info("deadline_not_known", miner=miner, reason=error.reason[:200])
        return None
    return int(answer["Index"]), int(answer["Close"])


def _deadline_named(message: Message) -> int | None:
    """Give the deadline that a proof is for; None if its parameters are no proof's."""
    try:
        return int(params_decode("miner", message.method, bytes(message.params))["Deadline"])
    except (BadCbor, KeyError, TypeError, ValueError):
        return None
