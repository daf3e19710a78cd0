"""A proof that one host has claimed and does not bring: its scene, and what hosts do and tell."""

from __future__ import annotations

from typing import Any

from apps.core import clock
from apps.messages.models import Message
from apps.proving.models import WindowPost
from apps.proving.services.posts import posts_advance
from apps.proving.states import AttemptKind, PostState
from apps.sectors.models import Job, Worker
from apps.sectors.services.jobs.lease_renewals import leases_renew
from apps.sectors.services.jobs.reports import job_complete, job_fail
from apps.sectors.states import JobState
from poolsite.wire.hosts import HeldJob
from poolsite.wire.job_reports import Complete, Fail, Level, Progress
from poolsite.wire.jobs import Assignment, JobKind
from tests import factories
from tests.people import tenant
from tests.unit.apps.proving.attempts import job_of
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look
from tests.unit.apps.proving.retries import proving, sent
from tests.unit.apps.sectors.sealing import claim

CHALLENGED, LAST = 958, 968
"""When the proof can be begun, and when the last time."""
STALLED = CHALLENGED + 3
"""A quarter of the ten epochs between is over."""


def prover(name: str, **data: Any) -> Worker:
    """A prover that was heard of just now and reads the store."""
    return factories.worker(name, kinds=[JobKind.WINDOW_POST], **{"stores": ["store-1"], **data})


def taken(host: Worker) -> Assignment | None:
    """What a prover gets that asks for work."""
    given = claim(host, at=clock.now(), kinds=(JobKind.WINDOW_POST,), stages={}, max=1)
    return given[0] if given else None


def takes(host: Worker) -> Assignment:
    """The job that a prover gets."""
    job = taken(host)
    assert job is not None
    return job


def beats(host: Worker, job: Assignment, *, read: int = 0, total: int = 2, unit: str = "sectors") -> bool:
    """A heartbeat that renews the lease and tells of so many sectors; False if the lease is lost."""
    progress = Progress(token=job.token, stage="WINDOW_POST", done=read, total=total, unit=unit)
    held = [HeldJob(id=job.id, progress=progress)]
    return bool(leases_renew(host, held_jobs=held, now=clock.now()))


def hands_in(job: Assignment, proof: bytes = b"proof", faults: tuple[int, ...] = ()) -> None:
    """A prover reports its result."""
    told = Complete(token=job.token, proof=b"" if faults else proof, faults=faults)
    job_complete(job.id, complete=told, tenant_id=tenant("alice").pk, now=clock.now())


def gives_up(job: Assignment, level: Level = Level.PERMANENT) -> None:
    """A prover reports a failure."""
    told = Fail(token=job.token, level=level, stage="WINDOW_POST", error="the child died")
    job_fail(job.id, fail=told, tenant_id=tenant("alice").pk, now=clock.now())


def state_of(job: Assignment) -> str:
    """The state of a job's row."""
    return str(Job.objects.get(uuid=job.id).state)


def fresh(row: WindowPost) -> WindowPost:
    """The proof as its row is now."""
    return WindowPost.objects.get(pk=row.pk)


class Scene:
    """A proof that the host `ill` has claimed at its challenge."""

    def __init__(self, *others: str, partitions: list[int] | None = None, **facts: Any) -> None:
        self.chain = OneDeadline()
        self.row = proving(partitions or [0])
        self.ill = prover("ill")
        self.others = [prover(name, **facts) for name in others]
        self.passes(CHALLENGED)
        self.first = takes(self.ill)
        assert beats(self.ill, self.first)

    def passes(self, height: int) -> WindowPost:
        """One pass of the coordinator."""
        posts_advance(look(self.chain, height))
        return fresh(self.row)

    def relieved(self) -> Assignment:
        """The job that the other host gets once the first one is taken for stalled."""
        self.passes(STALLED)
        assert taken(self.ill) is None, "it is not asked beside itself"
        return takes(self.others[0])

    def lands(self, height: int = 962) -> WindowPost:
        """A pass after which exactly one message has been pushed and nothing is left to be made."""
        row = self.passes(height)
        assert (row.state, job_of(row, AttemptKind.BACKUP), sent(row)) == (PostState.SENT, None, {0: []})
        assert Message.objects.filter(kind="window_post").count() == 1
        assert not Job.objects.filter(state__in=[JobState.READY, JobState.LEASED]).exists()
        return row
