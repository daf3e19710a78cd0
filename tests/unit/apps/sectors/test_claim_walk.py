"""A model: random claims, renewals, expiries, reports, replays, stolen tokens and killed hosts, in any order.

A job has one holder at a time, tokens only grow, a result counts once, and whoever has an old token changes
nothing.  The walk knows what must be accepted; after each step the rows are what it knows.  It commits now
and then, as the versions of a row that one long transaction leaves behind are read by each later step.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from msgspec.structs import replace

from apps.core.live import changes_deferred
from apps.core.prepared_statements import Prepared
from apps.sectors.errors import BadReport, JobUnknown, LeaseLost, OtherReport, OutOfOrder, StateDiffers
from apps.sectors.models import Job, JobEvent, Sector
from apps.sectors.services.claims import leases_sweep
from apps.sectors.services.hosts import leases_renew
from apps.sectors.services.reports import job_event, job_fail, job_progress, job_release
from apps.sectors.states import JobState
from poolsite.wire.hosts import HeldJob
from poolsite.wire.jobs import Event, Fail, Level, Progress, Release
from poolsite.wire.pipeline import WORKER_STAGES
from tests import factories
from tests.people import tenant
from tests.unit.apps.sectors.sealing import NOON, OUTPUTS, claim, host

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.sectors.host_models import Worker
    from poolsite.wire.jobs import Assignment, EventAnswer

pytestmark = pytest.mark.django_db(transaction=True)

STEPS, LONG_STEPS = 2_500, 25_000
"""Of one walk."""
SEEDS, LONG_SEEDS = range(1, 5), range(5, 45)
"""Ten thousand steps, by as many processes as test; of the long run a million."""
BATCH = 200
"""Steps of one transaction."""
ROWS = Prepared(
    "walk_rows",
    "SELECT job.uuid::text, job.lease_token, job.seq, sector.state, job.state, worker.uid, job.lease_until"
    " FROM sectors_job job JOIN sectors_sector sector ON sector.id = job.sector_id"
    " LEFT JOIN sectors_worker worker ON worker.id = job.worker_id WHERE job.uuid = ANY($1::uuid[])",
    ["text[]"],
)
SECTORS = 4
LEASE_S = 90
DONE = "TREE_D_BUILT"
"""From here on the console goes on: the walk takes another sector."""


@dataclass
class Held:
    """What a host was given: its token may be old by now."""

    worker: str
    job: Assignment
    seq: int
    state: str
    stage: str
    sent: Event | None = None
    """The last report that was accepted under it."""

    @property
    def progress(self) -> Progress:
        """How far the host says that its stage is."""
        return Progress(token=self.job.token, stage=self.stage, done=1, total=2)


@dataclass
class Known:
    """What must be true of a job."""

    token: int
    holder: str | None = None
    until: datetime = NOON
    sticky: str | None = None
    seq: int = 0
    state: str = "ALLOCATED"
    is_free: bool = True
    """False while it waits for its next try, or is over."""


@dataclass
class Walk:
    """Three hosts of one tenant, one of another, and some sectors of a miner."""

    dice: random.Random
    miner: Miner
    now: datetime = NOON
    boots: Counter[str] = field(default_factory=Counter)
    hosts: dict[str, Worker] = field(default_factory=dict)
    jobs: dict[str, Known] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    """Keys of those that are not done."""
    held: list[Held] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    newest: int = 0
    """The largest token that was given for any job."""

    def start(self) -> None:
        for name in ("u1", "u2", "u3"):
            self.hosts[name] = host(name, at=self.now)
        self.hosts["thief"] = host("thief", of="bob", at=self.now)
        for _ in range(SECTORS):
            self.sector_new()

    def sector_new(self) -> None:
        sector = factories.sector(self.miner)
        self.jobs[str(sector.job.uuid)] = Known(token=sector.job.lease_token)
        self.open.append(str(sector.job.uuid))

    def pick(self) -> Held | None:
        """Take something that was given to a host, lately more often."""
        if not self.held:
            return None
        recent = self.held[-3 * SECTORS :]
        return self.dice.choice(recent if self.dice.random() < 0.9 else self.held)

    def is_newest(self, one: Held) -> bool:
        return self.jobs[one.job.id].token == one.job.token

    # What can happen

    def claims(self) -> None:
        name = self.dice.choice(["u1", "u2", "u3", "thief"])
        worker = self.hosts[name]
        got = claim(worker, at=self.now, max=self.dice.randint(1, 3))
        assert name != "thief" or not got, "another tenant's host gets nothing"
        for job in got:
            known = self.jobs[job.id]
            assert known.holder is None or known.until < self.now, "two hosts hold one job"
            assert known.sticky in (None, name), "its files lie on another host"
            assert job.token > known.token, "a token did not grow"
            assert (job.seq, job.seal and job.seal.state) == (known.seq, known.state)
            known.token, known.holder, known.sticky = job.token, name, name
            known.until, known.is_free = self.now + timedelta(seconds=LEASE_S), True
            stage = "" if job.seal is None else job.seal.stage
            self.held.append(Held(name, job, job.seq, known.state, stage))
        del self.held[:-200]

    def renews(self) -> None:
        """A host's heartbeat with all that it thinks it holds, or word of one stage."""
        if (one := self.pick()) is None:
            return
        if self.dice.random() < 0.8:
            self.beats(one.worker)
            return
        known = self.jobs[one.job.id]
        may = self.is_newest(one) and known.holder == one.worker
        try:
            job_progress(one.job.id, one.progress, tenant_id=tenant().pk, now=self.now)
        except LeaseLost:
            assert not may, "a holder could not renew"
        else:
            assert may, "an old token was renewed"
            known.until = self.now + timedelta(seconds=LEASE_S)

    def beats(self, name: str) -> None:
        held = {one.job.id: one for one in self.held[-3 * SECTORS :] if one.worker == name}
        told = [HeldJob(id=key, progress=one.progress) for key, one in held.items()]
        renewed = {one.id for one in leases_renew(self.hosts[name], told, now=self.now)}
        for key, one in held.items():
            known = self.jobs[key]
            may = self.is_newest(one) and known.holder == name
            assert (key in renewed) == may, f"renewed: {key in renewed}, due: {may}"
            if may:
                known.until = self.now + timedelta(seconds=LEASE_S)

    def time_goes(self) -> None:
        self.now += timedelta(seconds=self.dice.choice([1, 20, 50, 100]))
        if self.dice.random() < 0.5:
            leases_sweep(now=self.now)
            for known in (self.jobs[key] for key in self.open):
                if known.holder is not None and known.until < self.now:
                    known.holder = None

    def reports(self) -> None:
        if (one := self.pick()) is None or one.stage not in WORKER_STAGES:
            return
        known = self.jobs[one.job.id]
        name = WORKER_STAGES[one.stage].report
        event = Event(
            token=one.job.token, seq=one.seq + 1, state=one.state, event=name, outputs=OUTPUTS[name]
        )
        may = self.is_newest(one) and one.seq == known.seq and known.state != DONE
        before = known.seq
        answer = self.said(one, event)
        assert (answer is not None) == (may or one.sent == event), f"report taken: {answer}, due: {may}"
        if answer is None or not may:
            return
        known.seq, known.state = before + 1, answer.state
        one.seq, one.state, one.sent = known.seq, answer.state, event
        self.told[one.job.id] += 1
        if answer.seal is None:
            known.holder = None
            one.stage = ""
            if answer.state == DONE:
                self.sector_new()
        else:
            one.stage = answer.seal.stage
            known.holder, known.until = one.worker, self.now + timedelta(seconds=LEASE_S)

    def said(self, one: Held, event: Event, *, of: str = "alice") -> EventAnswer | None:
        try:
            return job_event(one.job.id, event, tenant_id=tenant(of).pk, now=self.now)
        except (LeaseLost, OutOfOrder, OtherReport, JobUnknown, StateDiffers, BadReport):
            return None

    def replays(self) -> None:
        one = self.pick()
        if one is None or one.sent is None:
            return
        other = replace_ms(one.sent)
        again = self.said(one, one.sent)
        assert (again is not None) == self.is_newest(one), "a repeated report is answered as before"
        assert self.said(one, other) is None, "another report under the same number was taken"

    def steals(self) -> None:
        one = self.pick()
        if one is None or one.stage not in WORKER_STAGES:
            return
        name = WORKER_STAGES[one.stage].report
        event = Event(
            token=one.job.token, seq=one.seq + 1, state=one.state, event=name, outputs=OUTPUTS[name]
        )
        assert self.said(one, event, of="bob") is None, "another tenant reported"
        known = self.jobs[one.job.id]
        wrong = Event(
            token=known.token + 1, seq=known.seq + 1, state=known.state, event=name, outputs=OUTPUTS[name]
        )
        assert self.said(one, wrong) is None, "a guessed token was taken"

    def kills(self) -> None:
        name = self.dice.choice(["u1", "u2", "u3"])
        self.boots[name] += 1
        self.hosts[name] = host(name, f"b{self.boots[name] + 1}", at=self.now)
        for key, known in ((key, self.jobs[key]) for key in self.open):
            if known.holder == name:
                known.holder = None
                known.token = Job.objects.get(uuid=key).lease_token

    def fails(self) -> None:
        if (one := self.pick()) is None or not one.stage:
            return
        known = self.jobs[one.job.id]
        may = self.is_newest(one) and known.holder == one.worker
        fail = Fail(token=one.job.token, level=Level.TEMPORARY, stage=one.stage, error="no room")
        gives_back = self.dice.random() < 0.5
        try:
            if gives_back:
                job_release(one.job.id, Release(token=one.job.token), tenant_id=tenant().pk, now=self.now)
            else:
                job_fail(one.job.id, fail, tenant_id=tenant().pk, now=self.now)
        except LeaseLost:
            assert not may, "a holder could not give its job back"
            return
        assert may, "an old token gave a job back"
        known.holder = None
        if gives_back and known.state == "ALLOCATED":
            known.sticky = None
        Job.objects.filter(uuid=one.job.id).update(attempts=0)

    # What must be true

    def check(self) -> None:
        self.open = [key for key in self.open if self.jobs[key].state != DONE]
        rows = ROWS.rows([self.open])
        assert len(rows) == len(self.open) == SECTORS
        for key, token, seq, sector_state, state, holder, until in rows:
            known = self.jobs[key]
            assert (token, seq, sector_state) == (known.token, known.seq, known.state)
            assert (state == JobState.LEASED) == (holder is not None), "a lease without a holder"
            if known.holder is not None:
                assert (holder, until) == (known.holder, known.until)

    def check_all(self) -> None:
        """Count every result that was ever taken: each once, under its own number."""
        for key, known in self.jobs.items():
            numbers = JobEvent.objects.filter(job__uuid=key).exclude(seq=None).values_list("seq", flat=True)
            assert sorted(number or 0 for number in numbers) == list(range(1, known.seq + 1))
            assert known.seq == self.told[key]


