"""Words for how a node does and what it is for."""

from __future__ import annotations

from django.db import models


class NodeState(models.TextChoices):
    """What the last probe of a node found."""

    UNKNOWN = "UNKNOWN", "not probed yet"
    HEALTHY = "HEALTHY", "healthy"
    LAGGING = "LAGGING", "behind"
    WRONG_NETWORK = "WRONG_NETWORK", "on another network"
    RULES_MISSING = "RULES_MISSING", "network parameters unknown"
    AWAY = "AWAY", "not responding"


class NodeRole(models.TextChoices):
    """What a node is asked for; messages are published to all of them."""

    MAIN = "MAIN", "main"
    BACKUP = "BACKUP", "backup"
    WINNING = "WINNING", "winning"
    PUSH_ONLY = "PUSH_ONLY", "push only"


READ_RANKS = {NodeRole.MAIN: 0, NodeRole.BACKUP: 1, NodeRole.WINNING: 2}
"""Order in which roles are read from; a winning node is spared for blocks, a push-only one never read."""

STATE_RANKS = {NodeState.HEALTHY: 0, NodeState.UNKNOWN: 1, NodeState.LAGGING: 2, NodeState.AWAY: 3}
"""Order in which states are read from; a node of another network never is."""

STATES_SERVING = frozenset(STATE_RANKS) - {NodeState.AWAY}
"""States of a node whose answers the pool goes by."""

STATES_FOREIGN = frozenset({NodeState.WRONG_NETWORK, NodeState.RULES_MISSING})
"""States of a node that answers, and that the pool neither reads nor sends to."""
