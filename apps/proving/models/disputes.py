"""Disputes of our proofs that the chain has executed."""

from __future__ import annotations

from django.db import models

from apps.core.fields import AddressField, CidField
from apps.miners.models import Miner


class Dispute(models.Model):
    """Somebody's DisputeWindowedPoSt against one of our proofs."""

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="disputes")
    deadline_index = models.IntegerField()
    post_index = models.IntegerField()
    """Of the proof among those of the deadline that can be disputed."""
    from_addr = AddressField()
    cid = CidField(unique=True)
    """Of the message."""
    height = models.BigIntegerField()
    """Of the head that executed it."""
    exit_code = models.IntegerField()
    """0: the proof was wrong; its sectors are faulty, and the miner has paid."""
    found_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-height", "-pk"]
        indexes = [models.Index(fields=["miner", "-height"], name="disputes_of_a_miner")]

    def __str__(self) -> str:
        return f"dispute of {self.miner} deadline {self.deadline_index} at {self.height}"


class DisputesRead(models.Model):
    """How far the chain was read for disputes: one row."""

    height = models.BigIntegerField()

    def __str__(self) -> str:
        return f"read to {self.height}"
