"""Why what is done with sectors waits."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

SECTOR_FAULTY = reason(
    "sectors.sector_faulty",
    gettext_noop("its sector is faulty: the update waits until it is proven again"),
)
REPLICA_STAYS = reason(
    "sectors.replica_stays",
    gettext_noop("the data is in, but the old replica is not cleared: {reason}"),
)
