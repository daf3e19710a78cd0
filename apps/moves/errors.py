"""Refusals about moves."""

from __future__ import annotations

from apps.core.errors import Conflict


class MoveRefused(Conflict):
    """The miner cannot change hands so, or not at that height: the reason says why."""

    code = "move_refused"
