"""How much a tenant may ask for: leaky buckets in Redis, after the rules of its rows.

A bucket holds `capacity` requests and empties in `reset_ns`; every matching rule counts a request.
Without Redis nobody is refused, as in sophon-auth.  Source: ipfs-force-community/metrics ratelimit.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client
from apps.users.models import RateLimit

if TYPE_CHECKING:
    from apps.users.models import Tenant
    from apps.users.principals import Principal

log = structlog.get_logger(__name__)

RULES_CACHED_S: Final = 1.0
"""How long a process remembers a tenant's rules: a change counts within this time."""

TAKE: Final = """
local now = redis.call('TIME')
local at = now[1] * 1000000 + now[2]
local each, span = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or 0)
if full < at then full = at end
if full + each - at > span + 1 then return {0, full - at} end
redis.call('SET', KEYS[1], string.format('%.0f', full + each), 'PX', math.ceil((full + each - at) / 1000) + 1)
return {1, full + each - at}
"""
"""One request into one bucket, in microseconds: gives whether it had room, and when it will be empty."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row, as processes remember it."""

    key: str
    service: str
    api: str
    capacity: int
    reset_us: int

    @property
    def each_us(self) -> int:
        """What one request puts into the bucket."""
        return max(self.reset_us // max(self.capacity, 1), 1)

    def counts(self, service: str, api: str) -> bool:
        """Return whether a request falls under this rule."""
        return self.service in ("", service) and self.api in ("", api)


@dataclass(frozen=True, slots=True)
class Usage:
    """The tightest bucket after a request."""

    is_over: bool
    capacity: int
    used: int
    reset_s: float
    """When the bucket is empty again."""
    retry_s: float
    """When there is room for one more request; 0 if there is now."""

    @property
    def left(self) -> int:
        """Requests that still fit."""
        return max(self.capacity - self.used, 0)

    def headers(self) -> dict[str, str]:
        """Return the answer's headers.  Source: draft-ietf-httpapi-ratelimit-headers."""
        found = {
            "RateLimit-Limit": str(self.capacity),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(int(self.reset_s) + 1),
        }
        return {**found, "Retry-After": str(int(self.retry_s) + 1)} if self.is_over else found

    def refusal_text(self, *, user: str, host: str, method: str) -> str:
        """Return the refusal of a call above the limit, in the Go services' words."""
        return (
            f"rate-limit,user:{user}, host:{host}, method:{method} is limited, "
            f"cap={self.capacity}, used={self.used},will reset in {self.reset_s / 60:.2f}(m)"
        )


@dataclass(frozen=True, slots=True)
class RateUsed:
    """A rule and how full its bucket is."""

    row: RateLimit
    usage: Usage | None
    """None if it limits nothing, or is not known now."""


def rule_of(row: RateLimit) -> Rule:
    """Read a row."""
    return Rule(str(row.uuid), row.service, row.api, row.capacity, row.reset_ns // 1000)


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


def rate_limit_consume(principal: Principal, *, service: str, api: str) -> Usage | None:
    """Count one request; None if no rule counts it, or Redis is away.  The pool itself has no limits."""
    if principal.tenant_id is None:
        return None
    rules = [rule for rule in RULES.of(principal.tenant_id) if rule.counts(service, api)]
    if not rules:
        return None
    try:
        usages = [bucket_take(rule) for rule in rules]
    except RedisError as error:
        log.warning("rate_limit_not_counted", reason=str(error))
        return None
    return min(usages, key=lambda usage: (not usage.is_over, usage.left))


def bucket_take(rule: Rule) -> Usage:
    """Put one request into a bucket.  Raises RedisError."""
    each_us = rule.each_us
    answer = redis_client().register_script(TAKE)(
        keys=[f"limit:{rule.key}"], args=[each_us, each_us * rule.capacity]
    )
    has_room, full_us = bool(answer[0]), int(answer[1])
    return usage_of(rule, full_us=full_us, is_over=not has_room)


def usage_of(rule: Rule, *, full_us: int, is_over: bool) -> Usage:
    """Return how full a bucket is that will be empty after `full_us`."""
    return Usage(
        is_over=is_over,
        capacity=rule.capacity,
        used=min(-(-full_us // rule.each_us), rule.capacity),
        reset_s=full_us / 1e6,
        retry_s=max(full_us + rule.each_us - rule.each_us * rule.capacity, 0) / 1e6 if is_over else 0.0,
    )


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
