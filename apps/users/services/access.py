"""Changes of access, published to every process."""

from __future__ import annotations

from typing import Final

import structlog
from django.db import transaction
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client

log = structlog.get_logger(__name__)

ACCESS_CHANGES: Final = "access:changes"
"""Channel in Redis with a word for every revocation; `apps.users.access` listens."""


def access_change_publish() -> None:
    """Publish that somebody's access changed: every process checks its open sockets at once.

    Without Redis they notice at their regular check, and the next request is refused in any case.
    """

    def send() -> None:
        try:
            redis_client().publish(ACCESS_CHANGES, "check")
        except RedisError as error:
            log.warning("access_change_not_published", reason=str(error))

    transaction.on_commit(send)
