"""What damocles-workers have in hand: what the pool's own hosts tell with each report, and they do not."""

from __future__ import annotations

from typing import Any

from django.db import models

from apps.core.models import Timestamped


class DamoclesRecord(Timestamped):
    """What a thread of a damocles-worker was told and has told of the sector that it works on."""

    sector: Any
    """Its row: one of either kind here."""

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
    reserved_store = models.CharField(max_length=110, blank=True)
    reserved_bytes = models.BigIntegerField(default=0)
    """What is kept free in that store until the files are there."""
    files_check = models.ForeignKey("sectors.Job", null=True, on_delete=models.SET_NULL, related_name="+")
    """The job by which a prover looks at the files in the store that the worker named."""
    files_checked_at = models.DateTimeField(null=True)
    """When they were found whole there; None: nobody has seen them yet."""
    finished_at = models.DateTimeField(null=True)
    """When the worker was done with it; it may have wiped its folder since."""

    class Meta:
        abstract = True


class DamoclesSector(DamoclesRecord):
    """A sector that a damocles-worker seals."""

    sector = models.OneToOneField("sectors.Sector", on_delete=models.CASCADE, related_name="damocles")
    deals_at = models.DateTimeField(null=True)
    """When its worker was first told its pieces, or that it has none."""
    seed_epoch = models.BigIntegerField(null=True)
    """Of the seed that the worker was given last."""

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


class DamoclesJob(DamoclesRecord):
    """A job over a proven sector that a damocles-worker does: a snap-up, a rebuild or unsealing."""

    job = models.OneToOneField("sectors.Job", on_delete=models.CASCADE, related_name="damocles")
    sector = models.ForeignKey("sectors.Sector", on_delete=models.CASCADE, related_name="damocles_jobs")
    worker = models.ForeignKey("sectors.Worker", on_delete=models.PROTECT, related_name="damocles_jobs")
    """Who has it: by its address until it has told its name."""
    token = models.BigIntegerField()
    """Of its last lease; once another one was given the job is another host's."""
    store = models.CharField(max_length=110, blank=True)
    """Where the worker says that it has stored the files."""

    class Meta:
        indexes = [
            models.Index(
                fields=["reserved_store"],
                name="damocles_jobs_reserved",
                condition=~models.Q(reserved_store=""),
            )
        ]

    def __str__(self) -> str:
        return f"{self.job.kind} of {self.sector} at {self.location or 'a damocles-worker'}"
