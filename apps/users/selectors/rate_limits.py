"""Reading a tenant's rate limits, and how much of each is used."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client
from apps.users.models import RateLimit, Tenant
from apps.users.rules.rate_limits import Rule, Usage, rule_of, usage_of

RULES_CACHED_S: Final = 1.0
"""How long a process remembers a tenant's rules: a change counts within this time."""


@dataclass(frozen=True, slots=True)
class RateUsed:
    """A rule and how full its bucket is."""

    row: RateLimit
    usage: Usage | None
    """None if it limits nothing, or is not known now."""


class Rules:
    """A process' memory of rules; may be read from any thread."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, tuple[Rule, ...]]] = {}
        self._turn = threading.Lock()

    def of(self, tenant_id: int) -> tuple[Rule, ...]:
        """Return a tenant's rules, read again every `RULES_CACHED_S`."""
        until, rules = self._known.get(tenant_id, (0.0, ()))
        if time.monotonic() < until:
            return rules
        rows = RateLimit.objects.filter(tenant_id=tenant_id, capacity__gt=0)
        rules = tuple(rule_of(row) for row in rows)
        with self._turn:
            self._known[tenant_id] = (time.monotonic() + RULES_CACHED_S, rules)
        return rules

    def is_free(self, tenant_id: int, service: str, api: str) -> bool:
        """Return whether no rule counts a request, without a query; False if that is not known."""
        until, rules = self._known.get(tenant_id, (0.0, ()))
        return time.monotonic() < until and not any(rule.counts(service, api) for rule in rules)

    def clear(self) -> None:
        """Forget everything."""
        with self._turn:
            self._known.clear()


RULES: Final = Rules()
"""This process' memory.  (Module state: a lookup per request must not cost a query.)"""


def rates_used(tenant: Tenant) -> list[RateUsed]:
    """Return a tenant's rules with their buckets as they are now; looking counts as no request."""
    rows = list(RateLimit.objects.filter(tenant=tenant).order_by("service", "api", "created_at"))
    try:
        texts: Any = redis_client().mget([f"limit:{row.uuid}" for row in rows]) if rows else []
        seconds, micros = redis_client().time() if rows else (0, 0)
    except RedisError:
        return [RateUsed(row, None) for row in rows]
    found = []
    for row, text in zip(rows, texts, strict=True):
        full_us = max(int(float(text or 0)) - (seconds * 1_000_000 + micros), 0)
        rule = rule_of(row)
        is_over = bool(rule.capacity) and full_us + rule.each_us > rule.each_us * rule.capacity + 1
        usage = usage_of(rule, full_us=full_us, is_over=is_over) if rule.capacity else None
        found.append(RateUsed(row, usage))
    return found
