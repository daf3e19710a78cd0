"""Refusals of what damocles-workers ask."""

from __future__ import annotations

from apps.core.errors import Conflict, NotFound


class SectorEnded(NotFound):
    """A damocles-worker names a sector that was aborted or terminated here: it may wipe its files."""

    code = "sector_gone"


class NotDamocles(Conflict):
    """A damocles-worker names a sector that another host seals, or one that is not known to its token."""

    code = "not_damocles"


class NotThatFar(Conflict):
    """A damocles-worker asks for what comes later."""

    code = "not_that_far"
