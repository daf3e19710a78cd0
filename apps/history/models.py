"""The measured figures of one thing in one hour, or one UTC day."""

from __future__ import annotations

from django.db import models

from apps.history.states import Kind


class Reading(models.Model):
    """The figures of one thing in one hour or day: a row of fixed size, however often it was measured."""

    kind = models.CharField(max_length=8, choices=[(str(kind), str(kind)) for kind in Kind])
    subject = models.BigIntegerField()
    """Key of what was measured, in the table of its kind; 0 for GAS."""
    step = models.DurationField()
    """HOUR or DAY."""
    at = models.DateTimeField()
    """When the hour or the UTC day begins."""
    slot = models.DateTimeField()
    """The newest slot that is in it: one that is taken twice counts once."""
    figures = models.JSONField()
    """By metric `[count, sum, lowest, highest, newest]`; what was not known in it is absent."""

    class Meta:
        ordering = ["at"]
        indexes = [models.Index(fields=["at"], name="readings_by_age")]
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject", "step", "at"], name="one_reading_per_step")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} at {self.at}"
