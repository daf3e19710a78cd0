"""Terminations and extensions of proving sectors."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.fields import AttoFilField
from apps.core.models import Named, Timestamped
from apps.core.reason_fields import CodedField, ReasonTextField, WithReasons
from apps.sectors.models.batches import Batch
from apps.sectors.models.sectors import Sector
from poolsite.wire.pipeline.changes import (
    CHANGE_NEXT,
    CHANGE_TRANSITIONS,
    OPEN_CHANGES,
    ChangeKind,
    ChangeState,
)

CHANGE_KINDS = [(str(kind), str(kind)) for kind in ChangeKind]
CHANGE_STATES = [(str(state), str(state)) for state in ChangeState]


class SectorChange(WithReasons, Named, Timestamped):
    """A proving sector is to end before its time, or to live longer: asked for once, sent in one message."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = CHANGE_TRANSITIONS

    sector = models.ForeignKey(Sector, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=16, choices=CHANGE_KINDS)
    state = models.CharField(max_length=24, choices=CHANGE_STATES)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.PROTECT, related_name="changes")
    """The last that it was in; None until it was sent."""
    expiration = models.BigIntegerField(null=True)
    """Of an extension: the epoch at which the sector is to end."""
    old_expiration = models.BigIntegerField(null=True)
    """When it would have ended, as the chain said when it was asked for."""
    drops_claims = models.BooleanField(default=False)
    """Whether claims that cannot last as long are given up."""
    fee = AttoFilField(default=0)
    """Of a termination: the chain's fee, as it was shown when it was asked for."""
    queued_height = models.BigIntegerField()
    actor = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    exit_code = models.IntegerField(null=True)
    """The actor's, where it failed on chain or in a trial."""
    error = ReasonTextField(blank=True)
    error_coded = CodedField()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["sector"],
                name="one_open_change_per_sector",
                condition=models.Q(state__in=list(OPEN_CHANGES)),
            )
        ]
        indexes = [
            models.Index(
                fields=["state"],
                name="changes_queued",
                condition=models.Q(state__in=["TERMINATE_QUEUED", "EXTEND_QUEUED"]),
            ),
            models.Index(
                fields=["updated_at"],
                name="changes_failed",
                condition=models.Q(state__in=["TERMINATE_FAILED", "EXTEND_FAILED"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind.lower()} of {self.sector}"

    @property
    def stage(self) -> str:
        """Return what is done next, upper case."""
        return str(CHANGE_NEXT[self.state].stage)
