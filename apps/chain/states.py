"""Words for how a node does and what it is for."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class NodeCondition(models.TextChoices):
    """What the last probe of a node found."""

    UNKNOWN = "UNKNOWN", _("not probed yet")
    HEALTHY = "HEALTHY", _("healthy")
    LAGGING = "LAGGING", _("behind")
    FORKED = "FORKED", _("on another branch")
    WRONG_NETWORK = "WRONG_NETWORK", _("on another network")
    RULES_MISSING = "RULES_MISSING", _("network parameters unknown")
    AWAY = "AWAY", _("not responding")


class NodeRole(models.TextChoices):
    """What a node is asked for; messages are published to all of them."""

    MAIN = "MAIN", _("main")
    BACKUP = "BACKUP", _("backup")
    WINNING = "WINNING", _("winning")
    PUSH_ONLY = "PUSH_ONLY", _("push only")


READ_RANKS = {NodeRole.MAIN: 0, NodeRole.BACKUP: 1, NodeRole.WINNING: 2}
"""Order in which roles are read from; a winning node is spared for blocks, a push-only one never read."""

CONDITION_RANKS = {
    NodeCondition.HEALTHY: 0,
    NodeCondition.UNKNOWN: 1,
    NodeCondition.LAGGING: 2,
    NodeCondition.AWAY: 3,
}
"""Order in which nodes are read from; a node of another branch or network never is."""

CONDITIONS_SERVING = frozenset(CONDITION_RANKS) - {NodeCondition.AWAY}
"""Conditions of a node whose answers the pool goes by."""

CONDITIONS_FOREIGN = frozenset({NodeCondition.WRONG_NETWORK, NodeCondition.RULES_MISSING})
"""Conditions of a node that answers, and that the pool neither reads nor sends to."""
