"""A tenant as the pages show it, with what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.dashboard import numbers
from apps.dashboard.words import Word
from poolsite.filecoin.address import id_address

if TYPE_CHECKING:
    from apps.users.limits import RateUsed
    from apps.users.models import MinerGrant, SignerGrant, Tenant


@dataclass(frozen=True, slots=True)
class TenantLine:
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
class GrantLine:
    """A miner or an address that a tenant has."""

    key: str
    shown: str
    word: str
    since: str


@dataclass(frozen=True, slots=True)
class RateLine:
    """How much of a service a tenant may use, and how much of that it did."""

    key: str
    what: str
    rate: str
    left: str
    pct: int
    tone: str
    empty_in: str


def tenant_word(tenant: Tenant) -> Word:
    """Say in words whether a tenant is let in."""
    return Word("ok", "enabled") if tenant.enabled else Word("idle", "disabled", "off")


def tenant_line(row: Any) -> TenantLine:
    """Lay out one tenant of `tenants_listed`."""
    word = tenant_word(row)
    return TenantLine(
        key=str(row.uuid),
        name=row.name,
        comment=row.comment,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        miners=numbers.whole(row.miners_count),
        signers=numbers.whole(row.signers_count),
        people=numbers.whole(row.people_count),
        rates=numbers.whole(row.rates_count) if row.rates_count else "no limit",
        since=str(numbers.moment(row.created_at)),
    )


def miner_line(row: MinerGrant) -> GrantLine:
    """Lay out one miner."""
    address = str(id_address(row.actor_id))
    word = "makes blocks" if row.open_mining else "makes no blocks"
    return GrantLine(address, address, word, str(numbers.moment(row.created_at)))


def signer_line(row: SignerGrant) -> GrantLine:
    """Lay out one address."""
    return GrantLine(row.address, row.address, "", str(numbers.moment(row.created_at)))


def span_words(seconds: float) -> str:
    """`1 s`, `1 min`, `24 h`."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} s"


def rate_line(used: RateUsed) -> RateLine:
    """Lay out one rate."""
    row, usage = used.row, used.usage
    named = f"{row.service or 'every service'}: {row.api}" if row.api else row.service
    rate = f"{numbers.whole(row.capacity)} in {span_words(row.reset_ns / 10**9)}"
    return RateLine(
        key=str(row.uuid),
        what=named or "everything",
        rate=rate if row.capacity else "no limit",
        left=f"{numbers.whole(usage.left)} left" if usage is not None else numbers.NOTHING,
        pct=round(100 * usage.used / usage.capacity) if usage is not None else 0,
        tone="bad" if usage is not None and usage.is_over else "run",
        empty_in=numbers.time_left(usage.reset_s) if usage is not None and usage.used else "",
    )
