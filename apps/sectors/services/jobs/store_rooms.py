"""New sectors begin where the stores that hosts share have room for them besides what is still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.core.locks import transaction_lock
from apps.sectors.models import Job
from apps.sectors.selectors.shared_stores import shared_room, stores_are_shared
from poolsite.wire.sums import stored_bytes

if TYPE_CHECKING:
    from apps.sectors.models import Worker

ROOM_LOCK: Final = 0x4D56
"""Lock class: of claims that count the same room one waits for the other."""


def store_room_reserve(worker: Worker, *, job_id: int) -> bool:
    """Return whether the stores that a host shares have room for a new sector: until it commits for it alone.

    What only this host puts into its stores it counts itself.
    """
    if not worker.stores or not stores_are_shared(worker):
        return True
    transaction_lock(ROOM_LOCK, ["shared stores"])
    room = shared_room(worker)
    size = Job.objects.values_list("sector__sector_size", flat=True).get(pk=job_id)
    return room is None or room.left_bytes >= stored_bytes(size)
