"""A model: random pledges, stages, pre-commits, proofs, lost disks, dumps and restores of a miner's sectors.

What a host or the chain has is the truth.  After each restore every such sector has its row, at least as far;
no number is given twice, none begun or pre-committed twice, and no repeated pledge makes its sectors anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from apps.messages.models import Recovery
from apps.messages.services.recovery.detect import restore_check
from apps.sectors.errors.pledges import PledgeUnsettled
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.jobs import seal_inputs
from apps.sectors.selectors.restored import sectors_recovery
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.readback.imports import ORDER
from apps.sectors.services.readback.sectors import sectors_recover
from apps.sectors.services.sealing.pledge import pledge_create
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of, bitfield_to_json
from poolsite.wire.hosts import SectorOnHost, StoredNumbers
from poolsite.wire.pipeline import NEXT_STAGE, stage_rank
from tests import factories
from tests.unit.apps.messages.recovery import Dump
from tests.unit.apps.sectors.chain import SomeSectors
from tests.unit.apps.sectors.reconcile import work
from tests.unit.apps.sectors.restore import SECTOR_TABLES
from tests.unit.apps.sectors.sealing import DIGEST, NOON, host

WAY = ("TICKET_ASSIGNED", "PC2_DONE", "PERSISTED", "PRECOMMIT_LANDED", "PROVING")
"""States of a sector that somebody else knows of."""
HOSTS = ("u1", "u2")
ANY = st.integers(min_value=0, max_value=50)


class Chain(SomeSectors):
    """A chain with all that the machine has put on it."""

    def __init__(self) -> None:
        super().__init__()
        self.allocated: set[int] = set()

    def call(self, method: str, *_params: Any) -> Any:
        if method == "StateReadState":
            return {"State": {"PreCommitDeposits": str(len(self.precommits))}}
        assert method == "StateMinerAllocated"
        return bitfield_to_json(bitfield_of(self.allocated))

    def do_StateMinerPartitions(self, _miner: str, deadline: int, _key: Any) -> Any:
        return [{"LiveSectors": bitfield_to_json(bitfield_of(self.proven))}] if deadline == 0 else None

    def state_miner_sectors(self, miner: str, numbers: list[int], key: str) -> list[Any]:
        wanted = [number for number in bitfield_from_json(numbers) if number in self.proven]
        return [{"SectorNumber": one, **self.do_StateSectorGetInfo(miner, one, key)} for one in wanted]


@dataclass
class Truth:
    """A sector as its host and the chain have it."""

    host: str
    state: str
    journal: SectorOnHost | None
    """None: the host has lost its disk, or is done with it."""


class Sealing(RuleBasedStateMachine):
    """One miner with two sealing hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic._from_testcase = True  # type: ignore[attr-defined]  # rolled back by the test, not the product's
        self.atomic.__enter__()
        self.chain = Chain()
        self.truth: dict[int, Truth] = {}
        self.keys: dict[str, list[int]] = {}
        self.backup: Dump | None = None
        self.boots = 0
        self.now = NOON

    @initialize()
    def begin(self) -> None:
        self.miner = factories.miner(worker=factories.wallet().address)
        self.context = work(cast("Any", self.chain))
        restore_check(now=self.now)
        self._hosts_register()

    @rule(count=st.integers(min_value=1, max_value=3), has_key=st.booleans())
    def pledge(self, count: int, has_key: bool) -> None:
        key = f"k{len(self.keys)}" if has_key else None
        try:
            made = self._pledge(count, key)
        except PledgeUnsettled:
            return
        if key is not None:
            self.keys[key] = made

    @rule(number=ANY)
    def client_repeats_a_pledge(self, number: int) -> None:
        if not self.keys:
            return
        key = sorted(self.keys)[number % len(self.keys)]
        before = self.keys[key]
        try:
            self.keys[key] = self._pledge(len(before), key)
        except PledgeUnsettled:
            return
        is_same = self.keys[key] == before
        assert is_same or not self.truth.keys() & set(before), f"{before} were made again: {self.keys[key]}"

    @rule(number=ANY, at=st.sampled_from(HOSTS))
    def host_begins(self, number: int, at: str) -> None:
        free = Sector.objects.filter(state="ALLOCATED", job__sticky_worker=None, paused_at=None)
        row = self._some(free, number)
        if row is not None:
            assert row.number not in self.truth, f"{row.number} is begun a second time"
            self.truth[row.number] = Truth(at, "", None)
            self._move(row, "TICKET_ASSIGNED")

    @rule(number=ANY)
    def sector_goes_on(self, number: int) -> None:
        row = self._some(Sector.objects.filter(state__in=WAY[:-1], paused_at=None), number)
        if row is None:
            return
        state = WAY[WAY.index(row.state) + 1]
        truth = self.truth[row.number]
        if state == "PRECOMMIT_LANDED":
            known = self.chain.precommits.keys() | self.chain.proven.keys()
            assert row.number not in known, f"{row.number} is pre-committed a second time"
            self.chain.precommit(row, epoch=150)
            self.chain.allocated.add(row.number)
        elif state == "PROVING":
            self.chain.prove(row)
        elif truth.journal is None:
            return
        self._move(row, state)

    @rule(number=ANY)
    def host_loses_a_disk(self, number: int) -> None:
        """Files whose pre-commit is on chain, so that nobody makes them again."""
        there = sorted(set(self.chain.precommits) & self.truth.keys())
        if there:
            self.truth[there[number % len(there)]].journal = None

    @rule()
    def dump(self) -> None:
        self.backup = Dump(*SECTOR_TABLES)

    @rule()
    def restore(self) -> None:
        if self.backup is None:
            return
        self.backup.restore()
        self.now += timedelta(minutes=1)
        restore_check(now=self.now)
        Recovery.objects.update(since=None)
        self._hosts_register()
        sectors_recover(self._context())
        assert sectors_recovery() is None
        self._rows_are_as_far_as_the_truth()

    def _rows_are_as_far_as_the_truth(self) -> None:
        rows = {row.number: row for row in Sector.objects.select_related("job__sticky_worker")}
        for number, truth in self.truth.items():
            if truth.journal is None and number not in self.chain.allocated:
                continue
            row = rows[number]
            least = "COMMIT_LANDED" if truth.state == "PROVING" else truth.state  # files are cleared then
            assert ORDER[row.state] >= ORDER[least], f"{number}: {row.state}, not {least}"
            if truth.journal is not None and truth.state != "PROVING":
                assert row.job.sticky_worker is not None
                assert (row.job.sticky_worker.uid, row.paused_at) == (truth.host, None)
            if row.state == "COMMIT_LANDED":
                self._move(row, "PROVING")

    def _pledge(self, count: int, key: str | None) -> list[int]:
        taken = [range(*span) for span in bitfield_of(self.chain.allocated).ranges]
        before = set(Sector.objects.values_list("number", flat=True))
        made = pledge_create(self.miner, count=count, actor="ann", now=self.now, allocated=taken, key=key)
        numbers = sorted(made.sectors.values_list("number", flat=True))
        new = set(numbers) - before
        assert not new & self.truth.keys(), f"{new & self.truth.keys()} are given a second time"
        return numbers

    def _move(self, row: Sector, state: str) -> None:
        """Let a sector be at a state, for the console, its host and the chain."""
        truth = self.truth[row.number]
        sealed = {} if state == "TICKET_ASSIGNED" else {"comm_d": DIGEST, "comm_r": DIGEST}
        values = {"ticket": DIGEST, "ticket_epoch": 90, **sealed, "stage_since": self.now}
        Sector.objects.filter(pk=row.pk).update(state=state, **values)
        stage = NEXT_STAGE[state].stage
        worker = Worker.objects.filter(uid=truth.host).first()
        Job.objects.filter(sector=row).update(stage=stage, rank=stage_rank(stage), sticky_worker=worker)
        truth.state = state
        if state == "PROVING":
            truth.journal = None
        elif truth.journal is not None or state == "TICKET_ASSIGNED":
            row = Sector.objects.select_related("miner", "job").get(pk=row.pk)
            token = row.job.lease_token
            truth.journal = SectorOnHost(job=str(row.job.uuid), token=token, inputs=seal_inputs(row))

    def _hosts_register(self) -> None:
        self.boots += 1
        for uid in HOSTS:
            own = [one for one in self.truth.values() if one.host == uid and one.journal is not None]
            files = [one.journal.inputs.number for one in own if one.journal and one.state in WAY[2:]]
            stored = StoredNumbers(
                miner_id=self.miner.actor_id or 0, runs=tuple(bitfield_to_json(bitfield_of(files)))
            )
            told: dict[str, Any] = {"sectors": tuple(one.journal for one in own), "stored": (stored,)}
            host(uid, boot=f"b{self.boots}", at=self.now, stores=(f"store-{uid}",), **told)

    def _context(self) -> SealingContext:
        old = self.context
        return SealingContext(
            client=old.client, network=old.network, head=old.head, now=self.now, policy=old.policy
        )

    @staticmethod
    def _some(rows: Any, number: int) -> Sector | None:
        found = list(rows.select_related("miner", "job").order_by("number"))
        return found[number % len(found)] if found else None

    def teardown(self) -> None:
        try:
            self.restore()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("examples", "steps"),
    [(20, 30), pytest.param(250, 50, marks=pytest.mark.slow)],
    ids=["short", "long"],
)
def test_a_restored_pool_makes_no_sector_twice(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Sealing,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
