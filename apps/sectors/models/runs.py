"""Runs of the pipelines over proven sectors: snap-up and rebuild."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.fields import AttoFilField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from poolsite.wire.pipeline import RUN_FINAL, RUN_NEXT, RUN_STATES, RUN_TRANSITIONS, StageSpec

RUNS_OVER = sorted(str(state) for state in RUN_FINAL)


class PipelineRun(WithReasons, Named, Timestamped):
    """One run of a pipeline over a sector that the chain has; the sector's own state stays."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = RUN_TRANSITIONS

    sector = models.ForeignKey("sectors.Sector", on_delete=models.CASCADE, related_name="runs")
    job = models.OneToOneField("sectors.Job", on_delete=models.CASCADE, related_name="run")
    kind = models.CharField(max_length=16)
    """`poolsite.wire.jobs.JobKind`."""
    state = models.CharField(max_length=24, choices=[(state, state) for state in RUN_STATES])
    state_since = models.DateTimeField()
    actor = models.CharField(max_length=200)
    key = models.CharField(max_length=200, null=True)  # noqa: DJ001  # unique needs NULL
    """The caller's idempotency key."""

    pieces = models.JSONField(default=list)
    """Of a snap-up: what the sector is to hold, as in `Sector.pieces`."""
    old = models.JSONField(default=dict)
    """Of a snap-up that has landed: what a reorganisation gives the sector back."""
    comm_d = models.BinaryField(null=True)
    """Of the updated replica."""
    comm_r = models.BinaryField(null=True)
    proof = models.BinaryField(null=True)
    message_id = models.CharField(max_length=200, blank=True)
    from_balance = AttoFilField(null=True, default=0)
    """What of its pledge the miner's available balance pays; its message carries the rest.  None: not known,
    as its message was read back after a restore."""
    landed_height = models.BigIntegerField(null=True)
    ready_height = models.BigIntegerField(null=True)
    """The head at which its update began to wait for a message."""

    paused_at = models.DateTimeField(null=True)
    """Set while somebody has to decide; the state stays what it was."""
    error = ReasonTextField(blank=True)
    error_coded = CodedField()
    attempts = models.IntegerField(default=0)
    """Messages that did not do what they were for."""
    not_before = models.DateTimeField(null=True)
    """The console tries the present step again from then on."""

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["sector"], name="one_open_run_per_sector", condition=~models.Q(state__in=RUNS_OVER)
            ),
            models.UniqueConstraint(fields=["sector", "key"], name="one_run_per_key"),
        ]
        indexes = [
            models.Index(fields=["state"], name="runs_under_way", condition=~models.Q(state__in=RUNS_OVER))
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.sector}"

    @property
    def step(self) -> StageSpec:
        """Return what follows its state."""
        return RUN_NEXT[self.state]

    @property
    def is_open(self) -> bool:
        """Return whether anything is left to do."""
        return self.state not in RUN_FINAL
