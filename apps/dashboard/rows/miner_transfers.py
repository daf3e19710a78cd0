"""A transfer in words: what it changes, and what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.rows.cards import Fact, plural
from apps.users.models import Tenant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.core.errors import DomainError
    from apps.miners.models import Miner, MinerTransfer
    from apps.miners.services.transfer import TransferRequest
    from apps.proving.services.transfer import TransferPlan


@dataclass(frozen=True, slots=True)
class Stop:
    """Why it cannot be, and where that is mended."""

    field: str
    """`tenant` where another choice would do."""
    text: str
    action: str = ""
    href: str = ""


def stop_of(refusal: DomainError, miner: Miner, to_tenant: str) -> Stop:
    """Write a refusal with the page that helps."""
    field = "tenant" if refusal.field == "tenant" else "form"
    action, href = help_for(refusal.field or "", miner, to_tenant)
    return Stop(field, refusal.reason, action, href)


def help_for(field: str, miner: Miner, to_tenant: str) -> tuple[str, str]:
    """Name the page where something is mended."""
    if field == "signer":
        row = Tenant.objects.filter(name=to_tenant).first()
        return (f"Tenant {to_tenant}", reverse("tenant", args=[row.uuid])) if row is not None else ("", "")
    if field == "sectors":
        return "Sectors", f"{reverse('sectors')}?q={miner.address}"
    if field in ("window", "prover"):
        return "Hosts", reverse("hosts")
    return "", ""


def plan_facts(wish: TransferRequest, plan: TransferPlan) -> tuple[Fact, ...]:
    """List what changes and what stays."""
    return tuple(_facts(wish, plan))


def _facts(wish: TransferRequest, plan: TransferPlan) -> Iterable[Fact]:
    from_tenant, to_tenant = wish.miner.tenant.name, wish.to_tenant.name
    yield Fact("Tenant", f"{to_tenant}, until now {from_tenant}, which no longer sees it")
    yield Fact(
        "Goes along",
        f"{plural(plan.sectors, 'sector')}, {plural(plan.deadlines, 'deadline')} with sectors, all settings",
    )
    yield Fact("Stays", f"what {from_tenant} pushed, what that cost, and the audit log")
    if plan.messages:
        waiting = plural(plan.messages, "message")
        which = "which lands as" if plan.messages == 1 else "which land as"
        yield Fact(
            "On the way", f"{waiting} to it, {which} {from_tenant}'s: leave its signer connected until then"
        )
    yield Fact("From now on", f"{to_tenant} signs and pays what the miner sends; its hosts prove and seal")
    shown = ", ".join(formatting.shortened(address) for address in plan.senders)
    yield Fact(
        "Keys", f"{from_tenant} keeps its right to {shown}: take it on its page if nothing else needs it"
    )
    if plan.tokens_revoked:
        yield Fact("Tokens revoked", f"{', '.join(plan.tokens_revoked)}: for this miner alone")
    if plan.tokens_kept:
        yield Fact("Tokens that lose it", f"{', '.join(plan.tokens_kept)}: for other miners still")


def came_text(last: MinerTransfer | None) -> str:
    """Return when a miner came to its tenant, and from whom, for the operator."""
    return (
        "" if last is None else f"Transferred from {last.from_tenant.name} on {last.at:%Y-%m-%d %H:%M} UTC."
    )
