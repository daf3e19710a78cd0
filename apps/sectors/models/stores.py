"""Stores of sectors: one row each by the identity in it, one for each host that has it attached."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonCharField, ReasonTextField, WithReasons
from apps.sectors.models.hosts import Worker
from apps.sectors.states import MOVE_TRANSITIONS, OPEN_MOVES, MoveState
from apps.users.models import Tenant
from poolsite.wire.stores import DISK_MAX, UNBOUNDED_BYTES, StoreCondition

CONDITIONS = [(str(one), str(one)) for one in StoreCondition]


class Store(Named, Timestamped):
    """A folder of sectors, wherever it is mounted; what hosts told of it last."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="stores")
    uid = models.CharField(max_length=100)
    """`ID` of its `sectorstore.json`."""
    name = models.CharField(max_length=110)
    """By which sectors' rows know it; the one of its `sectorstore.json` unless another store has that."""
    labels = models.JSONField(default=list)
    total_bytes = models.BigIntegerField(default=0)
    free_bytes = models.BigIntegerField(default=0)
    reserved_bytes = models.BigIntegerField(default=0)
    disk_bytes = models.BigIntegerField(default=0)
    disk_free_bytes = models.BigIntegerField(default=0)
    """Of the disk it lies on, less its reserve."""
    sectors = models.BigIntegerField(default=0)
    """Replicas that a host counted in it."""
    rules = models.JSONField(default=dict)
    """Of its `sectorstore.json`: weight, max_bytes, reserve_bytes, is_read_only, can_seal, can_store, …"""
    told_at = models.DateTimeField(null=True)
    """When a host last read it."""
    sampled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "uid"], name="one_store_per_uid"),
            models.UniqueConstraint(fields=["tenant", "name"], name="one_store_per_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_bounded(self) -> bool:
        """Return whether its size is known: a bucket without MaxStorage has none."""
        return self.total_bytes < UNBOUNDED_BYTES


class StoreAttachment(WithReasons, Timestamped):
    """A store where a host has it."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="attachments")
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="attachments")
    path = models.CharField(max_length=500)
    disk = models.CharField(max_length=DISK_MAX, blank=True)
    """Which disk of the host it lies on there; empty if that cannot be told."""
    condition = models.CharField(max_length=16, choices=CONDITIONS)
    reason = ReasonCharField(max_length=300, blank=True)
    reason_coded = CodedField()
    since = models.DateTimeField()
    """When it came into its condition."""
    by_console = models.BooleanField(default=False)

    class Meta:
        ordering = ["path", "pk"]
        constraints = [models.UniqueConstraint(fields=["worker", "path"], name="one_store_per_path")]

    def __str__(self) -> str:
        return f"{self.store} on {self.worker}"


class StoreEvent(WithReasons):
    """Something that happened to a store."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    event = models.CharField(max_length=24)
    """A condition, ATTACHED, DETACHED, CHANGED or FAILED."""
    actor = models.CharField(max_length=200, blank=True)
    """Host or person."""
    note = ReasonCharField(max_length=500, blank=True)
    note_coded = CodedField()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.event} of {self.store}"


class StoreSample(models.Model):
    """How much lay in a store, a few times an hour: the rate at which it fills."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField()
    used_bytes = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["store", "at"], name="samples_of_a_store")]

    def __str__(self) -> str:
        return f"{self.used_bytes} bytes in {self.store}"


class StoreMove(WithReasons, Named, Timestamped):
    """A sector on its way from one store to another; the sector's row says which copy counts."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = MOVE_TRANSITIONS

    sector = models.ForeignKey("sectors.Sector", on_delete=models.CASCADE, related_name="moves")
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="+", db_index=False)
    """The host that copies: it has both stores."""
    from_store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="moves_away")
    to_store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="moves_here")
    state = models.CharField(max_length=16, choices=MoveState.choices, default=MoveState.QUEUED)
    actor = models.CharField(max_length=200)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["sector"], name="one_open_move_per_sector", condition=models.Q(state__in=OPEN_MOVES)
            )
        ]
        indexes = [
            models.Index(fields=["worker"], name="moves_open", condition=models.Q(state__in=OPEN_MOVES)),
            models.Index(fields=["updated_at"], name="moves_failed", condition=models.Q(state="FAILED")),
        ]

    def __str__(self) -> str:
        return f"{self.sector} to {self.to_store}"
