"""A stage that was set back is done again; one that was done and not reported is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolsite.wire.job_reports import Event, EventAnswer, StageOutputs
from poolsite.wire.jobs import Assignment, JobKind
from tests.unit.workers.agent.scripted_host import Host, inputs
from workers.agent.loop import Agent
from workers.console.refusals import ConsoleRefused

REFUSED = ConsoleRefused(status=400, code="bad_report", reason="no proof of it", field="outputs.proof")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def claim(host: Host, stage: str, *, token: int, seq: int) -> None:
    """Have the host claim the job with the next stage that the console has for it, and look twice."""
    given = inputs(stage)
    job = Assignment(id="j1", kind=JobKind.SEAL, token=token, seq=seq, lease_s=90, seal=given)
    host.console.jobs.append(job)
    host.agent.claim_after = 0.0
    host.agent.tick()
    host.agent.tick()


def events(host: Host) -> list[Event]:
    return [said for what, said in host.console.said if what == "event"]


def test_both_stages_are_done_again_after_going_back(host: Host) -> None:
    claim(host, "C1", token=4, seq=7)
    host.done(StageOutputs(ms=1))
    host.console.answers = [EventAnswer(state="C1_DONE", seq=8, seal=inputs("C2")), None]
    host.agent.tick()
    host.agent.tick()
    host.done(StageOutputs(proof=b"bad"))
    host.console.answers = [REFUSED, None]
    host.agent.tick()
    assert (len(host.hints.sent), len(events(host)), host.agent.held) == (2, 2, {})

    claim(host, "C1", token=6, seq=8)  # set back, with the seed that it had

    assert (len(host.hints.sent), len(events(host))) == (3, 2), "C1 runs, nothing is reported yet"
    host.done(StageOutputs(ms=2))
    host.console.answers = [EventAnswer(state="C1_DONE", seq=9, seal=inputs("C2"))]
    host.agent.tick()
    host.agent.tick()
    assert len(host.hints.sent) == 4, "and so does C2"
    host.done(StageOutputs(proof=b"good"))
    host.console.answers = [EventAnswer(state="C2_DONE", seq=10)]
    host.agent.tick()
    assert [(one.seq, one.outputs.proof) for one in events(host)[2:]] == [(9, None), (10, b"good")]


def test_a_refused_result_is_made_again_when_the_stage_is_retried(host: Host) -> None:
    claim(host, "C2", token=4, seq=8)
    host.done(StageOutputs(proof=b"bad"))
    host.console.answers = [REFUSED, None]
    host.agent.tick()

    claim(host, "C2", token=5, seq=8)

    assert (len(host.hints.sent), len(events(host))) == (2, 1)


@pytest.mark.parametrize(
    "answers",
    [
        [ConsoleRefused(status=409, code="state_differs", reason="it is elsewhere", field="state")],
        [ConsoleRefused(status=401, code="not_authenticated", reason="no token", field="")] * 2,
    ],
    ids=["moved", "unknown"],
)
def test_a_result_that_was_not_looked_at_is_kept(host: Host, answers: list[Any]) -> None:
    claim(host, "C2", token=4, seq=8)
    host.done(StageOutputs(proof=b"good"))
    host.console.answers = answers
    host.agent.tick()
    assert host.agent.held == {}

    host.console.answers = [EventAnswer(state="C2_DONE", seq=9)]
    claim(host, "C2", token=5, seq=8)

    assert len(host.hints.sent) == 1
    assert events(host)[-1].outputs.proof == b"good"


def test_a_result_outlives_its_lease_and_its_agent(host: Host) -> None:
    claim(host, "PC1", token=4, seq=3)
    host.done(StageOutputs(ms=7))
    console: Any = host.console
    app: Any = host.hints
    host.agent = Agent(host.config, console=console, leases=host.leases, journal=host.journal, app=app)
    host.console.answers = [EventAnswer(state="PC1_DONE", seq=4)]

    claim(host, "PC1", token=5, seq=3)

    assert len(host.hints.sent) == 1
    assert [(one.token, one.outputs.ms) for one in events(host)] == [(5, 7)]
