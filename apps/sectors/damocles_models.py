"""Sectors that damocles-workers seal: what the pool's own hosts tell with each report, and they do not."""

from __future__ import annotations

from django.db import models

from apps.core.models import Timestamped


class DamoclesSector(Timestamped):
    """What a damocles-worker was told and has told of a sector that it seals."""

    sector = models.OneToOneField("sectors.Sector", on_delete=models.CASCADE, related_name="damocles")
    begun_at = models.DateTimeField(null=True)
    """When its worker first named it; None: it was allocated, and nobody may have heard the answer."""
    named_at = models.DateTimeField(null=True)
    """When its worker last named it, in any call."""
    location = models.CharField(max_length=500, blank=True)
    """The sealing thread's folder."""
    step = models.CharField(max_length=40, blank=True)
    """damocles-worker's own state, as PC1Done."""
    is_failed_there = models.BooleanField(default=False)
    """Its thread waits for somebody; the sector is paused until the worker goes on."""
    deals_at = models.DateTimeField(null=True)
    """When its worker was first told its pieces, or that it has none."""
    seed_epoch = models.BigIntegerField(null=True)
    """Of the seed that the worker was given last."""
    reserved_store = models.CharField(max_length=110, blank=True)
    reserved_bytes = models.BigIntegerField(default=0)
    """What is kept free in that store until the files are there."""
    look = models.ForeignKey("sectors.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    """The job by which a prover looks at the files in the store that the worker named."""
    looked_at = models.DateTimeField(null=True)
    """When they were found whole there; None: nobody has seen them yet."""
    finished_at = models.DateTimeField(null=True)
    """When the worker was done with it; it may have wiped its folder since."""

    class Meta:
        indexes = [
            models.Index(
                fields=["reserved_store"],
                name="damocles_reserved",
                condition=~models.Q(reserved_store=""),
            )
        ]

    def __str__(self) -> str:
        return f"{self.sector} at {self.location or 'a damocles-worker'}"
