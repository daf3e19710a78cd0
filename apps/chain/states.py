"""Words for how a node does."""

from __future__ import annotations

from django.db import models


class NodeState(models.TextChoices):
    """What the last probe of a node found."""

    UNKNOWN = "UNKNOWN", "not asked yet"
    HEALTHY = "HEALTHY", "healthy"
    LAGGING = "LAGGING", "behind"
    WRONG_NETWORK = "WRONG_NETWORK", "another network"
    AWAY = "AWAY", "does not answer"
