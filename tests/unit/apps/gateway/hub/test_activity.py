from __future__ import annotations

from apps.gateway.hub.activity import TIMES_KEPT, Meter


def test_nothing_new_is_nothing_to_write():
    meter = Meter()

    assert meter.read(0) is None
    assert meter.read(2) is not None
    assert meter.read(2) is None
    assert meter.read(0) is not None


def test_activity_counts_since_the_last_reading_and_keeps_the_reason():
    meter = Meter()
    meter.requests += 3
    meter.failed("x" * 500)

    first = meter.read(0)
    meter.requests += 1
    second = meter.read(0)

    assert first is not None
    assert second is not None
    assert (first.requests, first.failures, len(first.last_failure)) == (3, 1, 200)
    assert (second.requests, second.failures, second.last_failure) == (1, 0, first.last_failure)


def test_quantiles_are_those_of_the_last_answers():
    meter = Meter()
    for _ in range(TIMES_KEPT):
        meter.answered(9.0)
    for number in range(TIMES_KEPT):
        meter.answered(number / 1000)

    taken = meter.read(1)

    assert taken is not None
    assert taken.p50_ms == TIMES_KEPT // 2
    assert taken.p99_ms == TIMES_KEPT * 99 // 100
