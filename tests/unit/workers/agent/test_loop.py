"""The agent's loop against a console that answers, is away, or refuses."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from kombu.exceptions import OperationalError as BrokerAway
from msgspec.structs import replace

from poolsite.wire.hosts import Command, HeartbeatAnswer, Lost, Operation, Registered, Setting
from poolsite.wire.jobs import (
    Assignment,
    Claimed,
    EventAnswer,
    JobKind,
    Level,
    SealInputs,
    StageOutputs,
)
from poolsite.wire.pipeline import STATE_OF_STAGE
from workers.agent.journal import Failure, Journal
from workers.agent.loop import Agent
from workers.agent.places import SealingPlaces
from workers.config import DEFAULT_SLOTS, SealerConfig
from workers.console.client import ConsoleAway, ConsoleRefused, Fenced
from workers.console.lease_keeper import LeaseKeeper
from workers.host_settings import SECTOR_ROOM, SECTORS_MAX, HostSettings, slots_default
from workers.stage_processors import Location

if TYPE_CHECKING:
    from pathlib import Path

REGISTERED = Registered(worker_id="w", heartbeat_s=20, lease_s=90, poll_ms=1000)


class ScriptedConsole:
    """Answers what the test lays ready; an exception is raised."""

    def __init__(self) -> None:
        self.jobs: list[Assignment] = []
        self.answers: list[Any] = []
        self.beats: list[Any] = []
        self.said: list[tuple[str, Any]] = []

    def register(self, said: Any) -> Registered:
        self.said.append(("register", said))
        return REGISTERED

    def claim(self, said: Any) -> Claimed:
        self.said.append(("claim", said))
        jobs, self.jobs = tuple(self.jobs[: said.max]), self.jobs[said.max :]
        return Claimed(jobs=jobs)

    def event(self, _job: str, said: Any) -> Any:
        return self._answer("event", said)

    def fail(self, _job: str, said: Any) -> Any:
        return self._answer("fail", said)

    def heartbeat(self, _worker: str, said: Any) -> Any:
        self.said.append(("heartbeat", said))
        return self.beats.pop(0) if self.beats else HeartbeatAnswer()

    def _answer(self, what: str, said: Any) -> Any:
        self.said.append((what, said))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kinds(self) -> list[str]:
        return [what for what, _ in self.said if what != "claim"]


class Hints:
    """Keeps the hints that the agent sends; `fails` plays a dead broker."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.fails = False

    def send_task(self, _name: str, *, queue: str, **_options: Any) -> None:
        if self.fails:
            raise BrokerAway("connection refused")
        self.sent.append(queue)


class Host:
    """An agent with its console, journal and hints."""

    def __init__(self, folder: Path) -> None:
        self.console = ScriptedConsole()
        self.config = SealerConfig(
            folder=folder,
            stores=(folder / "store",),
            console="",
            token="",
            name="s",
            settings=HostSettings(folder, {"default": slots_default() | {SECTOR_ROOM: 1, SECTORS_MAX: 0}}),
            snark="vanilla",
        )
        console: Any = self.console
        self.leases = LeaseKeeper(self.config, console, kinds=(JobKind.SEAL,), slots=dict(DEFAULT_SLOTS))
        self.leases.settings = self.config.settings
        self.leases.register()
        self.console.said.clear()
        self.journal = Journal(folder / "jobs")
        self.hints = Hints()
        app: Any = self.hints
        self.agent = Agent(self.config, console=console, leases=self.leases, journal=self.journal, app=app)

    def take(self, stage: str = "PC2", job_id: str = "j1", token: int = 4) -> Assignment:
        """Have the agent claim one job and send its hint."""
        job = Assignment(id=job_id, kind=JobKind.SEAL, token=token, seq=7, lease_s=90, seal=inputs(stage))
        self.console.jobs.append(job)
        self.agent.claim_after = 0.0
        self.agent.tick()
        self.agent.tick()
        return job

    def done(self, outputs: StageOutputs | None = None) -> None:
        """Let the stage of the only held job end well."""
        (held,) = self.agent.held.values()
        self.journal.outputs_write(held.id, held.work.id, outputs or StageOutputs(ms=3))


