"""Adoptions: sectors that the chain has and the pool no row for get one, and their files are looked for."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from apps.core.models import Named, Timestamped
from apps.miners.models import Miner
from apps.sectors.states import ADOPTION_TRANSITIONS, AdoptionState


class SectorAdoption(Named, Timestamped):
    """One request to adopt sectors of a miner, carried out portion by portion with the heads."""

    TRANSITIONS: ClassVar[dict[str, dict[str, str]]] = ADOPTION_TRANSITIONS

    miner = models.ForeignKey(Miner, on_delete=models.CASCADE, related_name="adoptions", db_index=False)
    state = models.CharField(max_length=16, choices=AdoptionState.choices, default=AdoptionState.ROWS)
    runs = models.JSONField(default=list)
    """The numbers as run lengths, the first of them without."""
    total = models.BigIntegerField()
    written = models.BigIntegerField(default=0)
    """Rows that it has written so far."""
    next_number = models.BigIntegerField(default=0)
    """The first number that it has not come to yet."""
    absent = models.BigIntegerField(default=0)
    """Sectors that ended on the chain, or got a row otherwise, before it came to them."""
    unplaced = models.BigIntegerField(default=0)
    """Sectors of the miner whose files no store is known to have."""
    scans = models.JSONField(default=dict)
    """Scans by the stores' UUIDs."""
    unread = models.JSONField(default=list)
    """Names of the stores that no host could read."""
    actor = models.CharField(max_length=200)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["miner"],
                name="one_open_adoption_per_miner",
                condition=models.Q(state__in=["ROWS", "FILES"]),
            )
        ]
        indexes = [
            models.Index(fields=["miner", "-id"], name="adoptions_of_a_miner"),
            models.Index(
                fields=["state"], name="adoptions_open", condition=models.Q(state__in=["ROWS", "FILES"])
            ),
        ]

    def __str__(self) -> str:
        return f"adoption of {self.total} sectors of {self.miner}"
