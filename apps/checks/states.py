"""Words of alerts: kinds of channels, events that notifications tell of, lines of histories."""

from __future__ import annotations

from typing import Final

from django.db import models


class ChannelKind(models.TextChoices):
    """How notifications are delivered."""

    WEBHOOK = "WEBHOOK", "Webhook"
    EMAIL = "EMAIL", "E-mail"


class AlertEvent(models.TextChoices):
    """What a notification tells of."""

    STARTED = "STARTED", "started failing"
    REPEATED = "REPEATED", "still failing"
    ENDED = "ENDED", "passes again"
    TEST = "TEST", "test"


class AlertEntryKind(models.TextChoices):
    """What a line of an alert's history tells of."""

    STARTED = "STARTED", "started failing"
    CHANGED = "CHANGED", "changed"
    ENDED = "ENDED", "passes again"
    ACKNOWLEDGED = "ACKNOWLEDGED", "acknowledged"
    WITHDRAWN = "WITHDRAWN", "acknowledgement ended"
    WORSENED = "WORSENED", "became worse"
    EXPIRED = "EXPIRED", "acknowledgement ran out"
    COMMENTED = "COMMENTED", "comment"


FAILING: Final = (AlertEvent.STARTED, AlertEvent.REPEATED)
"""Events that tell of a check that fails."""
