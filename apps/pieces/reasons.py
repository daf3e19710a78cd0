"""Why pieces wait, and why their deliveries failed."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from apps.core.reasons import reason

BYTES_GONE = reason(
    "pieces.bytes_gone", gettext_noop("its bytes are not in the pool's folder for pieces: send them again")
)
ALLOCATION_EXPIRED = reason(
    "pieces.allocation_expired",
    gettext_noop("{name} expired before the sector was committed: stored without it"),
)
UNSEALED_LATE = reason("pieces.unsealed_late", gettext_noop("it was not unsealed in time"))
TARGET_MALFORMED = reason("pieces.target_malformed", gettext_noop("its address or token is malformed"))
