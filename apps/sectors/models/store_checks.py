"""Checks of sectors' files in stores, and what was found of each sector in each store."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.sectors.models.hosts import Worker
from apps.sectors.models.stores import Store
from apps.sectors.states import STORE_CHECK_TRANSITIONS, CopyCondition, StoreCheckState


class StoreCheck(WithReasons, Named, Timestamped):
    """A check of the files of all sectors in a store, or of one: its host reads them one after the other."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = STORE_CHECK_TRANSITIONS

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="checks", db_index=False)
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="+", db_index=False)
    sector = models.ForeignKey("sectors.Sector", null=True, on_delete=models.CASCADE, related_name="+")
    """None: all of the store."""
    state = models.CharField(max_length=16, choices=StoreCheckState.choices, default=StoreCheckState.RUNNING)
    bytes_s = models.BigIntegerField()
    """Most bytes that the host reads in a second."""
    total = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)
    bad = models.BigIntegerField(default=0)
    unread = models.BigIntegerField(default=0)
    """Of the done ones, those that the host could not read."""
    read_bytes = models.BigIntegerField(default=0)
    queue = models.JSONField(default=list)
    """Rows of the sectors that come next, each with how often it was tried."""
    after = models.BigIntegerField(default=0)
    """Row of the sector that was put into the queue last."""
    waits_until = models.DateTimeField(null=True)
    """Until when nothing more is ordered: a sector could not be read."""
    actor = models.CharField(max_length=200)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["store"], name="one_check_per_store", condition=models.Q(state="RUNNING", sector=None)
            )
        ]
        indexes = [
            models.Index(fields=["worker"], name="store_checks_open", condition=models.Q(state="RUNNING")),
            models.Index(fields=["store", "-id"], name="checks_of_a_store"),
        ]

    def __str__(self) -> str:
        return f"check of {self.store}"


class SectorCopy(WithReasons):
    """A sector's files in a store, as they were found last."""

    sector = models.ForeignKey("sectors.Sector", on_delete=models.CASCADE, related_name="copies")
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="copies", db_index=False)
    condition = models.CharField(max_length=16, choices=CopyCondition.choices)
    files = models.JSONField(default=list)
    """Those that are not as they should be, each a `poolsite.wire.store_checks.CheckedFile`."""
    file_count = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    reason = ReasonTextField(blank=True)
    """Why the host could not read it."""
    reason_coded = CodedField()
    found_at = models.DateTimeField()
    checked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["sector", "store"], name="one_copy_per_sector_and_store")
        ]
        indexes = [
            models.Index(fields=["store", "-id"], name="copies_of_a_store"),
            models.Index(
                fields=["store", "condition", "-id"],
                name="copies_not_good",
                condition=~models.Q(condition="GOOD"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sector} in {self.store}"
