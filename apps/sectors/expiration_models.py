"""When a miner's sectors end, counted every now and then: its pages read no sector for that."""

from __future__ import annotations

from django.db import models


class Expirations(models.Model):
    """How many proving sectors of a miner end in each stretch of `EPOCHS_OF_COUNT` epochs."""

    miner = models.OneToOneField("miners.Miner", on_delete=models.CASCADE, related_name="+")
    counts = models.JSONField()
    """Lists of four: the stretch's number, its sectors, their raw bytes, their pledge in attoFIL as text."""
    counted_at = models.DateTimeField()
    took_ms = models.IntegerField()

    def __str__(self) -> str:
        return f"expirations of {self.miner}"
