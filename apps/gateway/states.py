"""What a provider's connection to the hub is for."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Purpose(models.TextChoices):
    """What a miner's channel is asked for."""

    PROOF = "proof", _("Proofs")
    MARKET = "market", _("Unsealed pieces")
