"""Refusals of proving."""

from __future__ import annotations

from apps.core.errors import Conflict


class CannotCompact(Conflict):
    """The chain would not compact the deadline now."""

    code = "cannot_compact"


class CheckUnavailable(Conflict):
    """No host can check these sectors now, or one is checking them already."""

    code = "cannot_look"


class CannotRecover(Conflict):
    """Sectors cannot be declared recovered now, or are being recovered already."""

    code = "cannot_recover"


class NothingToProve(Conflict):
    """The miner has no active sector, or there is no chain yet."""

    code = "nothing_to_prove"
