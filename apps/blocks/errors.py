"""Why a block is not made."""

from __future__ import annotations

from apps.core.errors import Conflict
from apps.core.marked_texts import gettext


class SlashGuard(Conflict):
    """A header that would be a consensus fault beside another one of its miner."""

    code = "slash_guard"


class BaseChanged(Conflict):
    """The chain left the base, and the election does not hold on the new one."""

    code = "base_changed"


class WarmUpFailed(Conflict):
    """A step of the warm-up failed; a win would be lost by it."""

    code = "warm_up_failed"


class CorrectionKeyReused(Conflict):
    """The key was used for another correction."""

    code = "key_reused"

    def __init__(self) -> None:
        super().__init__(
            gettext("this key was already used for a different correction; on a page, open the form again")
        )
