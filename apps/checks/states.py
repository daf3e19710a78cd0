"""Words of alerts and the status page: channels, events, lines of histories, components, their condition."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class ChannelKind(models.TextChoices):
    """How notifications are delivered."""

    WEBHOOK = "WEBHOOK", _("Webhook")
    EMAIL = "EMAIL", _("E-mail")
    PAGERDUTY = "PAGERDUTY", "PagerDuty"
    APPRISE = "APPRISE", _("App or chat by apprise")


class AlertEvent(models.TextChoices):
    """What a notification tells of."""

    STARTED = "STARTED", _("started failing")
    REPEATED = "REPEATED", _("still failing")
    REOPENED = "REOPENED", _("failing again")
    """Instead of `STARTED`, where the channel knows the alert and is told of actions."""
    WORSENED = "WORSENED", _("became worse")
    """Instead of `REPEATED`, where that ended its acknowledgement and the channel is told of actions."""
    ACKNOWLEDGED = "ACKNOWLEDGED", _("acknowledged")
    UNACKNOWLEDGED = "UNACKNOWLEDGED", _("acknowledgement ended")
    COMMENTED = "COMMENTED", _("comment")
    ENDED = "ENDED", _("passes again")
    TEST = "TEST", _("test")
    SUMMARY = "SUMMARY", _("after quiet hours")
    """One message for several that waited for the end of quiet hours."""


class AlertEntryKind(models.TextChoices):
    """What a line of an alert's history tells of."""

    STARTED = "STARTED", _("started failing")
    CHANGED = "CHANGED", _("changed")
    ENDED = "ENDED", _("passes again")
    ACKNOWLEDGED = "ACKNOWLEDGED", _("acknowledged")
    WITHDRAWN = "WITHDRAWN", _("acknowledgement ended")
    WORSENED = "WORSENED", _("became worse")
    EXPIRED = "EXPIRED", _("acknowledgement ran out")
    COMMENTED = "COMMENTED", _("comment")


FAILING: Final = (AlertEvent.STARTED, AlertEvent.REPEATED, AlertEvent.REOPENED, AlertEvent.WORSENED)
"""Events that tell of a check that fails."""


class Component(models.TextChoices):
    """A part of the service that the pool gives its tenants, as the status page names it."""

    CHAIN = "CHAIN", _("Chain nodes")
    MESSAGES = "MESSAGES", _("Messages")
    PROVING = "PROVING", _("Proving (WindowPoSt)")
    BLOCKS = "BLOCKS", _("Blocks")
    SEALING = "SEALING", _("Sealing")
    CONSOLE = "CONSOLE", _("Console, API and gateway")
    """One set of processes serves all three."""


class Condition(models.TextChoices):
    """How a component is, by what the checks found; no state that is advanced, but what was measured."""

    UP = "UP", _("Up")
    DEGRADED = "DEGRADED", _("Degraded")
    """It works, with limits that tenants notice."""
    UNKNOWN = "UNKNOWN", _("Unknown")
    """Nothing evaluated the checks, or they had nothing to go by."""
    DOWN = "DOWN", pgettext_lazy("component", "Down")


class TargetResult(models.TextChoices):
    """Whether a target was reached."""

    MET = "MET", _("met")
    MISSED = "MISSED", _("not met")
    UNKNOWN = "UNKNOWN", _("unknown")
    """It depends on losses whose cause nobody knows, or nothing was recorded."""


WORST_LAST: Final = tuple(Condition)
"""Of several findings the last of these counts: what may be down is worse than what is known to limp."""
IMPAIRED: Final = (Condition.DEGRADED, Condition.DOWN)
"""Conditions that make an incident."""
