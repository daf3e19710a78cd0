from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.dashboard.pages.hosts.state import idle_text, worker_label
from apps.sectors.models import Worker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "state", "words"),
    [
        ({}, "idle", "waiting for jobs"),
        ({"is_paused": True}, "paused", "paused by operator"),
        ({"is_draining": True}, "draining", "accepts no new sectors"),
        (
            {"hardware": {"kernels_done": 3, "kernels_total": 8}},
            "warming up",
            "compiling kernels: 3 of 8 ready",
        ),
        ({"hardware": {"kernels_done": 8, "kernels_total": 8}}, "idle", "waiting for jobs"),
        ({"hardware": {"cpus": 2}}, "idle", "waiting for jobs"),
        (
            {"hardware": {"parameters_done": 250, "parameters_total": 1000}},
            "idle",
            "preparing Groth16 parameters: 25\u202f%; until then its proofs are vanilla",
        ),
        (
            {
                "hardware": {"parameters_done": 700, "parameters_total": 1000}
                | {"proofs": ["vanilla", "groth16"], "winning_form": "vanilla"}
            },
            "idle",
            "preparing Groth16 parameters for WinningPoSt: 70\u202f%",
        ),
        (
            {"hardware": {"parameters_error": "the parameters of window_post are missing"}},
            "no parameters",
            "the parameters of window_post are missing",
        ),
    ],
)
def test_a_host_without_work_says_why(facts, state, words):
    worker, now = Worker(seen_at=NOW, **facts), NOW + timedelta(seconds=1)

    assert (worker_label(worker, now=now).word, idle_text(worker, now=now)) == (state, words)
