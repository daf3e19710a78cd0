"""What a provider's connection to the hub is for."""

from __future__ import annotations

from django.db import models


class Purpose(models.TextChoices):
    """What a miner's channel is asked for."""

    PROOF = "proof", "Proofs"
    MARKET = "market", "Unsealed pieces"
