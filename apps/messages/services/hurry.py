"""Proofs that cannot land because the base fee overtook their fee cap get higher fees by themselves.

The stated rule: on each head, a proof in flight whose cap is below the base fee is replaced, within the
largest fee that its rules allow.  Other messages wait for the fee to fall or for a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from apps.core.errors import DomainError
from apps.messages.models import Message
from apps.messages.services.change import NewFees, message_replace
from apps.messages.services.moves import waits_note
from apps.messages.services.publish import messages_publish
from apps.messages.states import MessageState, Priority, Wait

if TYPE_CHECKING:
    from datetime import datetime

    from apps.chain.client import ChainClient
    from apps.chain.models import Head

log = structlog.get_logger(__name__)


def proofs_hurry(*, client: ChainClient, head: Head, now: datetime) -> list[str]:
    """Raise the fees of proofs that the base fee overtook; gives their ids.

    What cannot be raised keeps its version and says why.  A kill in between leaves a stored version that
    the next head publishes.
    """
    stuck = Message.objects.filter(
        state=MessageState.FILLED, priority=Priority.PROOF, gas_fee_cap__lt=int(head.base_fee)
    )
    raised: list[str] = []
    for row in stuck.order_by("from_addr", "nonce"):
        try:
            message_replace(message=row, fees=NewFees(), client=client, head=head, now=now)
        except DomainError as error:
            waits_note([(row.pk, Wait.FEE_CAP, error.reason)], now=now)
            continue
        raised.append(row.pk)
        log.info("fee_raised", message=row.pk, nonce=row.nonce, base_fee=str(head.base_fee))
    if raised:
        messages_publish(raised, now=now)
    return raised
