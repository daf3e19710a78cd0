"""Which gas guards apply to a message, and what they hold, cap and budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.messages.models import GasGuard, Message
from apps.messages.states import PRESSING


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason to wait for a lower base fee."""

    base_fee: int
    """Above this one it holds."""
    until: int
    """Epoch at which it ends; 0: never."""

    def is_on(self, *, base_fee: int, height: int) -> bool:
        """Return whether it holds at this base fee and epoch."""
        return base_fee > self.base_fee and not (self.until and height >= self.until)


@dataclass(frozen=True, slots=True)
class GuardChoice:
    """What the guards say about one message, together with its own wish to wait."""

    max_fee: int
    """0: no cap."""
    holds: tuple[Hold, ...]
    """Each of them holds by itself, until its own end."""
    budgets: tuple[GasGuard, ...]
    """Those whose day it counts in."""

    def holding(self, *, base_fee: int, height: int) -> Hold | None:
        """Return what keeps the message waiting for the base fee, the lowest mark first; None lets it go."""
        found = [hold for hold in self.holds if hold.is_on(base_fee=base_fee, height=height)]
        return min(found, key=lambda hold: hold.base_fee, default=None)


def guard_choose(message: Message, *, guards: Sequence[GasGuard], receiver: str) -> GuardChoice:
    """Return the tightest of what all fitting guards and the message itself say.

    `receiver` is the kind of actor that it goes to, empty where that is not known.
    """
    fitting = [guard for guard in guards if guard_is_applicable(guard, message=message, receiver=receiver)]
    binding = [guard for guard in fitting if is_binding(guard, message=message)]
    holds = [
        Hold(int(guard.hold_base_fee), message.pushed_height + guard.hold_epochs if guard.hold_epochs else 0)
        for guard in binding
        if guard.hold_base_fee
    ]
    if message.hold_base_fee:
        holds.append(Hold(int(message.hold_base_fee), message.hold_until))
    return GuardChoice(
        max_fee=min((guard.max_fee for guard in fitting if guard.max_fee), default=0),
        holds=tuple(holds),
        budgets=tuple(guard for guard in binding if guard.daily_budget),
    )


def is_binding(guard: GasGuard, *, message: Message) -> bool:
    """Return whether a guard that fits holds a message and counts it in its day: proofs only by name."""
    return bool(guard.kind) or message.priority not in PRESSING


def guard_is_applicable(guard: GasGuard, *, message: Message, receiver: str) -> bool:
    """Return whether a guard speaks about a message; where the receiver's kind is not known, it does."""
    return (
        guard.actor in ("", receiver or guard.actor)
        and guard.tenant_id in (None, message.tenant_id)
        and guard.kind in ("", message.kind)
        and guard.method in (None, message.method)
    )
