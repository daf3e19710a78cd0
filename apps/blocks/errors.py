"""Why a block is not made."""

from __future__ import annotations

from apps.core.errors import Conflict


class SlashGuard(Conflict):
    """A header that would be a consensus fault beside another one of its miner."""

    code = "slash_guard"
