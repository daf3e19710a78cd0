"""Nonces and signatures for what a sender's selection chose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from apps.gateway.errors import SignerAway
from apps.messages.services.nonces import nonces_for
from apps.messages.states import Wait
from apps.wallets.services import messages_sign
from poolsite.filecoin.message import SignedMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.core.errors import DomainError
    from apps.messages.services.rounds import Ready, Round
    from poolsite.filecoin.message import Message as ChainMessage


def messages_signed(
    turn: Round, ready: Sequence[Ready], signed: dict[str, tuple[Ready, SignedMessage]]
) -> set[str]:
    """Give nonces in order and have them signed, after those in `signed`, which are the first of them.

    Adds to `signed` what comes before the first refusal: those behind it get other nonces.  Notes why a
    message is refused, and returns the ids of those.
    """
    numbers = nonces_for(turn.sender, turn.standing, holes=turn.holes)
    nonces = [next(numbers) for _ in ready]
    rest = list(zip(ready, nonces, strict=True))[len(signed) :]
    messages = [replace(item.message, nonce=nonce) for item, nonce in rest]
    answers = _sign(messages, [item.row.tenant_id for item, _ in rest])
    refused: set[str] = set()
    for (item, _), answer in zip(rest, answers, strict=True):
        if not isinstance(answer, SignedMessage):
            wait = Wait.SIGNER_AWAY if isinstance(answer, SignerAway) else Wait.POLICY
            reason = f"sign message failed: {answer.reason}"
            turn.leave(item.row, wait, reason, is_failure=wait == Wait.POLICY)
            refused.add(item.row.pk)
        elif not refused:
            signed[item.row.pk] = (item, answer)
    return refused


def _sign(
    messages: Sequence[ChainMessage], tenants: Sequence[int | None]
) -> list[SignedMessage | DomainError]:
    """Have each message signed for its tenant: one round through the hub per tenant."""
    found: dict[int, SignedMessage | DomainError] = {}
    for tenant in dict.fromkeys(tenants):
        places = [at for at, owner in enumerate(tenants) if owner == tenant]
        answers = messages_sign([messages[at] for at in places], tenant_id=tenant)
        found.update(zip(places, answers, strict=True))
    return [found[at] for at in range(len(messages))]
