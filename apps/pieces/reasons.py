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
UPLOAD = reason("pieces.upload", gettext_noop("upload {uuid}"))
UNSEALED_LATE = reason("pieces.unsealed_late", gettext_noop("it was not unsealed in time"))
CAR_CUT = reason("pieces.car_cut", gettext_noop("the CAR ends within the block at byte {at}"))
CAR_LENGTH = reason("pieces.car_length", gettext_noop("the length at byte {at} of the CAR is none"))
CAR_CID = reason("pieces.car_cid", gettext_noop("the block at byte {at} of the CAR has no CID"))
CAR_BLOCK = reason(
    "pieces.car_block", gettext_noop("the block at byte {at} of the CAR is not what its CID says")
)
CAR_HEADER = reason(
    "pieces.car_header", gettext_noop("the CAR of version 2 has no blocks where byte {at} says")
)
CAR_MANY = reason("pieces.car_many", gettext_noop("the CAR has more than {most} blocks"))
INDEX_FAILED = reason(
    "pieces.index_failed", gettext_noop("the index could not be made and is tried again: see the log")
)
INDEX_WRONG = reason(
    "pieces.index_wrong",
    gettext_noop("{wrong} of {sampled} compared blocks are not where the index says, or damaged"),
)
INDEX_GONE = reason("pieces.index_gone", gettext_noop("the index file is gone or cut"))
TARGET_MALFORMED = reason("pieces.target_malformed", gettext_noop("its address or token is malformed"))
