"""Hosts that work for a tenant: what they are, how they are set, what they were told."""

from __future__ import annotations

import uuid
from typing import Final

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.users.models import Tenant

DAMOCLES: Final = "damocles"
"""Kind of a damocles-worker: it seals by the JSON-RPC of damocles-manager and takes no other jobs."""
NAMELESS: Final = "damocles-at:"
"""How the uid of a damocles-worker begins that has not told its name yet."""


class Worker(WithReasons, Named, Timestamped):
    """A program on a host that does jobs; what lies on its disk belongs to its uid."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="workers")
    uid = models.CharField(max_length=100)
    boot_id = models.CharField(max_length=100)
    """New with each start; leases of an earlier start are over."""
    name = models.CharField(max_length=100)
    host = models.CharField(max_length=100, blank=True)
    version = models.CharField(max_length=100, blank=True)
    kinds = models.JSONField(default=list)
    slots = models.JSONField(default=dict)
    """Jobs of each stage at a time, as the host obeys them."""
    group = models.CharField(max_length=100, blank=True)
    """Of hosts that share settings."""
    settings = models.JSONField(default=dict)
    """Settings of this host that were set here; sent again when it registers with others."""
    stores = models.JSONField(default=list)
    """Names of the stores that it can read now."""
    hardware = models.JSONField(default=dict)
    registered_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    is_paused = models.BooleanField(default=False)
    is_draining = models.BooleanField(default=False)
    refuses_data = models.BooleanField(default=False)
    """A damocles-worker that went on with a sector of clients' data without asking for its pieces."""
    retire_asked_at = models.DateTimeField(null=True)
    """Since when it is to be retired, once it has nothing left to do."""
    retired_at = models.DateTimeField(null=True)
    last_error = ReasonTextField(blank=True)
    last_error_coded = CodedField()
    restarts = models.IntegerField(default=0)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "uid"], name="one_worker_per_uid")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_damocles(self) -> bool:
        """Return whether it is a damocles-worker, which goes by its own protocol."""
        return DAMOCLES in self.kinds


class SharedSettings(models.Model):
    """Settings that several hosts share: all of the pool, of a tenant, or of a tenant's group."""

    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.CASCADE, related_name="+")
    """None: the whole pool."""
    group = models.CharField(max_length=100, blank=True)
    values = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "group"], name="one_settings_per_group", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        whose = f"{self.group} of {self.tenant}" if self.group else self.tenant
        return f"settings of {whose or 'the pool'}"


class HostReport(models.Model):
    """What a host tells of itself now and then, and only its own page shows."""

    worker = models.OneToOneField(Worker, on_delete=models.CASCADE, related_name="report")
    settings = models.JSONField(default=list)
    """`poolsite.wire.host_settings.Setting` of each setting as it obeys them, encoded."""
    leftovers = models.JSONField(default=list)
    """`poolsite.wire.hosts.SealingLeftover` of what lies in its sealing folders without a job, encoded."""
    log = models.JSONField(default=list)
    """The newest lines of its log, as it told them last."""
    log_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"report of {self.worker}"


class HostInventory(models.Model):
    """What a sealing host had on its disk when it last registered."""

    worker = models.OneToOneField(Worker, on_delete=models.CASCADE, related_name="inventory")
    told_at = models.DateTimeField()
    sectors = models.JSONField(default=list)
    """`poolsite.wire.hosts.SectorOnHost` of each job in its journal, encoded."""
    stored = models.JSONField(default=list)
    """`poolsite.wire.hosts.StoredNumbers` of its store, encoded."""
    imported_at = models.DateTimeField(null=True)
    """When it was last compared with the rows, after a restore."""

    def __str__(self) -> str:
        return f"inventory of {self.worker}"


class WorkerCommand(WithReasons):
    """Something a host is to do; sent with the answers to its heartbeats until it says that it was done."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True)
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="commands")
    op = models.CharField(max_length=16)
    args = models.JSONField(default=dict)
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)
    error = ReasonTextField(blank=True)
    """Why it could not be done; empty: it was, or is to be."""
    error_coded = CodedField()

    class Meta:
        indexes = [
            models.Index(fields=["worker"], name="commands_open", condition=models.Q(done_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.op} for {self.worker}"
