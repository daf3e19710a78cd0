"""Batches in which sectors go to the chain."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.fields import AttoFilField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.miners.models import Miner
from apps.sectors.states import BATCH_TRANSITIONS, BatchKind, BatchState


class Batch(WithReasons, Named, Timestamped):
    """Sectors that go to the chain in one message, whose id is derived from this row's."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = BATCH_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.PROTECT, related_name="batches")
    kind = models.CharField(max_length=16, choices=BatchKind.choices)
    state = models.CharField(max_length=16, choices=BatchState.choices, default=BatchState.CLOSED)
    message_id = models.CharField(max_length=200, unique=True)
    closed_height = models.BigIntegerField()
    reason = models.CharField(max_length=100, blank=True)
    """Why it was closed: `full`, `timeout`, `single` or `deadline`."""
    sender = models.CharField(max_length=128)
    method = models.IntegerField()
    params = models.BinaryField()
    """Kept as they were made, so that pushing again after a crash pushes the same message."""
    value = AttoFilField(default=0)
    from_balance = AttoFilField(default=0)
    """Of deposits and pledge, what the miner's available balance pays; the message carries the rest."""
    is_aggregate = models.BooleanField(default=False)
    """Whether one proof stands for all of its commits."""
    gas_saved = models.BigIntegerField(default=0)
    """Gas of a trial with single proofs less that of the aggregate."""
    landed_height = models.BigIntegerField(null=True)
    exit_code = models.IntegerField(null=True)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["miner", "kind"],
                name="batches_open",
                condition=models.Q(state__in=["CLOSED", "SENT"]),
            ),
            models.Index(
                fields=["miner", "landed_height"],
                name="batches_landed",
                condition=models.Q(state="LANDED"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} batch {self.uuid}"
