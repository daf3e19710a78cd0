"""Tenants of the pool, and how much each may ask for.

Source: ipfs-force-community/sophon-auth storage/store.go for what its clients see of these rows.
"""

from __future__ import annotations

import uuid
from typing import Final

from django.db import models
from django.utils import timezone

NAME_MAX: Final = 50
"""Characters of a tenant's name."""


class Tenant(models.Model):
    """An account of the pool: owns miners, signers, people, tokens and messages."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    name = models.CharField(max_length=NAME_MAX, unique=True)
    """The `name` claim of the tenant's tokens and the account that signers serve."""
    comment = models.CharField(max_length=255, blank=True)
    enabled = models.BooleanField(default=True)
    """A disabled tenant's people and tokens are refused everywhere; its rows stay."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Return whether its people and tokens are let in."""
        return self.enabled and self.deleted_at is None


class RateLimit(models.Model):
    """How much of a service a tenant may use: a bucket of `capacity` requests that empties in `reset_ns`.

    Source: ipfs-force-community/sophon-auth storage/store.go UserRateLimit.
    """

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="rate_limits")
    service = models.CharField(max_length=50, blank=True)
    """Prefix of a method's name, as `Gateway`, or `rest`; empty: every service."""
    api = models.CharField(max_length=50, blank=True)
    """A method's name without its prefix, or a route's; empty: all of them together."""
    capacity = models.BigIntegerField()
    """Requests; 0 sets no limit."""
    reset_ns = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.tenant.name}: {self.capacity} per {self.reset_ns / 10**9:g} s"
