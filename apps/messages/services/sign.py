"""Nonces and signatures for what a sender's selection chose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

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

SIGN_ROUNDS: Final = 3
"""A refused signature shifts the nonces behind it; those are signed again at most this often."""


def messages_signed(turn: Round, ready: Sequence[Ready]) -> list[tuple[Ready, SignedMessage]]:
    """Give nonces in order and have them signed; a refused message is left out and the rest moves up."""
    numbers = nonces_for(turn.sender, turn.standing, holes=turn.holes)
    nonces = [next(numbers) for _ in ready]
    done: list[tuple[Ready, SignedMessage]] = []
    rest = list(ready)
    for _ in range(SIGN_ROUNDS):
        if not rest:
            break
        here = nonces[len(done) : len(done) + len(rest)]
        messages = [replace(item.message, nonce=nonce) for item, nonce in zip(rest, here, strict=True)]
        answers = _sign(messages, [item.row.tenant_id for item in rest])
        again: list[Ready] = []
        is_straight = True
        for item, answer in zip(rest, answers, strict=True):
            if not isinstance(answer, SignedMessage):
                wait = Wait.SIGNER_AWAY if isinstance(answer, SignerAway) else Wait.POLICY
                turn.leave(
                    item.row, wait, f"sign message failed: {answer.reason}", is_failure=wait == Wait.POLICY
                )
                is_straight = False
            elif is_straight:
                done.append((item, answer))
            else:
                again.append(item)
        rest = again
    for item in rest:
        turn.leave(item.row, Wait.NEXT_HEAD)
    return done


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
