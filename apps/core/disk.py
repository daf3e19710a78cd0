"""Room on the disks of the pool's folders: how much, for how long, and whether new work may begin."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from apps.core.errors import Conflict
from apps.core.marked_texts import gettext

SAMPLES_KEY: Final = f"disk-samples:{settings.MACHINE_NAME}"
"""Machines share Redis, and each has a disk of its own."""
SAMPLE_EVERY_S: Final = 60.0
SAMPLES_S: Final = 6 * 3600.0
"""The rate is that of the last hours."""
RATE_AFTER_S: Final = 3600.0
"""A shorter time says nothing about a rate: minutes may be one restore, or one log."""

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

    def __init__(self, space: DiskSpace, *, size: int = 0) -> None:
        super().__init__(space.advice_for(size))


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The disk of a folder of the pool now."""

    free: int
    total: int
    place: Path | None = None
    """The folder, unless the disk is that of `VAR`."""

    @property
    def hours_left(self) -> float | None:
        """At the rate of the last hours; None if it does not shrink or is not known yet.  Asks Redis.

        Only the disk of `VAR` is sampled.
        """
        return hours_left(_samples(), free=self.free) if self.place is None else None

    @property
    def measured_s(self) -> float:
        """Return the seconds over which that rate was measured, read from Redis."""
        samples = _samples()
        return samples[-1][0] - samples[0][0] if samples else 0.0

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
        return self.advice_for(0)

    def advice_for(self, size: int) -> str:
        """Return the same where so many bytes were to be stored."""
        left, reserve = self.free // 2**20, settings.DISK_RESERVE_BYTES // 2**20
        if self.level is DiskLevel.FULL and self.place is None:
            text = gettext(
                "{left} MiB free on the disk of {place}: below {reserve} MiB nothing new is pledged or "
                "claimed, free up space"
            )
        elif self.level is DiskLevel.FULL or size:
            text = gettext(
                "{left} MiB free on the disk of {place}; {reserve} MiB must stay free, and what does not fit "
                "beside them is refused: free up space"
            )
        else:
            text = gettext("{left} MiB free on the disk of {place}, {share:.0%} of it: free up space")
        return text.format(left=left, place=self.place or settings.VAR, reserve=reserve, share=self.share)


def disk_space(folder: str | None = None) -> DiskSpace:
    """Return the room on the disk of the pool's folder, or of another one, which is made."""
    if folder is None:
        usage = shutil.disk_usage(settings.VAR if settings.VAR.exists() else settings.BASE_DIR)
        return DiskSpace(usage.free, usage.total)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    usage = shutil.disk_usage(place)
    is_same = _device(place) == _device(settings.VAR)
    return DiskSpace(usage.free, usage.total, None if is_same else place)


def disk_spaces() -> list[DiskSpace]:
    """Return the room on each disk on which the pool stores something, that of `VAR` first."""
    spaces = [disk_space()]
    devices = {_device(settings.VAR)}
    for folder in (settings.PIECES_DIR, settings.C1_DIR):
        if (device := _device(Path(folder))) is not None and device not in devices:
            devices.add(device)
            spaces.append(disk_space(folder))
    return spaces


def _device(folder: Path) -> int | None:
    """Return the number of the disk of a folder; None if it is not there."""
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def disk_require() -> None:
    """Raise DiskFull where new work may not begin."""
    space = disk_space()
    if space.level is DiskLevel.FULL:
        raise DiskFull(space)


def disk_sample(*, at: float | None = None) -> None:
    """Note the free room, once a minute; without Redis it is not noted."""
    now = time.time() if at is None else at
    samples = _samples()
    recent = [sample for sample in samples if 0 <= now - sample[0] <= SAMPLES_S]  # none of a clock ahead
    if recent and now - recent[-1][0] < SAMPLE_EVERY_S:
        return
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
