"""Turns and texts that are kept for some seconds, also by a clock that is set back meanwhile."""

from __future__ import annotations

from apps.core.redis_clients import client_for, text_shared, turn_claim

HOURS_AHEAD_MS = 8 * 3600 * 1000
"""What a key has left whose clock was so far ahead, and was set right then."""


def test_turn_is_claimed_once_while_it_is_kept(pool_redis: str) -> None:
    assert [turn_claim("turn", kept_s=13.5) for _ in range(3)] == [True, False, False]
    assert 13_000 < int(client_for(pool_redis).pttl("turn")) <= 13_500


def test_turn_from_before_the_clock_was_set_back_is_over(pool_redis: str) -> None:
    client_for(pool_redis).set("turn", 1, px=HOURS_AHEAD_MS)

    assert [turn_claim("turn", kept_s=13.5) for _ in range(3)] == [True, False, False]


def test_text_from_before_the_clock_was_set_back_is_not_shared(pool_redis: str) -> None:
    client_for(pool_redis).set("text", "now", ex=5)
    assert text_shared("text", kept_s=5) == "now"
    assert text_shared("none", kept_s=5) is None

    client_for(pool_redis).set("text", "before", px=HOURS_AHEAD_MS)

    assert text_shared("text", kept_s=5) is None