def inputs(stage: str) -> SealInputs:
    """A stage's inputs."""
    return SealInputs(
        miner_id=1000, number=1, seal_proof=5, sector_size=2048, state=STATE_OF_STAGE[stage], stage=stage
    )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that is registered and idle."""
    return Host(tmp_path)


def test_a_claimed_stage_is_written_down_before_its_hint(host: Host) -> None:
    host.take()
    host.agent.tick()

    work = host.journal.work_read("j1")
    assert work is not None
    assert (work.token, work.inputs.stage, host.hints.sent) == (4, "PC2", ["pc2"])


def test_a_result_is_reported_under_the_next_number(host: Host) -> None:
    host.take()
    host.done()
    host.console.answers = [EventAnswer(state="PC2_DONE", seq=8, seal=inputs("PERSIST"))]

    host.agent.tick()

    (event,) = [said for what, said in host.console.said if what == "event"]
    assert (event.token, event.seq, event.state, event.event) == (4, 8, "PC1_DONE", "PC2")
    assert host.agent.held["j1"].inputs.stage == "PERSIST", "it goes on under the same lease"


def test_a_result_from_before_a_restart_is_reported_under_the_new_lease(host: Host) -> None:
    host.take(token=4)
    host.done()
    again = Host(host.config.folder)
    again.console.answers = [EventAnswer(state="PC2_DONE", seq=8)]

    again.take(token=6)

    (event,) = [said for what, said in again.console.said if what == "event"]
    assert event.token == 6
    assert again.hints.sent == [], "the stage is not run again"


def test_while_the_console_is_away_the_same_report_is_sent_again(host: Host, monkeypatch: Any) -> None:
    monkeypatch.setattr("workers.agent.loop.REPORT_AGAIN_S", 0.0)
    host.take()
    host.done()
    host.console.answers = [ConsoleAway("x"), ConsoleAway("x"), EventAnswer(state="PC2_DONE", seq=8)]

    for _ in range(3):
        host.agent.tick()

    said = [said for what, said in host.console.said if what == "event"]
    assert len(said) == 3
    assert said[0] == said[1] == said[2]
    assert host.agent.held == {}


def test_without_parameters_of_updates_no_snap_up_is_claimed(host: Host) -> None:
    host.agent.can_update = False
    host.agent.tick()

    claims = [said for what, said in host.console.said if what == "claim"]
    assert JobKind.SEAL in claims[-1].kinds
    assert JobKind.SNAP_UP not in claims[-1].kinds


def test_a_guests_record_goes_with_the_job(host: Host) -> None:
    given = replace(inputs("C2"), c1_travels=True)
    host.console.jobs.append(Assignment(id="j1", kind=JobKind.SEAL, token=4, seq=7, lease_s=90, seal=given))
    host.agent.tick()
    host.agent.tick()
    host.done(StageOutputs(proof=b"p"))
    host.console.answers = [EventAnswer(state="C2_DONE", seq=8)]

    host.agent.tick()

    assert host.agent.held == {}
    assert host.journal.jobs() == []


def test_a_fenced_report_drops_the_job_and_keeps_its_files(host: Host) -> None:
    host.take()
    host.done()
    host.console.answers = [Fenced(status=409, code="fenced", reason="over", field="token")]

    host.agent.tick()

    assert host.agent.held == {}
    assert host.journal.jobs() == ["j1"]


def test_a_refused_report_becomes_a_failure_that_a_person_sees(host: Host) -> None:
    host.take()
    host.done()
    host.console.answers = [ConsoleRefused(status=400, code="bad", reason="missing", field="outputs.comm_r")]

    host.agent.tick()

    assert host.console.kinds() == ["event", "fail"]
    assert host.console.said[-1][1].level is Level.PERMANENT


def test_a_failure_counts_only_for_its_own_lease(host: Host) -> None:
    job = host.take(token=4)
    (held,) = host.agent.held.values()
    host.journal.failure_write("j1", held.work.id, Failure(token=3, level=Level.TEMPORARY, error="old"))
    host.agent.tick()
    assert host.console.kinds() == []

    host.journal.failure_write("j1", held.work.id, replace(FAILURE, token=job.token))
    host.agent.tick()

    assert host.console.kinds() == ["fail"]
    assert host.agent.held == {}


FAILURE = Failure(token=0, level=Level.TEMPORARY, error="child died")


def test_a_stage_that_nobody_works_on_gets_another_hint(host: Host, monkeypatch: Any) -> None:
    monkeypatch.setattr("workers.agent.loop.HINT_AGAIN_S", 0.0)
    host.take()
    host.agent.tick()
    first = len(host.hints.sent)

    host.agent.tick()
    with host.journal.at_work("j1"):
        host.agent.tick()
        during = len(host.hints.sent)

    assert during == first + 1, "one more while nobody worked, none while somebody did"


def test_a_dead_broker_does_not_stop_the_agent(host: Host, monkeypatch: Any) -> None:
    monkeypatch.setattr("workers.agent.loop.HINT_AGAIN_S", 0.0)
    host.hints.fails = True
    host.take()
    host.agent.tick()

    host.hints.fails = False
    host.agent.tick()

    assert host.hints.sent == ["pc2"]


def test_no_more_of_a_stage_run_than_there_are_slots(host: Host) -> None:
    host.leases.slots["PC2"] = 1
    host.take(job_id="j1")
    host.take(job_id="j2")
    host.agent.tick()

    assert host.hints.sent == ["pc2"]
    assert host.agent.slots_free()["PC2"] == 0


def test_a_lost_lease_drops_the_job(host: Host) -> None:
    host.take()
    host.console.beats = [HeartbeatAnswer(lost=(Lost(id="j1", reason="over"),))]

    host.leases.heartbeat()
    host.agent.tick()

    assert host.agent.held == {}


def test_a_lease_that_was_claimed_anew_meanwhile_is_not_lost(host: Host, monkeypatch: Any) -> None:
    host.take(token=4)
    host.console.beats = [HeartbeatAnswer(lost=(Lost(id="j1", reason="over"),))]
    beat = host.console.heartbeat

    def claimed_meanwhile(worker: str, said: Any) -> Any:
        host.take(token=5)
        return beat(worker, said)

    monkeypatch.setattr(host.console, "heartbeat", claimed_meanwhile)
    host.leases.heartbeat()

    assert not host.leases.is_lost("j1")


def test_news_of_work_that_was_lost_do_not_bring_the_lease_back(host: Host) -> None:
    job = host.take(token=4)
    host.console.beats = [HeartbeatAnswer(lost=(Lost(id="j1", reason="over"),))]
    host.leases.heartbeat()

    host.leases.track(job.id, host.leases._held[job.id], lease_s=4)

    assert host.leases.is_lost("j1")


PLAN: Final = {
    "host.slots.PC1": "5",
    "host.slots.NONSENSE": "1",
    "host.slots.PC2": "-1",
    "file.slots.C1": "7",
}


def test_commands_are_obeyed_and_confirmed_with_the_next_heartbeat(host: Host) -> None:
    drain = Command(id="c1", op=Operation.DRAIN)
    plan = Command(id="c2", op=Operation.SET_PLAN, args=PLAN)
    host.console.beats = [HeartbeatAnswer(commands=(drain, plan))]

    host.leases.heartbeat()
    host.leases.heartbeat()

    assert host.agent.rooms_free() == 0
    assert (host.leases.slots["PC1"], host.leases.slots["PC2"]) == (5, DEFAULT_SLOTS["PC2"])
    beat = host.console.said[-1][1]
    assert beat.done_commands == ("c1", "c2")
    assert Setting(key="slots.PC1", value="5", origin="host") in beat.settings
    assert Setting(key="slots.C1", value=str(DEFAULT_SLOTS["C1"]), origin="default") in beat.settings


def test_a_plan_survives_the_host_and_goes_with_the_next(host: Host) -> None:
    host.console.beats = [HeartbeatAnswer(commands=(Command(id="c", op=Operation.SET_PLAN, args=PLAN),))]
    host.leases.heartbeat()

    again = HostSettings(host.config.folder, host.config.settings.own)
    assert (again.slots()["PC1"], again.configured) == (5, PLAN)
    again.console_set({})
    assert HostSettings(host.config.folder, host.config.settings.own).slots() == DEFAULT_SLOTS


def test_no_more_sectors_are_begun_than_the_host_may_seal_at_a_time(host: Host) -> None:
    host.config.settings.console_set({"pool.sectors_max": "1"})
    assert host.agent.rooms_free() == 1

    host.take(token=1)
    host.agent.tick()

    assert host.agent.rooms_free() == 0


def test_the_log_goes_to_a_console_that_asks_for_it(host: Host) -> None:
    host.leases.log_tail = lambda: ("one", "two")
    host.console.beats = [HeartbeatAnswer(wants_log=True), HeartbeatAnswer()]

    beats = []
    for _ in range(3):
        host.leases.heartbeat()
        beats.append(host.console.said[-1][1].log)

    assert beats == [(), ("one", "two"), ()]


def test_a_paused_host_claims_nothing(host: Host) -> None:
    host.console.beats = [HeartbeatAnswer(commands=(Command(id="c", op=Operation.PAUSE),))]
    host.leases.heartbeat()
    host.console.said.clear()
    host.agent.claim_after = 0.0

    host.agent.tick()

    assert host.console.said == []


def test_nothing_is_claimed_for_a_stage_whose_kernels_are_being_compiled(host: Host) -> None:
    cold = {"PC1", "PC2"}
    host.agent.uncompiled_stages = lambda: cold
    host.agent.claim_after = 0.0

    host.agent.tick()

    claim = host.console.said[-1][1]
    assert (claim.stages["PC1"], claim.stages["PC2"]) == (0, 0)
    assert claim.stages["FINALIZE"] == DEFAULT_SLOTS["FINALIZE"]
    cold.clear()
    assert host.agent.slots_free()["PC1"] == DEFAULT_SLOTS["PC1"]


def test_the_console_hears_how_many_kernels_are_compiled(host: Host) -> None:
    host.leases._has_news = False

    host.leases.kernels_report(done=3, total=8)
    host.leases.heartbeat()

    hardware = host.console.said[-1][1].hardware
    assert (hardware.kernels_done, hardware.kernels_total) == (3, 8)
    host.leases.kernels_report(done=3, total=8)
    assert not host.leases._has_news


def test_a_short_lease_is_renewed_in_time(host: Host) -> None:
    job = host.take()
    held = host.agent.held[job.id]
    host.leases.heartbeat()
    host.leases._beaten_at = time.monotonic() - 1.5
    host.leases._has_news = False
    assert not host.leases._is_due()

    host.leases.track(job.id, host.leases._held[job.id], lease_s=4)

    assert host.leases._is_due(), "a third of 4 s is over"
    assert held.token == 4


class Bell:
    """Return what the test says."""

    def __init__(self) -> None:
        self.is_quiet = False
        self.listened = 0

    def listen(self) -> None:
        self.listened += 1


def test_an_idle_host_claims_only_once_it_hears_of_work(host: Host) -> None:
    bell: Any = Bell()
    host.agent.bell = bell

    host.agent.tick()
    assert ([what for what, _ in host.console.said], bell.listened) == (["claim"], 1)
    bell.is_quiet, host.agent.claim_after = True, 0.0
    assert host.agent.tick() == 0.5
    assert len(host.console.said) == 1

    bell.is_quiet = False
    host.take()
    assert list(host.agent.held) == ["j1"]
    bell.is_quiet, host.agent.claim_after, asked = True, 0.0, len(host.console.said)
    host.agent.tick()
    assert len(host.console.said) == asked + 1, "a host that works goes on to claim"


def test_a_full_disk_ends_neither_the_loop_nor_the_other_jobs(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.take("PC1", "j1")
    write = host.journal.work_write

    def full(job_id: str, work: Any) -> None:
        if job_id == "j2":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(job_id, work)

    monkeypatch.setattr(host.journal, "work_write", full)
    host.take("PC2", "j2")
    host.take("C1", "j3")

    assert host.hints.sent == ["pc1", "c1"]
    assert set(host.agent.held) == {"j1", "j2", "j3"}, "their leases are kept"
    assert "No space left" in host.leases.last_error


def test_an_upgrade_ends_with_the_stages_that_run(host: Host) -> None:
    host.leases.slots["PC2"] = 1
    host.take(job_id="j1")
    host.take(job_id="waits")
    host.leases._run_commands((Command(id="c1", op=Operation.UPGRADE),))
    claims = len([what for what, _ in host.console.said if what == "claim"])

    host.agent.claim_after = 0.0
    host.agent.tick()
    left = list(host.agent.held)
    host.done()
    host.console.answers = [EventAnswer(state="PC2_DONE", seq=8, seal=inputs("PERSIST"))]
    host.agent.tick()

    assert left == ["j1"], "what waits for a slot goes on after the next start"
    assert host.agent.held == {}
    assert host.journal.jobs() == ["j1"], "its files stay"
    assert len([what for what, _ in host.console.said if what == "claim"]) == claims
    assert host.leases.upgrade_told()
    assert host.console.said[-1][1].done_commands == ("c1",)
    host.leases._run_commands((Command(id="c2", op=Operation.RESUME),))
    assert not host.leases.is_upgrading


def test_an_upgrade_waits_until_the_console_knows(host: Host, monkeypatch: Any) -> None:
    def away(_worker: str, _said: Any) -> Any:
        raise ConsoleAway("x")

    host.leases._run_commands((Command(id="c1", op=Operation.UPGRADE),))
    monkeypatch.setattr(host.console, "heartbeat", away)

    assert not host.leases.upgrade_told(), "the next start would be told to end again"


def test_a_stage_whose_slots_were_taken_away_goes_back(host: Host) -> None:
    host.leases.slots["C2"] = 1
    host.take("C2", "runs")
    host.take("C2", "waits")
    host.leases.slots["C2"] = 0

    host.agent.tick()

    assert list(host.agent.held) == ["runs"], "what runs ends, what waits would wait for ever"
    assert [one.id for one in beat_held(host)] == ["runs"]


def beat_held(host: Host) -> Any:
    """The leases that the next heartbeat keeps."""
    host.leases.heartbeat()
    return host.console.said[-1][1].held


def as_guest(host: Host) -> None:
    """A host whose Celery worker is at the C2 of another host's sector."""
    given = replace(inputs("C2"), c1_travels=True)
    job = Assignment(id="j9", kind=JobKind.SEAL, token=4, seq=7, lease_s=90, seal=given)
    host.console.jobs.append(job)
    host.agent.tick()
    host.agent.tick()


def test_a_guest_is_forgotten_once_nobody_works_on_it(host: Host) -> None:
    as_guest(host)
    with host.journal.at_work("j9"):
        host.leases._lose_all()
        host.agent.tick()
        kept = host.journal.jobs()
    host.agent.tick()

    assert (kept, host.journal.jobs(), host.agent.held) == (["j9"], [], {})


def test_a_start_forgets_all_guests_and_nothing_else(host: Host) -> None:
    as_guest(host)
    host.take("PC1", "own")

    Host(host.journal.root.parent).agent.tick()

    assert host.journal.jobs() == ["own"]


def test_a_thread_is_taken_before_the_next_claim_counts_the_free_ones(host: Host) -> None:
    disks = [host.config.folder / name for name in ("disk0", "disk1")]
    for disk in disks:
        disk.mkdir()
    locations = [Location(str(disk)) for disk in disks]
    host.agent.places = SealingPlaces(host.config.folder, host.journal, locations)

    host.take("ADD_PIECE")
    host.agent.claim_after = 0.0
    host.agent.tick()

    rooms = [said.new_sectors for what, said in host.console.said if what == "claim"]
    assert (rooms[0], rooms[-1]) == (2, 1), "nobody has begun the stage yet"
