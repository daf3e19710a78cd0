"""What must be true of claims, leases, tokens and of where a sector lies, whatever hosts and people do.

A `World` is a few hosts and sectors and a copy of what has to be known of them.  An act is done on the real
services and on that copy; what the services may answer follows from the copy, and after each act the rows
are what it says.  An act takes all that it chooses from its own dice, so that any list of acts can be done
again, and shortened.
"""

from __future__ import annotations

import random
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from apps.core.prepared_statements import Prepared
from apps.miners.models import Miner
from apps.sectors.errors.hosts import WorkerReplaced, WorkerRetired
from apps.sectors.errors.jobs import BadReport, JobUnknown, LeaseLost, OtherReport, OutOfOrder, StateDiffers
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.services.hosts.retirement import worker_retire
from apps.sectors.services.jobs import lease_renewals, reports, stage_events
from apps.sectors.services.jobs.claims import jobs_claim
from apps.sectors.services.jobs.leases import leases_sweep
from apps.sectors.services.sealing.steps import (
    job_lock,
    sector_abort,
    sector_retry,
    sector_step,
    sector_stop,
)
from apps.sectors.states import JobState
from poolsite.wire.hosts import HeldJob
from poolsite.wire.job_reports import Event, EventAnswer, Fail, Level, Progress, Release
from poolsite.wire.jobs import Assignment, Claim, JobKind
from poolsite.wire.pipeline import NEXT_STAGE, WORKER_STAGES, Owner
from tests import factories
from tests.people import tenant
from tests.unit.apps.sectors.sealing import DIGEST, NOON, OUTPUTS, host

SECTORS: Final = 4
LEASE_S: Final = 90
HOSTS: Final = 3
HELD: Final = 40
"""Assignments that are remembered: old ones come back as words of a host that was long away."""
TICKET: Final = "TREE_D_BUILT"
"""Here the console assigns the ticket."""
DONE: Final = frozenset({"PERSISTED", "ABORTED"})
"""From here on the world takes another sector."""
THIEF: Final = "thief"
"""A host of another tenant."""
ROWS: Final = Prepared(
    "model_rows",
    "SELECT job.uuid::text, job.lease_token, job.seq, sector.state, sector.paused_at IS NOT NULL, job.state,"
    " worker.uid, sticky.uid, job.lease_until"
    " FROM sectors_job job JOIN sectors_sector sector ON sector.id = job.sector_id"
    " LEFT JOIN sectors_worker worker ON worker.id = job.worker_id"
    " LEFT JOIN sectors_worker sticky ON sticky.id = job.sticky_worker_id WHERE job.uuid = ANY($1::uuid[])",
    ["text[]"],
)
REFUSED: Final = (LeaseLost, OutOfOrder, OtherReport, JobUnknown, StateDiffers, BadReport)


@dataclass(slots=True)
class Held:
    """What a host was given: its token may be old by now."""

    worker: str
    job: Assignment
    seq: int
    state: str
    stage: str
    """Empty once it was told that the next stage is not its own."""
    sent: Event | None = None
    """The last report that was accepted under it."""

    @property
    def progress(self) -> Progress:
        """How far the host says that its stage is."""
        return Progress(token=self.job.token, stage=self.stage, done=1, total=2)

    def event(self, *, token: int | None = None, seq: int | None = None) -> Event:
        """The report of its stage's end."""
        name = WORKER_STAGES[self.stage].report
        return Event(
            token=self.job.token if token is None else token,
            seq=self.seq + 1 if seq is None else seq,
            state=self.state,
            event=name,
            outputs=OUTPUTS[name],
        )


@dataclass(slots=True)
class Known:
    """What must be true of a job."""

    sector_id: int
    token: int
    holder: str | None = None
    until: datetime = NOON
    sticky: str | None = None
    seq: int = 0
    state: str = "ALLOCATED"
    not_before: datetime | None = None
    is_paused: bool = False

    @property
    def is_workers(self) -> bool:
        """Whether a host's report may move it."""
        return not self.is_paused and NEXT_STAGE[self.state].owner is Owner.WORKER

    def is_free(self, now: datetime) -> bool:
        """Whether a host with its files and a slot for it may have it."""
        is_held = self.holder is not None and self.until >= now
        return self.is_workers and not is_held and (self.not_before is None or self.not_before <= now)


