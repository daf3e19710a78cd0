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


class ClaimsEnding(models.Model):
    """The verified claims of a miner that end soon, of sectors that still count: read from the chain."""

    miner = models.OneToOneField("miners.Miner", on_delete=models.CASCADE, related_name="+")
    count = models.IntegerField(default=0)
    size = models.BigIntegerField(default=0)
    """Bytes of verified data in them."""
    claim = models.BigIntegerField(null=True)
    """The id of the one that ends first."""
    sector_number = models.BigIntegerField(null=True)
    end_epoch = models.BigIntegerField(null=True)
    clients = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    """The largest clients, as lists of actor id, claims that have not ended, and their padded bytes."""
    due_at = models.DateTimeField()
    """When they are read again."""

    class Meta:
        indexes = (models.Index(fields=["end_epoch"], name="claims_ending", condition=models.Q(count__gt=0)),)

    def __str__(self) -> str:
        return f"{self.count} claims of {self.miner} that end soon"
