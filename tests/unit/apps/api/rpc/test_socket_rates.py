"""Frames of a socket: an honest provider is never throttled, a flood is."""

from __future__ import annotations

import random

import pytest

from apps.api.rpc.limits import FRAMES_AT_ONCE, FRAMES_PER_S
from poolsite.wire.leaky_bucket import LeakyBucket


def waited(times: list[float], bucket: LeakyBucket) -> float:
    """Send frames at these times; return how long the last waited to be read."""
    late = 0.0
    for at in times:
        late += bucket.wait_s(at + late)
    return late


@pytest.mark.parametrize("at_once", [1, 50, 1_000])
def test_500_answers_a_second_are_not_throttled(at_once):
    rng, bucket = random.Random(1), LeakyBucket(FRAMES_PER_S, FRAMES_AT_ONCE)
    bursts = [number * at_once / 500 for number in range(60 * 500 // at_once)]
    times = sorted(at + rng.random() * 0.2 for at in bursts for _ in range(at_once))

    assert waited(times, bucket) == 0


def test_flood_is_read_at_the_limit():
    frames = 50_000

    late = waited([0.0] * frames, LeakyBucket(FRAMES_PER_S, FRAMES_AT_ONCE))

    assert late == pytest.approx((frames - FRAMES_AT_ONCE) / FRAMES_PER_S, rel=0.01)


def test_burst_is_free_again_after_a_pause():
    bucket = LeakyBucket(8, 16)
    assert waited([0.0] * 16, bucket) == 0
    assert bucket.wait_s(0.0) > 0

    assert waited([10.0] * 16, bucket) == 0
