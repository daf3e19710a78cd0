"""A host on which proofs fail for one sector after the other does not take them all from the others."""

from __future__ import annotations

from itertools import count

import pytest

from poolsite.wire.job_reports import EventAnswer, Level, StageOutputs
from tests.unit.workers.agent.scripted_host import Host
from workers.agent.journal import Failure
from workers.console.refusals import ConsoleAway, ConsoleRefused

FAILED = "no CUDA device"
REFUSED = ConsoleRefused(status=400, code="bad", reason="the chain would refuse it", field="outputs.proof")
tokens = count(4)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds by the clock that pauses are measured with."""
    seconds = [1000.0]
    monkeypatch.setattr("workers.agent.failing_stages.monotonic", lambda: seconds[0])
    return seconds


def fails(host: Host, name: str, stage: str = "C2") -> None:
    """Have a sector's stage claimed, and fail."""
    job = host.take(stage, name, token=next(tokens))
    failure = Failure(token=job.token, level=Level.TEMPORARY, error=FAILED)
    host.journal.failure_write(name, host.agent.held[name].work.id, failure)
    host.agent.tick()
    assert name not in host.agent.held


def free(host: Host, stage: str = "C2") -> int:
    return host.agent.capacity.slots_free()[stage]


def test_after_three_sectors_a_host_pauses_then_tries_one(host: Host, clock: list[float]) -> None:
    host.leases.slots["C2"] = 2
    for name in ("j1", "j2", "j2"):
        fails(host, name)
    assert free(host) == 2, "it may be the sectors"

    fails(host, "j3")

    assert free(host) == 0
    assert host.leases.last_error == (
        f"C2: {FAILED}; 3 sectors in a row failed here: "
        "the next one is tried in 10 min, or after a restart of this host"
    )
    clock[0] += 601
    assert free(host) == 1
    fails(host, "j4")
    clock[0] += 1199
    assert free(host) == 0


def test_a_stage_that_ends_well_has_all_its_slots_again(host: Host, clock: list[float]) -> None:
    host.leases.slots["C2"] = 2
    for name in ("j1", "j2", "j3"):
        fails(host, name)
    clock[0] += 601
    job = host.take("C2", "j4")
    assert free(host) == 0, "one at a time"

    host.journal.outputs_write("j4", host.agent.held["j4"].work.id, StageOutputs(proof=b"p"))
    host.console.answers.append(EventAnswer(state="C2_DONE", seq=job.seq + 1))
    host.agent.tick()

    assert (free(host), host.leases.last_error) == (2, "")


def test_proofs_that_the_console_refuses_count_as_failures(host: Host, clock: list[float]) -> None:
    host.leases.slots["C2"] = 2
    for name in ("j1", "j2", "j3"):
        host.take("C2", name)
        host.journal.outputs_write(name, host.agent.held[name].work.id, StageOutputs(proof=b"p"))
        host.console.answers += [REFUSED, None]
        host.agent.tick()

    assert free(host) == 0


def test_a_failure_that_is_told_again_and_again_counts_once(host: Host, clock: list[float]) -> None:
    host.leases.slots["C2"] = 2
    fails(host, "j1")
    fails(host, "j2")
    job = host.take("C2", "j3")
    failure = Failure(token=job.token, level=Level.TEMPORARY, error=FAILED)
    host.journal.failure_write("j3", host.agent.held["j3"].work.id, failure)
    host.console.answers += [ConsoleAway("no route"), ConsoleAway("no route"), None]
    for _ in range(3):
        host.agent.held["j3"].report_after = 0.0
        host.agent.tick()

    clock[0] += 601
    assert free(host) == 1


def test_stages_that_may_fail_by_their_disk_have_no_pause(host: Host) -> None:
    host.leases.slots["PC2"] = 4
    for name in ("j1", "j2", "j3", "j4"):
        fails(host, name, "PC2")

    assert free(host, "PC2") == 4
