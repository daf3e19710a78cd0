"""What of proving is set for the whole pool or one miner."""

from __future__ import annotations

from django.db import models

from apps.core.models import Timestamped
from apps.miners.models import Miner


class ProvingSettings(Timestamped):
    """The pace of checks and the sizes of declarations; None: as the level above has it."""

    miner = models.ForeignKey(Miner, null=True, on_delete=models.CASCADE, related_name="+")
    """None: the whole pool's."""
    check_per_s = models.IntegerField(null=True)
    declare_max = models.IntegerField(null=True)
    recover_max = models.IntegerField(null=True)
    declaration_max = models.IntegerField(null=True)

    class Meta:
        verbose_name_plural = "proving settings"
        constraints = [
            models.UniqueConstraint(
                fields=["miner"], name="one_proving_settings_per_miner", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"proving settings of {self.miner or 'the pool'}"
