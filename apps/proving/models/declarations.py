"""Sectors of one partition that are declared recovered or faulty before a cut-off."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.miners.models import Miner
from apps.proving.states import DECLARATION_TRANSITIONS, RECOVERY_TRANSITIONS, DeclarationState, RecoveryState
from apps.sectors.models import Job


class Recovery(WithReasons, Named, Timestamped):
    """Faulty sectors of one partition that are to be declared good before the next cut-off."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = RECOVERY_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="recoveries")
    deadline_index = models.IntegerField()
    partition_index = models.IntegerField()
    open_epoch = models.BigIntegerField()
    """Of the window in which the sectors are to be proved again."""
    cutoff_epoch = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=RecoveryState.choices, default=RecoveryState.CHECKING)
    sectors = models.JSONField(default=list)
    good = models.JSONField(default=list)
    randomness = models.BinaryField()
    job = models.OneToOneField(Job, null=True, on_delete=models.SET_NULL, related_name="recovery")
    message_id = models.CharField(max_length=200, blank=True)
    messages_sent = models.IntegerField(default=0)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "recoveries"
        indexes = [
            models.Index(
                fields=["miner"],
                name="recoveries_open",
                condition=models.Q(state__in=["CHECKING", "GOOD", "SENT", "LANDED"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.deadline_index} partition {self.partition_index}"


class FaultDeclaration(WithReasons, Named, Timestamped):
    """Sectors of one partition that are declared faulty before the cut-off, since their files are bad."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = DECLARATION_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="fault_declarations")
    deadline_index = models.IntegerField()
    partition_index = models.IntegerField()
    open_epoch = models.BigIntegerField()
    """Of the window that goes without these sectors."""
    cutoff_epoch = models.BigIntegerField()
    state = models.CharField(
        max_length=16, choices=DeclarationState.choices, default=DeclarationState.DECIDED
    )
    sectors = models.JSONField(default=list)
    message_id = models.CharField(max_length=200, blank=True)
    messages_sent = models.IntegerField(default=0)
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["miner"],
                name="declarations_open",
                condition=models.Q(state__in=["DECIDED", "SENT", "LANDED"]),
            ),
            models.Index(fields=["miner", "deadline_index", "open_epoch"], name="declarations_of_a_window"),
        ]

    def __str__(self) -> str:
        return f"{self.miner} deadline {self.deadline_index} partition {self.partition_index}"
