"""Reading what the nodes reported last of fast finality (F3) and of our miners' part in it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache
from redis.exceptions import RedisError

from apps.core.reasons import Reason

F3_STATUS_KEY: Final = "blocks-f3-4"
"""Numbered by the form of what it stores: what an older release stored is not read."""


@dataclass(frozen=True, slots=True)
class F3Participation:
    """One node's part in F3."""

    is_running: bool
    instance: int = 0
    """The instance that it works on."""
    miners: tuple[int, ...] = ()
    """Numbers of the actors that it takes part for."""
    reason: Reason | str = ""
    """Why it does not run; empty if the node says only that."""
    finalized: int | None = None
    """Height of the newest tipset with a certificate; None where the node has none yet."""
    head_height: int | None = None
    """Height of the head when the node was read."""


def f3_read() -> dict[str, F3Participation]:
    """Return what the nodes reported last, by their names; empty while no block service reads them."""
    with suppress(RedisError, OSError):
        reported: dict[str, F3Participation] = cache.get(F3_STATUS_KEY) or {}
        return reported
    return {}
