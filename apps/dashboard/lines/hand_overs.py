"""A hand-over in words: what it changes, and what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.cards import Fact, plural
from apps.users.models import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.core.errors import DomainError
    from apps.miners.handover import HandOverWish
    from apps.miners.models import HandOver, Miner
    from apps.proving.services.handover import HandOverPlan


@dataclass(frozen=True, slots=True)
class Stop:
    """Why it cannot be, and where that is mended."""

    field: str
    """`tenant` where another choice would do."""
    text: str
    action: str = ""
    href: str = ""


def stop_of(refusal: DomainError, miner: Miner, receiver: str) -> Stop:
    """Write a refusal with the page that helps."""
    field = "tenant" if refusal.field == "tenant" else "form"
    action, href = help_for(refusal.field or "", miner, receiver)
    return Stop(field, refusal.reason, action, href)


def help_for(field: str, miner: Miner, receiver: str) -> tuple[str, str]:
    """Name the page where something is mended."""
    if field == "signer":
        row = Tenant.objects.filter(name=receiver).first()
        return (f"Tenant {receiver}", reverse("tenant", args=[row.uuid])) if row is not None else ("", "")
    if field == "sectors":
        return "Sectors", f"{reverse('sectors')}?q={miner.address}"
    if field in ("window", "prover"):
        return "Hosts", reverse("hosts")
    return "", ""


def plan_facts(wish: HandOverWish, plan: HandOverPlan) -> tuple[Fact, ...]:
    """List what changes and what stays."""
    return tuple(_facts(wish, plan))


def _facts(wish: HandOverWish, plan: HandOverPlan) -> Iterable[Fact]:
    giver, receiver = wish.miner.tenant.name, wish.receiver.name
    yield Fact("Tenant", f"{receiver}, until now {giver}, which no longer sees it")
    yield Fact(
        "Goes along",
        f"{plural(plan.sectors, 'sector')}, {plural(plan.deadlines, 'deadline')} with sectors, all settings",
    )
    yield Fact("Stays", f"what {giver} pushed, what that cost, and the audit log")
    if plan.messages:
        waiting = plural(plan.messages, "message")
        which = "which lands as" if plan.messages == 1 else "which land as"
        yield Fact("On the way", f"{waiting} to it, {which} {giver}'s: leave its signer connected until then")
    yield Fact("From now on", f"{receiver} signs and pays what the miner sends; its hosts prove and seal")
    shown = ", ".join(numbers.shortened(address) for address in plan.senders)
    yield Fact("Keys", f"{giver} keeps its right to {shown}: take it on its page if nothing else needs it")
    if plan.tokens_revoked:
        yield Fact("Tokens revoked", f"{', '.join(plan.tokens_revoked)}: for this miner alone")
    if plan.tokens_kept:
        yield Fact("Tokens that lose it", f"{', '.join(plan.tokens_kept)}: for other miners still")


def came_words(last: HandOver | None) -> str:
    """Say for the operator when a miner came to its tenant, and from whom."""
    return "" if last is None else f"Handed over from {last.giver.name} on {last.at:%Y-%m-%d %H:%M} UTC."
