"""Scans of stores, and what they found there that the pool's rows do not say, or say and is not there."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.sectors.models.hosts import Worker
from apps.sectors.models.stores import Store
from apps.sectors.states import (
    FINDING_TRANSITIONS,
    SCAN_TRANSITIONS,
    FindingKind,
    FindingState,
    ScanState,
)


class StoreScan(WithReasons, Named, Timestamped):
    """A look at all that lies in a store, by a host that has it."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = SCAN_TRANSITIONS

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="scans", db_index=False)
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=16, choices=ScanState.choices, default=ScanState.RUNNING)
    known = models.BigIntegerField(default=0)
    """Whole sectors whose rows name the store."""
    counts = models.JSONField(default=dict)
    """How many of each `FindingKind`."""
    report = models.JSONField(null=True)
    """What its host found, until the next head compares it with the rows."""
    redeclares = models.BooleanField(default=False)
    """Whether rows follow what it found, without anybody asking for each."""
    drops_missing = models.BooleanField(default=False)
    """Whether rows of sectors that it did not find name this store no more."""
    settled_at = models.DateTimeField(null=True)
    """Since when nothing of a redeclaration is left to do."""
    actor = models.CharField(max_length=200)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["store"], name="one_scan_per_store", condition=models.Q(state="RUNNING")
            )
        ]
        indexes = [
            models.Index(fields=["store", "-id"], name="scans_of_a_store"),
            models.Index(
                fields=["state"],
                name="scans_to_settle",
                condition=models.Q(redeclares=True, settled_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"scan of {self.store}"


class StoreFinding(WithReasons, Named, Timestamped):
    """Something that the last scan of a store found and no row says, or did not find though a row says it."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = FINDING_TRANSITIONS

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="findings", db_index=False)
    sector = models.ForeignKey("sectors.Sector", null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=FindingKind.choices)
    state = models.CharField(max_length=16, choices=FindingState.choices, default=FindingState.FOUND)
    name = models.CharField(max_length=300)
    """As `s-t01000-7`; of what is no sector's, the path below the store's root."""
    miner_id = models.BigIntegerField(null=True)
    number = models.BigIntegerField(null=True)
    size = models.BigIntegerField(default=0)
    """Bytes: of whole sectors those of the replica."""
    kinds = models.CharField(max_length=100, blank=True, default="", db_default="")
    """Of incomplete sectors: the folders of the store with files of it, as `cache unsealed`."""
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["store", "name"], name="one_finding_per_name"),
        ]
        indexes = [models.Index(fields=["store", "kind", "id"], name="findings_of_a_store")]

    def __str__(self) -> str:
        return f"{self.name} in {self.store}"
