"""Verified data of the miners, as the registry on the chain has them: allocations to claim, and claims."""

from __future__ import annotations

from django.db import models

from apps.core.fields import CidField
from apps.core.reason_fields import CodedField, ReasonCharField, WithReasons


class Allocation(models.Model):
    """Data that a client wants one of the pool's miners to store; it is gone once claimed or removed."""

    miner = models.ForeignKey("miners.Miner", on_delete=models.CASCADE, related_name="+")
    number = models.BigIntegerField(unique=True)
    """Its id in the verified registry."""
    client = models.BigIntegerField()
    """Actor id."""
    piece_cid = CidField()
    size = models.BigIntegerField()
    """Padded bytes, a power of two."""
    term_min = models.BigIntegerField()
    """Epochs that its sector must live at least, from the claim on."""
    term_max = models.BigIntegerField()
    """The same, at most."""
    expiration = models.BigIntegerField()
    """Last epoch at which it can be claimed."""
    seen_at = models.DateTimeField()
    """When it was read first."""

    class Meta:
        indexes = (
            models.Index(fields=["expiration", "id"], name="allocations_by_end"),
            models.Index(fields=["client"], name="allocations_by_client"),
        )

    def __str__(self) -> str:
        return f"allocation {self.number} of f0{self.client} for {self.miner}"


class AllocationsRead(WithReasons):
    """When the allocations were read from the chain, and how: one row."""

    due_at = models.DateTimeField()
    """Time of the next read."""
    all_due_at = models.DateTimeField()
    """Until then only known clients' are read: no node has listed those of all clients."""
    read_at = models.DateTimeField(null=True)
    """When they were last read; None: never."""
    height = models.BigIntegerField(null=True)
    """Height of the head at which they were last read."""
    is_of_all = models.BooleanField(default=False)
    """Whether the last read covered all clients."""
    clients = models.IntegerField(default=0)
    """How many clients' were read, where it was not all."""
    error = ReasonCharField(max_length=300, blank=True)
    """The reason why the last read failed; empty if it succeeded."""
    error_coded = CodedField()

    def __str__(self) -> str:
        return f"allocations read at {self.read_at}"


class VerifiedClaim(models.Model):
    """Data in a sector that its miner claimed under an allocation: until its end they count ten times."""

    miner = models.ForeignKey("miners.Miner", on_delete=models.CASCADE, related_name="+")
    number = models.BigIntegerField()
    """Its id in the registry, that of its allocation."""
    client = models.BigIntegerField()
    """Actor id."""
    sector_number = models.BigIntegerField()
    piece_cid = CidField()
    size = models.BigIntegerField()
    """Padded bytes."""
    term_start = models.BigIntegerField()
    """Epoch of the claim."""
    term_min = models.BigIntegerField()
    """Epochs since then for which the data must be kept at least."""
    end_epoch = models.BigIntegerField()
    """Until when they can count: its longest term has passed then."""

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["miner", "number"], name="one_claim_per_miner_and_id"),
        )
        indexes = (
            models.Index(fields=["end_epoch", "id"], name="claims_by_end"),
            models.Index(fields=["client"], name="claims_by_client"),
        )

    def __str__(self) -> str:
        return f"claim {self.number} of f0{self.client} in {self.miner} / {self.sector_number}"
