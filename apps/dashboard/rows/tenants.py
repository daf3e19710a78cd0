"""A tenant as the pages show it, with what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from apps.users.limits import RateUsed
    from apps.users.models import MinerGrant, SignerGrant, Tenant


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One tenant in the list."""

    key: str
    name: str
    comment: str
    tone: str
    word: str
    icon: str
    miners: str
    signers: str
    people: str
    rates: str
    since: str


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A miner or an address that a tenant has."""

    key: str
    shown: str
    word: str
    since: str


@dataclass(frozen=True, slots=True)
class RateRow:
    """How much of a service a tenant may use, and how much of that it did."""

    key: str
    what: str
    rate: str
    left: str
    pct: int
    tone: str
    empty_in: str


def tenant_label(tenant: Tenant) -> StateLabel:
    """Return in words whether a tenant is let in."""
    return StateLabel("ok", "enabled") if tenant.enabled else StateLabel("idle", "disabled", "off")


def tenant_row(row: Any) -> TenantRow:
    """Lay out one tenant of `tenants_listed`."""
    word = tenant_label(row)
    return TenantRow(
        key=str(row.uuid),
        name=row.name,
        comment=row.comment,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        miners=formatting.whole(row.miners_count),
        signers=formatting.whole(row.signers_count),
        people=formatting.whole(row.people_count),
        rates=formatting.whole(row.rates_count) if row.rates_count else "no limit",
        since=str(time_html(row.created_at)),
    )


def miner_row(row: MinerGrant) -> GrantRow:
    """Lay out one miner."""
    address = str(id_address(row.actor_id))
    word = "makes blocks" if row.open_mining else "makes no blocks"
    return GrantRow(address, address, word, str(time_html(row.created_at)))


def signer_row(row: SignerGrant) -> GrantRow:
    """Lay out one address."""
    return GrantRow(row.address, row.address, "", str(time_html(row.created_at)))


def span_text(seconds: float) -> str:
    """`1 s`, `1 min`, `24 h`."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"


def rate_row(used: RateUsed) -> RateRow:
    """Lay out one rate."""
    row, usage = used.row, used.usage
    named = f"{row.service or 'every service'}: {row.api}" if row.api else row.service
    rate = f"{formatting.whole(row.capacity)} in {span_text(row.reset_ns / 10**9)}"
    return RateRow(
        key=str(row.uuid),
        what=named or "everything",
        rate=rate if row.capacity else "no limit",
        left=f"{formatting.whole(usage.left)} left" if usage is not None else formatting.NOTHING,
        pct=round(100 * usage.used / usage.capacity) if usage is not None else 0,
        tone="bad" if usage is not None and usage.is_over else "run",
        empty_in=formatting.time_left(usage.reset_s) if usage is not None and usage.used else "",
    )
