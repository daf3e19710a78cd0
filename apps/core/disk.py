"""Room on the disk of the pool's folder: how much, for how long, and whether new work may begin."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext
from redis.exceptions import RedisError

from apps.core.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES_KEY: Final = "disk-samples"
SAMPLE_EVERY_S: Final = 60.0
SAMPLES_S: Final = 6 * 3600.0
"""The rate is that of the last hours."""
RATE_AFTER_S: Final = 600.0
"""A shorter time says nothing about a rate."""

Sample = tuple[float, int]
"""Time in seconds since 1970 and free bytes."""


class DiskLevel(StrEnum):
    """How urgent more room is."""

    OK = "ok"
    LOW = "low"
    FULL = "full"
    """Below the reserve: nothing new is claimed or pledged."""


class DiskFull(Conflict):
    """New work would need room that is reserved for work in progress."""

    code = "disk_full"

    def __init__(self, space: DiskSpace) -> None:
        super().__init__(space.advice)


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The disk of the pool's folder now."""

    free: int
    total: int

    @property
    def hours_left(self) -> float | None:
        """At the rate of the last hours; None if it does not shrink or is not known yet.  Asks Redis."""
        return hours_left(_samples(), free=self.free)

    @property
    def share(self) -> float:
        """Free part of the disk."""
        return self.free / self.total if self.total else 0.0

    @property
    def level(self) -> DiskLevel:
        """Return how urgent more room is."""
        if self.free < settings.DISK_RESERVE_BYTES:
            return DiskLevel.FULL
        return DiskLevel.LOW if self.share < settings.DISK_LOW_SHARE else DiskLevel.OK

    @property
    def advice(self) -> str:
        """Return what is wrong and what to do, in one sentence."""
        left, reserve = self.free // 2**20, settings.DISK_RESERVE_BYTES // 2**20
        if self.level is DiskLevel.FULL:
            text = gettext(
                "{left} MiB free on the disk of {place}: below {reserve} MiB nothing new is pledged or "
                "claimed, free up space"
            )
        else:
            text = gettext("{left} MiB free on the disk of {place}, {share:.0%} of it: free up space")
        return text.format(left=left, place=settings.VAR, reserve=reserve, share=self.share)


def disk_space() -> DiskSpace:
    """Return the room on the disk of the pool's folder."""
    usage = shutil.disk_usage(settings.VAR if settings.VAR.exists() else settings.BASE_DIR)
    return DiskSpace(usage.free, usage.total)


def disk_require() -> None:
    """Raise DiskFull where new work may not begin."""
    space = disk_space()
    if space.level is DiskLevel.FULL:
        raise DiskFull(space)


def disk_sample(*, at: float | None = None) -> None:
    """Note the free room, once a minute; without Redis it is not noted."""
    now = time.time() if at is None else at
    samples = _samples()
    if samples and now - samples[-1][0] < SAMPLE_EVERY_S:
        return
    recent = [sample for sample in samples if now - sample[0] <= SAMPLES_S]
    try:
        cache.set(SAMPLES_KEY, [*recent, (now, disk_space().free)], SAMPLES_S)
    except (RedisError, OSError):
        return


def hours_left(samples: Sequence[Sample], *, free: int) -> float | None:
    """Return how long the room lasts; what was freed meanwhile does not hide how fast it is used."""
    if not samples or samples[-1][0] - samples[0][0] < RATE_AFTER_S:
        return None
    used = sum(max(before[1] - after[1], 0) for before, after in pairwise(samples))
    seconds = samples[-1][0] - samples[0][0]
    return free / used * seconds / 3600 if used else None


def _samples() -> list[Sample]:
    try:
        return list(cache.get(SAMPLES_KEY) or ())
    except (RedisError, OSError):
        return []
