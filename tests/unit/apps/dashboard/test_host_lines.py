from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.dashboard.lines.hosts import idle_words
from apps.sectors.models import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "waits for work"),
        ({"is_paused": True}, "claims nothing until it is resumed"),
        ({"is_draining": True}, "takes no new sectors"),
        (
            {"hardware": {"kernels_done": 3, "kernels_total": 8}},
            "compiles its kernels: 3 of 8 are ready",
        ),
        ({"hardware": {"kernels_done": 8, "kernels_total": 8}}, "waits for work"),
        ({"hardware": {"cpus": 2}}, "waits for work"),
    ],
)
def test_a_free_host_says_why_it_does_nothing(facts, words):
    assert idle_words(Worker(seen_at=NOW, **facts), now=NOW + timedelta(seconds=1)) == words
