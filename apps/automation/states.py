"""Kinds of automatic rules."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RuleKind(models.TextChoices):
    """What a rule does."""

    TOP_UP = "top_up", _("Top up")
    """Send to an address, or pay into a market balance, once it has less than the low mark."""
    SWEEP = "sweep", _("Sweep")
    """Send from a wallet, or withdraw from a miner, what is above a mark."""
    EXTEND = "extend", _("Extend")
    """Extend sectors that end soon."""


class SectorData(models.TextChoices):
    """What sectors hold that a rule extends."""

    ANY = "any", _("all sectors")
    PLAIN = "plain", _("sectors without verified data")
    VERIFIED = "verified", _("sectors with verified data")
