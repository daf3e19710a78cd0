"""How full the bucket of a rate limit is, and what a refused caller is told.

A bucket holds `capacity` requests and empties in `reset_ns`.
Source: ipfs-force-community/metrics ratelimit.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.users.models import RateLimit


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
        """Return what one request puts into the bucket."""
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


def rule_of(row: RateLimit) -> Rule:
    """Read a row."""
    return Rule(str(row.uuid), row.service, row.api, row.capacity, row.reset_ns // 1000)


def usage_of(rule: Rule, *, full_us: int, is_over: bool) -> Usage:
    """Return how full a bucket is that will be empty after `full_us`."""
    return Usage(
        is_over=is_over,
        capacity=rule.capacity,
        used=min(-(-full_us // rule.each_us), rule.capacity),
        reset_s=full_us / 1e6,
        retry_s=max(full_us + rule.each_us - rule.each_us * rule.capacity, 0) / 1e6 if is_over else 0.0,
    )