@dataclass(slots=True)
class Seen:
    """All that an act changes in a world, so that it can be taken back with the rows."""

    now: datetime = NOON
    hosts: dict[str, Worker] = field(default_factory=dict)
    """Those in service."""
    retired: dict[str, Worker] = field(default_factory=dict)
    jobs: dict[str, Known] = field(default_factory=dict)
    """Those that are not over, and those of which a host may still speak."""
    held: list[Held] = field(default_factory=list)
    boots: int = 1
    joined: int = 0
    taken: int = 0
    """Reports that moved a sector."""
    ended: int = 0

    def copied(self) -> Seen:
        """Return one that shares nothing that changes."""
        twin = copy(self)
        twin.hosts, twin.retired = dict(self.hosts), dict(self.retired)
        twin.jobs = {key: copy(known) for key, known in self.jobs.items()}
        twin.held = [copy(one) for one in self.held]
        return twin


class World:
    """Three hosts of one tenant, one of another, and some sectors of a miner."""

    def __init__(self, miner: Miner) -> None:
        self.miner = miner
        self.dice = random.Random()
        self.seen = Seen()
        self.thief = host(THIEF, of="bob", at=NOON)
        for _ in range(HOSTS):
            self.host_joins()
        for _ in range(SECTORS):
            self.sector_new()

    def do(self, act: str, number: int) -> str:
        """Do an act by the dice of this number, compare; gives in words what was done to what."""
        self.dice.seed(number)
        did = str(getattr(self, act)())
        self.check()
        return f"{act} {did}"

    def host_joins(self) -> None:
        self.seen.joined += 1
        name = f"u{self.seen.joined}"
        self.seen.hosts[name] = host(name, at=self.seen.now)

    def sector_new(self) -> None:
        sector = factories.sector(self.miner)
        self.seen.jobs[str(sector.job.uuid)] = Known(sector.pk, token=sector.job.lease_token)

    def ends(self, known: Known) -> None:
        """Put another sector in the place of one that is over."""
        self.seen.ended += 1
        known.holder = None
        self.sector_new()

    def open(self) -> list[Known]:
        return [known for known in self.seen.jobs.values() if known.state not in DONE]

    def name(self) -> str:
        return self.dice.choice(list(self.seen.hosts))

    def pick(self) -> Held | None:
        """Choose something that was given to a host, lately more often."""
        held = self.seen.held
        if not held:
            return None
        return self.dice.choice(held[-3 * SECTORS :] if self.dice.random() < 0.9 else held)

    def known(self, one: Held) -> Known:
        return self.seen.jobs[one.job.id]

    def is_newest(self, one: Held) -> bool:
        return self.known(one).token == one.job.token

    def holds(self, one: Held) -> bool:
        """Whether it is its host's: the lease may have run out, as long as nobody took it back."""
        return self.is_newest(one) and self.known(one).holder == one.worker

    def word(self, one: Held) -> str:
        """Name an assignment, the same in each life of the world."""
        place = list(self.seen.jobs).index(one.job.id)
        return f"{one.worker} job {place} token {one.job.token} {one.stage or 'waits'}"

    # What hosts do

    def claims(self) -> str:
        """Claim, with all slots or some, with room for new sectors or, as one that drains, without."""
        name, now = self.name(), self.seen.now
        stages = [stage for stage in WORKER_STAGES if self.dice.random() < 0.8]
        rooms, most = self.dice.choice([0, 1, 9]), self.dice.randint(1, 3)
        free = [one for one in self.open() if one.is_free(now) and NEXT_STAGE[one.state].stage in stages]
        own = sum(one.sticky == name for one in free)
        new = sum(one.sticky is None for one in free)
        got = self.asks(self.seen.hosts[name], stages=stages, new_sectors=rooms, max=most)
        due = min(most, own + min(rooms, new))
        assert len(got) == due, f"{name} got {len(got)} jobs, {due} were due"
        for job in got:
            self.is_given(name, job)
        self.forget()
        return f"{name}: {len(got)} of {len(stages)} stages, {rooms} rooms"

    def is_given(self, name: str, job: Assignment) -> None:
        known, now = self.seen.jobs[job.id], self.seen.now
        assert known.holder is None or known.until < now, "two hosts hold one job"
        assert known.sticky in (None, name), "its files lie on another host"
        assert known.is_free(now), "nobody may have it now"
        assert job.token > known.token, "a token did not grow"
        assert job.seal is not None
        assert (job.seq, job.seal.state) == (known.seq, known.state), "a finished stage is given again"
        known.token, known.holder, known.sticky, known.not_before = job.token, name, name, None
        known.until = now + timedelta(seconds=LEASE_S)
        self.seen.held.append(Held(name, job, job.seq, known.state, job.seal.stage))

    def forget(self) -> None:
        """Drop the oldest assignments, and what is over and nobody may speak of any more."""
        del self.seen.held[:-HELD]
        named = {one.job.id for one in self.seen.held}
        over = [key for key, known in self.seen.jobs.items() if known.state in DONE and key not in named]
        for key in over:
            del self.seen.jobs[key]

    def asks(self, worker: Worker, *, boot: str | None = None, **facts: Any) -> tuple[Assignment, ...]:
        stages = dict.fromkeys(facts.pop("stages", WORKER_STAGES), 9)
        boot_id = worker.boot_id if boot is None else boot
        asked = Claim(
            worker_id=str(worker.uuid), boot_id=boot_id, kinds=(JobKind.SEAL,), stages=stages,
            **{"new_sectors": 9, "max": 9} | facts,
        )  # fmt: skip
        return jobs_claim(worker, claim=asked, now=self.seen.now).jobs

    def claims_in_vain(self) -> str:
        """Claim as another tenant's host, an earlier start of a host (or its clone), or a retired one."""
        name = self.name()
        assert not self.asks(self.thief), "another tenant's host got a job"
        with pytest.raises(WorkerReplaced):
            self.asks(self.seen.hosts[name], boot="b0")
        for worker in self.seen.retired.values():
            with pytest.raises(WorkerRetired):
                self.asks(worker)
        return name

    def beats(self) -> str:
        """A host's heartbeat with all that it thinks it holds; or, by a mistake, with what others hold."""
        name, is_foreign = self.name(), self.dice.random() < 0.2
        mine = [one for one in self.seen.held[-3 * SECTORS :] if (one.worker == name) != is_foreign]
        held = {one.job.id: one for one in mine}
        told = [HeldJob(id=key, progress=one.progress) for key, one in held.items()]
        renewed = {
            one.id
            for one in lease_renewals.leases_renew(self.seen.hosts[name], held_jobs=told, now=self.seen.now)
        }
        for key, one in held.items():
            may = self.holds(one) and one.worker == name
            assert (key in renewed) == may, f"renewed: {key in renewed}, due: {may}"
            if may:
                self.known(one).until = self.seen.now + timedelta(seconds=LEASE_S)
        return f"{name}: {len(renewed)} of {len(held)}"

    def tells(self) -> str:
        """Word of how far one stage is."""
        if (one := self.pick()) is None:
            return ""
        may = self.is_newest(one) and self.known(one).holder is not None
        try:
            reports.job_progress_record(
                one.job.id, progress=one.progress, tenant_id=tenant().pk, now=self.seen.now
            )
        except LeaseLost:
            assert not may, "a holder could not renew"
        else:
            assert may, "an old token was renewed"
            self.known(one).until = self.seen.now + timedelta(seconds=LEASE_S)
        return self.word(one)

    def said(self, one: Held, event: Event, *, of: str = "alice") -> EventAnswer | None:
        try:
            return stage_events.job_event_record(
                one.job.id, event=event, tenant_id=tenant(of).pk, now=self.seen.now
            )
        except REFUSED:
            return None

    def reports(self) -> str:
        """Report the end of a stage, in time, late, for the second time or under an old token."""
        if (one := self.pick()) is None or not one.stage:
            return ""
        word, known, event = self.word(one), self.known(one), one.event()
        is_next = (one.seq, one.state) == (known.seq, known.state)
        # Given back before it was begun, it lies nowhere: whoever reports all the same has lost it.
        may = self.is_newest(one) and is_next and known.is_workers and known.sticky is not None
        answer = self.said(one, event)
        assert (answer is not None) == may, f"report taken: {answer}, due: {may}"
        if answer is None:
            return word
        self.seen.taken += 1
        known.seq, known.state, known.not_before = known.seq + 1, answer.state, None
        one.seq, one.state, one.sent = known.seq, answer.state, event
        assert answer.seq == known.seq
        one.stage = "" if answer.seal is None else answer.seal.stage
        goes_on = known.holder is not None and known.is_workers
        assert bool(one.stage) == goes_on, "whoever holds a job goes on with it"
        known.holder = one.worker if goes_on else None
        if goes_on:
            known.until = self.seen.now + timedelta(seconds=LEASE_S)
        if known.state in DONE:
            self.ends(known)
        return word

    def replays(self) -> str:
        """The last report once more, another under its number, and one before its turn."""
        one = self.pick()
        if one is None or one.sent is None:
            return ""
        again = self.said(one, one.sent)
        assert (again is not None) == self.is_newest(one), "a repeated report is answered as before"
        assert again is None or again.seq == self.known(one).seq
        other = replace(one.sent, outputs=replace(one.sent.outputs, ms=one.sent.outputs.ms + 1))
        assert self.said(one, other) is None, "another report under the same number was taken"
        if one.stage:
            early = one.event(seq=self.known(one).seq + 2)
            assert self.said(one, early) is None, "a report before its turn was taken"
        return self.word(one)

    def steals(self) -> str:
        """Report as another tenant, or under a token that nobody was given yet."""
        one = self.pick()
        if one is None or not one.stage:
            return ""
        known = self.known(one)
        assert self.said(one, one.event(), of="bob") is None, "another tenant reported"
        guessed = one.event(token=known.token + 1, seq=known.seq + 1)
        assert self.said(one, guessed) is None, "a guessed token was taken"
        return self.word(one)

    def gives_back(self) -> str:
        """Release a job, or fail: for a while, or until somebody decides."""
        if (one := self.pick()) is None or not one.stage:
            return ""
        known, word = self.known(one), self.word(one)
        may = self.is_newest(one) and known.holder is not None
        level = self.dice.choice([None, None, Level.TEMPORARY, Level.PERMANENT])
        try:
            if level is None:
                release = Release(token=one.job.token)
                reports.job_release(one.job.id, release=release, tenant_id=tenant().pk, now=self.seen.now)
            else:
                fail = Fail(token=one.job.token, level=level, stage=one.stage, error="no room")
                reports.job_fail(one.job.id, fail=fail, tenant_id=tenant().pk, now=self.seen.now)
        except LeaseLost:
            assert not may, "a holder could not give its job back"
            return f"{word} {level}"
        assert may, "an old token gave a job back"
        known.holder = None
        if level is None and known.state == "ALLOCATED":
            known.sticky = None
        if level is not None:
            row = Job.objects.get(uuid=one.job.id)
            known.is_paused, known.not_before = row.state == JobState.PAUSED, row.not_before
            assert known.is_paused or level is Level.TEMPORARY
            assert known.is_paused or (known.not_before or NOON) > self.seen.now, "tried again at once"
        return f"{word} {level}"

    # What befalls hosts, and what people and the console do

    def time_goes(self) -> str:
        """On, or by a clock that was put right, back; leases that ran out are swept, or are not yet."""
        step = self.dice.choice([1, 20, 50, 100, 100, 400, -40, -200])
        self.seen.now += timedelta(seconds=step)
        is_swept = self.dice.random() < 0.5
        if is_swept:
            leases_sweep(now=self.seen.now)
            for known in self.seen.jobs.values():
                if known.holder is not None and known.until < self.seen.now:
                    known.holder = None
        return f"{step} s{', swept' if is_swept else ''}"

    def is_lost(self, name: str) -> None:
        """Take away all that a host holds: what it still says of it is refused."""
        for key, known in self.seen.jobs.items():
            if known.holder == name:
                token = Job.objects.get(uuid=key).lease_token
                assert token > known.token, "a dead host's token still counts"
                known.holder, known.token = None, token

    def dies(self) -> str:
        """A host is killed and comes back; what it held it may have again under a new token."""
        name = self.name()
        self.seen.boots += 1
        self.seen.hosts[name] = host(name, f"b{self.seen.boots}", at=self.seen.now)
        self.is_lost(name)
        return name

    def retires(self) -> str:
        """A host is taken out of service for ever, and another joins."""
        name = self.name()
        worker = self.seen.hosts.pop(name)
        worker_retire(worker, now=self.seen.now)
        self.seen.retired = {name: Worker.objects.get(pk=worker.pk)}
        self.is_lost(name)
        self.host_joins()
        return name

    def console_goes_on(self) -> str:
        """Assign the tickets that sectors wait for."""
        waiting = [one for one in self.open() if one.state == TICKET and not one.is_paused]
        for known in waiting:
            job, sector = job_lock(known.sector_id)
            sector_step(
                sector, event="ASSIGN_TICKET", job=job, now=self.seen.now, ticket=DIGEST, ticket_epoch=1
            )
            known.state, known.holder = sector.state, None
        return str(len(waiting))

    def person_decides(self) -> str:
        """Pause, go on with, or abort a sector, most often one that cannot go on by itself."""
        stuck = [one for one in self.open() if one.sticky in self.seen.retired]
        paused = [one for one in self.open() if one.is_paused]
        known = self.dice.choice(stuck or paused or self.open())
        sector = Sector.objects.get(pk=known.sector_id)
        place = [one.sector_id for one in self.seen.jobs.values()].index(known.sector_id)
        said: dict[str, Any] = {"actor": "alice", "now": self.seen.now}
        if stuck or self.dice.random() < 0.2:
            sector_abort(sector, reason="enough", **said)
            known.state, known.is_paused, known.not_before = "ABORTED", False, None
            self.ends(known)
            return f"aborts job {place}"
        if known.is_paused:
            sector_retry(sector, **said)
            known.is_paused, known.not_before = False, None
            return f"goes on with job {place}"
        sector_stop(sector, **said)
        known.is_paused, known.holder = True, None
        return f"pauses job {place}"

    # What must be true

    def check(self) -> None:
        """Compare the rows with what they must be."""
        jobs = self.seen.jobs
        rows = ROWS.rows([list(jobs)])
        assert len(rows) == len(jobs), "a job is lost"
        for key, token, seq, sector_state, is_paused, state, holder, sticky, until in rows:
            known = jobs[key]
            told = (token, seq, sector_state, is_paused, holder, sticky)
            must = (known.token, known.seq, known.state, known.is_paused, known.holder, known.sticky)
            assert told == must, f"{told} instead of {must}"
            assert (state == JobState.LEASED) == (holder is not None), "a lease without a holder"
            assert holder is None or until == known.until, "another end of the lease"

    def check_all(self) -> None:
        """Count every result that was ever taken: each once, under its own number."""
        counted = 0
        for job in Job.objects.filter(miner=self.miner):
            numbers = job.events.exclude(seq=None).values_list("seq", flat=True)
            assert sorted(number or 0 for number in numbers) == list(range(1, job.seq + 1))
            counted += job.seq
        assert counted == self.seen.taken


ACTS: Final = {
    "claims": 30, "claims_in_vain": 3, "beats": 8, "tells": 6, "time_goes": 14, "reports": 32, "replays": 6,
    "steals": 3, "gives_back": 9, "dies": 1.5, "retires": 0.3, "console_goes_on": 4, "person_decides": 4,
}  # fmt: skip
"""How often each is done; what takes long, seldom."""
