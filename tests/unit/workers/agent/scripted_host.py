"""A host's agent with a console that answers what a test lays ready, and a broker that may be dead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kombu.exceptions import OperationalError as BrokerAway

from poolsite.wire.hosts import HeartbeatAnswer, Registered
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.job_reports import StageOutputs
from poolsite.wire.jobs import Assignment, Claimed, JobKind
from poolsite.wire.pipeline import STATE_OF_STAGE
from workers.agent.journal import journal_open
from workers.agent.loop import Agent
from workers.config import DEFAULT_SLOTS, SealerConfig
from workers.console.lease_keeper import LeaseKeeper
from workers.host_settings import SECTOR_ROOM, SECTORS_MAX, HostSettings
from workers.setting_levels import slots_default

REGISTERED = Registered(worker_id="w", heartbeat_s=20, lease_s=90, poll_ms=1000)


class ScriptedConsole:
    """Answers what the test lays ready; an exception is raised."""

    def __init__(self) -> None:
        self.jobs: list[Assignment] = []
        self.answers: list[Any] = []
        self.beats: list[Any] = []
        self.said: list[tuple[str, Any]] = []
        self.is_behind = False

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

    def release(self, _job: str, said: Any) -> Any:
        return self._answer("release", said)

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
        self.journal = journal_open(folder)
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
