"""Signs of life."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from apps.core import life
from apps.core.clock import now
from apps.core.life import life_sign, life_signs, ready_say


def test_a_sign_is_fresh_for_a_few_seconds(pool_redis: str) -> None:
    life_sign("follower", detail="leads")

    sign = life_signs()["follower"]

    assert (sign.pid, sign.detail) == (os.getpid(), "leads")
    assert sign.is_fresh(now())
    assert not sign.is_fresh(now() + timedelta(seconds=11))


def test_a_process_silent_for_a_day_is_forgotten(pool_redis: str, monkeypatch: Any) -> None:
    life_sign("web-9")
    monkeypatch.setattr(life, "now", lambda: now() + timedelta(days=2))

    assert life_signs() == {}
    monkeypatch.undo()
    assert life_signs() == {}


def test_without_redis_a_sign_is_lost_without_harm(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"

    life_sign("follower")


def test_readiness_is_one_byte_on_the_descriptor_of_the_supervisor(monkeypatch: Any) -> None:
    ours, theirs = os.pipe()
    monkeypatch.setenv("POOLSITE_READY_FD", str(theirs))

    ready_say()
    ready_say()

    assert os.read(ours, 9) == b"1"
    assert os.read(ours, 9) == b""  # closed: a second word is not said
    os.close(ours)