def replace_ms(event: Event) -> Event:
    """Return the same report with another content."""
    return replace(event, outputs=replace(event.outputs, ms=event.outputs.ms + 1))


@pytest.mark.parametrize(
    ("seed", "steps"),
    [
        *((seed, STEPS) for seed in SEEDS),
        *(pytest.param(seed, LONG_STEPS, marks=pytest.mark.slow) for seed in LONG_SEEDS),
    ],
)
def test_no_order_of_steps_gives_two_holders_or_counts_twice(seed: int, steps: int) -> None:
    walk = Walk(random.Random(seed), factories.miner())
    walk.start()
    acts: dict[Any, int] = {
        walk.claims: 26, walk.renews: 14, walk.time_goes: 12, walk.reports: 26,
        walk.replays: 7, walk.steals: 4, walk.kills: 2, walk.fails: 9,
    }  # fmt: skip
    done: Counter[str] = Counter()
    with changes_deferred() as kept:
        for first in range(0, steps, BATCH):
            with transaction.atomic():
                for step in range(first, min(first + BATCH, steps)):
                    act = walk.dice.choices(list(acts), list(acts.values()))[0]
                    try:
                        act()
                        walk.check()
                    except AssertionError as wrong:
                        told = f"step {step} of seed {seed}, {act.__name__}: {wrong}"
                        raise AssertionError(told) from wrong
                    done[act.__name__] += 1
            kept.clear()

    walk.check_all()
    assert set(done) == {act.__name__ for act in acts}
    assert sum(walk.told.values()) > steps // 50, "the walk hardly went anywhere"
    assert Sector.objects.filter(state=DONE).count() > steps // 500
