"""Choose which waiting hosts are told of a free job: a few first, then twice as many, none of them twice.

A host that is told claims, and of two thousand that could take a new job one gets it.  A free job that none
of them gets, for a reason that only a claim finds (no disk space, a rule), would keep all of them claiming.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from apps.sectors.services.jobs.free_jobs import FreeJob, WaitingHost
from poolsite.wire.jobs import STAGED, JobKind

FIRST: Final = 8
"""Hosts that are told of a new job at the first poll; at each further poll twice as many."""
MOST: Final = 128
"""Most hosts that are told at one poll."""
AGAIN_S: Final = 30.0
"""Time after which a host is told once more of a job that it did not take."""
FEW_AGAIN_S: Final = 5.0
"""The same for checks, aggregates and jobs that only this host may take: there are few of these."""
WINDOW_AGAIN_S: Final = 1.0
"""The same for a window's proof, which is urgent: the job is offered to other hosts without a new lease."""
FORGET_S: Final = 120.0
"""Time after which it is forgotten that a host was told."""


@dataclass(frozen=True, slots=True)
class LastTell:
    """When a host was last told, which then covered all free jobs."""

    number: int
    """Number of the newest free job at that time."""
    at: float


@dataclass(slots=True)
class Group:
    """Free jobs of a tenant, kind and stage: a host that may take one of them mostly may take the others."""

    newest: int = 0
    most: int = FIRST
    jobs: dict[int | None, FreeJob] = field(default_factory=dict)
    """The newest one at this poll, by the only host that may take it; None: any host may."""


class JobTells:
    """Which hosts that wait in this process were told of which jobs.  Times are of the monotonic clock."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        """Numbers of the jobs that were free at the last poll, in the order in which they appeared."""
        self._number = count(1)
        self._own: dict[tuple[int, int], int] = {}
        """Those of them that only one host may take, with its id."""
        self._groups: dict[tuple[int, str, str, bool], Group] = {}
        self._lasts: dict[int, LastTell] = {}

    def choose(self, hosts: Collection[WaitingHost], free: Collection[FreeJob], *, at: float) -> set[int]:
        """Return the ids of the hosts to tell at this poll."""
        self._lasts = {id_: last for id_, last in self._lasts.items() if at - last.at < FORGET_S}
        # What only one host may have is looked for while it waits: that it claims makes nothing new.
        claiming = self._lasts.keys() - {host.id for host in hosts}
        self._own = {key: id_ for key, id_ in self._own.items() if id_ in claiming}
        self._own |= {(job.id, job.lease_token): job.host_id for job in free if job.host_id is not None}
        keys = self._own.keys() | {(job.id, job.lease_token) for job in free}
        self._numbers = {key: self._numbers.get(key) or next(self._number) for key in sorted(keys)}
        self._groups = self._grouped(free)
        of_tenants: dict[int, list[WaitingHost]] = {}
        for host in hosts:
            of_tenants.setdefault(host.tenant_id, []).append(host)
        chosen: set[int] = set()
        for key, group in self._groups.items():
            newest = max(map(self._number_of, group.jobs.values()))
            group.most = FIRST if newest > group.newest else min(2 * group.most, MOST)
            group.newest = newest
            those = of_tenants.get(key[0], ())
            due = [host.id for host in those if host.id not in chosen and self._is_due(host, key, at)]
            # A job for a single host is told at once; of others, hosts that were told longest ago hear first.
            is_for_one = key[3]
            chosen.update(due if is_for_one else sorted(due, key=self._last_at)[: group.most])
        newest = max(self._numbers.values(), default=0)
        self._lasts |= dict.fromkeys(chosen, LastTell(newest, at))
        return chosen

    def _grouped(self, free: Collection[FreeJob]) -> dict[tuple[int, str, str, bool], Group]:
        groups: dict[tuple[int, str, str, bool], Group] = {}
        for job in sorted(free, key=self._number_of):
            key = (job.tenant_id, job.kind, job.stage, job.kind == JobKind.SEAL and job.host_id is not None)
            if key not in groups:
                before = self._groups.get(key, Group())
                groups[key] = Group(before.newest, before.most)
            groups[key].jobs[job.host_id] = job
        return groups

    def _is_due(self, host: WaitingHost, key: tuple[int, str, str, bool], at: float) -> bool:
        """Return whether a group has a job that the host could take and was not told of."""
        jobs = self._groups[key].jobs
        job = jobs.get(host.id) or jobs.get(None)
        if job is None or not host.takes(job):
            return False
        last = self._lasts.get(host.id)
        return last is None or self._number_of(job) > last.number or at - last.at >= again_s(job)

    def _number_of(self, job: FreeJob) -> int:
        return self._numbers[job.id, job.lease_token]

    def _last_at(self, host_id: int) -> float:
        last = self._lasts.get(host_id)
        return 0.0 if last is None else last.at


def again_s(job: FreeJob) -> float:
    """Return after how many seconds a host is told once more of a job that it did not take."""
    if job.kind == JobKind.WINDOW_POST:
        return WINDOW_AGAIN_S
    return AGAIN_S if job.kind in STAGED and job.host_id is None else FEW_AGAIN_S
