"""Who is connected to the hub, and which keys were proved."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Value

from apps.core.fields import AddressField
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons
from apps.gateway.states import Purpose
from apps.users.models import Tenant


class ProviderConnection(WithReasons):
    """A socket on which somebody waits for requests; kept for a month after its end."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4)
    """The channel id that the provider was told."""
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    token = models.UUIDField(null=True)
    """The token that it came with."""
    source = models.CharField(max_length=64, blank=True)
    """`host:port` of the other side."""
    process = models.CharField(max_length=64)
    """The web process that holds it."""
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    """Last time its process said that it is still there."""
    closed_at = models.DateTimeField(null=True, blank=True)
    requests = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    in_flight = models.PositiveIntegerField(default=0)
    """Requests without an answer when its process last wrote."""
    p50_ms = models.FloatField(null=True, blank=True)
    """Median time of its last answers."""
    p99_ms = models.FloatField(null=True, blank=True)
    last_failure = ReasonCharField(max_length=200, blank=True)
    """Why a request brought nothing; a refusal in the words of the other side."""
    last_failure_coded = CodedField()
    failed_at = models.DateTimeField(null=True, blank=True)
    """When it was last written that a request had failed."""

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["process"], name="%(class)s_open", condition=models.Q(closed_at=None)),
            models.Index(fields=["seen_at"], name="%(class)s_seen"),
            models.Index(
                fields=["failed_at"], name="%(class)s_failed", condition=models.Q(failed_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant.name} from {self.source}"


class SignerConnection(ProviderConnection):
    """A wallet's event channel."""

    accounts = models.JSONField(default=list)
    """Names of the tenants that it serves, its own included."""
    policy_advice = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    """Proposed changes of its policy when that was last read: names of `poolsite.wire.proposals`."""
    policy_receivers = models.JSONField(null=True)
    """Receivers of its policy's rule for sealing when that was last read, none where it allows any; None if
    it was not read, or has no such rule."""


class ProverConnection(ProviderConnection):
    """An event channel of one miner: its prover's, or its market storage's."""

    actor_id = models.BigIntegerField()
    purpose = models.CharField(max_length=8, choices=Purpose.choices, default=Purpose.PROOF)


class SignerKey(models.Model):
    """A key that a tenant's signer has proved to hold."""

    address = AddressField()
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="signer_keys")
    """Whose signer holds it."""
    connection = models.ForeignKey(
        SignerConnection, null=True, on_delete=models.SET_NULL, related_name="signer_keys"
    )
    """The connection that proved it last, or another that holds it since that one ended or gave it up."""
    label = models.CharField(max_length=60, blank=True, default="", db_default="")
    """The key's label at its signer; may be empty."""
    verified_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["address", "tenant"], name="one_signer_key_per_address_and_tenant"
            )
        ]

    def __str__(self) -> str:
        return str(self.address)


class ReverseAddress(models.Model):
    """Where a service is that is reached through our address (`Gateway.RegisterReverse`)."""

    host_key = models.CharField(primary_key=True, max_length=16)
    url = models.TextField()
    """Without a path."""

    def __str__(self) -> str:
        return f"{self.host_key} at {self.url}"
