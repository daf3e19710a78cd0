"""Counting a tenant's requests: leaky buckets in Redis, after the rules of its rows.

Every matching rule counts a request.  Without Redis nobody is refused, as in sophon-auth.
Source: ipfs-force-community/metrics ratelimit.
"""

from __future__ import annotations

from typing import Final

import structlog
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client
from apps.users.rules.principals import Principal
from apps.users.rules.rate_limits import Rule, Usage, usage_of
from apps.users.selectors.rate_limits import RULES
from poolsite.network_addresses import source_of

log = structlog.get_logger(__name__)

PER_MINUTE: Final = 60
"""Requests of one address to what anybody may ask, without a token or a session."""
TAKE: Final = """
local now = redis.call('TIME')
local at = now[1] * 1000000 + now[2]
local each, span = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or 0)
if full < at or full - at > span + 1 then full = at end
if full + each - at > span + 1 then return {0, full - at} end
redis.call('SET', KEYS[1], string.format('%.0f', full + each), 'PX', math.ceil((full + each - at) / 1000) + 1)
return {1, full + each - at}
"""
"""One request into one bucket, in microseconds: gives whether it had room, and when it will be empty.

One that is fuller than a bucket can be is empty: the clock was set back, or the limit lowered."""


def rate_limit_count(principal: Principal, *, service: str, api: str) -> Usage | None:
    """Count one request; None if no rule counts it, or Redis is away.  The pool itself has no limits."""
    if principal.tenant_id is None:
        return None
    rules = [rule for rule in RULES.of(principal.tenant_id) if rule.counts(service, api)]
    if not rules:
        return None
    try:
        usages = [bucket_fill(rule) for rule in rules]
    except RedisError as error:
        log.warning("rate_limit_not_counted", reason=str(error))
        return None
    return min(usages, key=lambda usage: (not usage.is_over, usage.left))


def address_request_count(
    what: str, *, address: str, capacity: int = 0, reset_us: int = 60_000_000
) -> Usage | None:
    """Count one request of a network address to what anybody may ask; None if Redis is away.

    An IPv6 network of 64 bits is one.  `capacity`: so many in `reset_us` microseconds; 0: `PER_MINUTE`.
    """
    try:
        return bucket_fill(
            Rule(f"{what}:{source_of(address)}", "", "", capacity=capacity or PER_MINUTE, reset_us=reset_us)
        )
    except (RedisError, OSError):
        return None


def bucket_fill(rule: Rule) -> Usage:
    """Put one request into a bucket.  Raises RedisError."""
    each_us = rule.each_us
    answer = redis_client().register_script(TAKE)(
        keys=[f"limit:{rule.key}"], args=[each_us, each_us * rule.capacity]
    )
    has_room, full_us = bool(answer[0]), int(answer[1])
    return usage_of(rule, full_us=full_us, is_over=not has_room)
