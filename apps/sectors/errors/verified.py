"""Refusals about verified data: allocations and claims."""

from __future__ import annotations

from apps.core.errors import NotFound
from apps.core.marked_texts import gettext


class AllocationUnknown(NotFound):
    """No allocation of this id for a miner that the caller sees."""

    code = "allocation_unknown"

    def __init__(self, number: object) -> None:
        reason = gettext("there is no allocation {number} for this pool's miners").format(number=number)
        super().__init__(reason, field="allocation")


class ClaimUnknown(NotFound):
    """No claim of this id of a miner that the caller sees."""

    code = "claim_unknown"

    def __init__(self, number: object) -> None:
        reason = gettext("there is no claim {number} of this pool's miners").format(number=number)
        super().__init__(reason, field="claims")
