"""Frames of a socket: an honest provider is never held back, a flood is."""

from __future__ import annotations

import random

import pytest

from apps.api.rpc.pace import FRAMES_AT_ONCE, FRAMES_PER_S
from poolsite.wire.pace import Pace


def waited(times: list[float], pace: Pace) -> float:
    """Send frames at these times; give when the last was read and how long all waited."""
    late = 0.0
    for at in times:
        late += pace.wait_s(at + late)
    return late


@pytest.mark.parametrize("at_once", [1, 50, 1_000])
def test_a_provider_that_answers_500_requests_a_second_never_waits(at_once):
    rng, pace = random.Random(1), Pace(FRAMES_PER_S, FRAMES_AT_ONCE)
    rounds = [number * at_once / 500 for number in range(60 * 500 // at_once)]
    times = sorted(at + rng.random() * 0.2 for at in rounds for _ in range(at_once))

    assert waited(times, pace) == 0


def test_a_flood_is_read_at_the_pace():
    frames = 50_000

    late = waited([0.0] * frames, Pace(FRAMES_PER_S, FRAMES_AT_ONCE))

    assert late == pytest.approx((frames - FRAMES_AT_ONCE) / FRAMES_PER_S, rel=0.01)


def test_after_a_pause_there_is_room_again():
    pace = Pace(8, 16)
    assert waited([0.0] * 16, pace) == 0
    assert pace.wait_s(0.0) > 0

    assert waited([10.0] * 16, pace) == 0
