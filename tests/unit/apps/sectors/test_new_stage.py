"""A new sealing stage: a row of the table and one processor file are all that it takes (CONTRIBUTING.md)."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from apps.sectors.models import Job, Sector
from apps.sectors.services.jobs.reports import job_fail
from poolsite.wire import pipeline
from poolsite.wire.codec import Text
from poolsite.wire.job_reports import Fail, Level
from poolsite.wire.jobs import Assignment
from poolsite.wire.pipeline import (
    ChainClock,
    Memory,
    Owner,
    Retries,
    SectorEvent,
    StageSpec,
    states_on_clock,
)
from poolsite.wire.pipeline import SectorState as S
from tests import factories
from tests.people import tenant
from tests.unit.apps.sectors.sealing import NOON, claim, host, report
from workers.agent.journal import Work, journal_open
from workers.agent.stages import StageRunner
from workers.config_mistakes import BadConfig
from workers.damocles_config import damocles_read
from workers.host_sums import HostRequirements
from workers.processors import stages
from workers.processors.codec import Message, Octets
from workers.stage_processors import HostProcessors
from workers.storage.stores import Stores

TICKET = bytes([7] * 32)
ROW = StageSpec(
    state=S.PC1_DONE,
    stage="CHECK_LABELS",
    owner=Owner.WORKER,
    label="Check labels",
    event="CHECK_LABELS",
    next="LABELS_CHECKED",
    done="Labels checked",
    others={SectorEvent.RETICKET: S.TREE_D_BUILT, SectorEvent.ABORT: S.ABORTED},
    resume_at=(S.TICKET_ASSIGNED,),
    slots=2,
    plans=("rebuild",),
    memory=Memory(per_sector_byte=1, small_bytes=1 << 30),
    sectors_per_core=4,
    retries=Retries(attempts_max=2, pause_s=7),
    clock=ChainClock.TICKET,
    task="check_labels",
    outputs=("comm_d",),
)
"""Between PC1 and PC2."""


class Task(Message, frozen=True):
    """What the processor file says goes in, by the protocol's names of fields."""

    registered_proof: Text
    cache_path: Text
    ticket: Octets


class Output(Message, frozen=True):
    """What comes out."""

    comm_d: Octets


def run(task: Task, *, progress: Any) -> Output:
    """Do the made-up stage."""
    progress(1, 2)
    return Output(sha256(task.registered_proof.encode() + task.ticket).digest())


class Here:
    """A pool whose children are this process; tasks and outputs pass as JSON all the same."""

    def call(self, name: str, task: Any, *, progress: Any, **_more: Any) -> Any:  # runs to its end
        stage = stages.stage_named(name)
        sent = json.loads(json.dumps(stages.task_encode(task)))
        output = stage.run(stages.task_decode(stage, sent), progress=progress)
        return stages.output_decode(stage, task, json.loads(json.dumps(stages.output_encode(stage, output))))


@pytest.fixture(autouse=True)
def new_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table with the row, and the processor file."""
    rows: list[StageSpec] = []
    for row in pipeline.SEALING:
        rows += [ROW, replace(row, state="LABELS_CHECKED")] if row.state == S.PC1_DONE else [row]
    for row in rows:
        monkeypatch.setitem(pipeline.NEXT_STAGE, row.state, row)
        monkeypatch.setitem(pipeline.STATE_OF_STAGE, row.stage, row.state)
        if row.owner is Owner.WORKER:
            monkeypatch.setitem(pipeline.WORKER_STAGES, row.stage, row)
    for state, moves in pipeline.transitions_of(rows).items():
        monkeypatch.setitem(pipeline.TRANSITIONS, state, moves)
    module = ModuleType("workers.processors.check_labels")
    vars(module).update(Task=Task, Output=Output, run=run)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(stages.STAGES, ROW.task, stages.Stage(ROW.task, ROW.kernels))


@pytest.mark.django_db
def test_a_row_and_a_processor_add_a_stage(tmp_path: Path) -> None:
    sector = factories.sector(factories.miner(), state=S.TICKET_ASSIGNED, ticket=TICKET, ticket_epoch=7)
    (job,) = claim(host())

    given = report(job, "PC1", state=S.TICKET_ASSIGNED).seal
    assert given is not None
    assert given.stage == "CHECK_LABELS"

    journal_open(tmp_path)
    runner = StageRunner(folder=tmp_path, stores=Stores(tmp_path), pool=Here())  # type: ignore[arg-type]  # has what it calls
    work = Work(token=job.token, inputs=given)
    runner.journal.work_write("job", work)
    runner.run("job")
    outputs = runner.journal.outputs_read("job", work.id)
    assert outputs is not None

    answer = report(job, "CHECK_LABELS", state=S.PC1_DONE, seq=job.seq + 2, outputs=outputs)
    sector.refresh_from_db()
    assert (sector.state, bytes(sector.comm_d or b"")) == ("LABELS_CHECKED", outputs.comm_d)
    assert answer.seal is not None
    assert (answer.seal.stage, Job.objects.get().stage) == ("PC2", "PC2")

    report(job, "PC2", state="LABELS_CHECKED", seq=job.seq + 3)
    assert Sector.objects.get().state == S.PC2_DONE


@pytest.mark.django_db
def test_its_row_says_how_it_is_tried_again() -> None:
    sector = factories.sector(factories.miner(), state=S.TICKET_ASSIGNED, ticket=TICKET, ticket_epoch=7)
    worker = host()
    (job,) = claim(worker)
    report(job, "PC1", state=S.TICKET_ASSIGNED)

    fail(job)
    sector.refresh_from_db()
    assert (sector.paused_at, sector.not_before) == (None, NOON + timedelta(seconds=7))

    (job,) = claim(worker, at=NOON + timedelta(seconds=8))
    fail(job)
    sector.refresh_from_db()
    assert sector.paused_at == NOON, "two failures, where other stages have five"


@pytest.mark.django_db
def test_settings_of_the_pool_hold_for_it(settings: Any) -> None:
    settings.SEALING = {"attempts_max": 1}
    sector = factories.sector(factories.miner(), state=S.TICKET_ASSIGNED, ticket=TICKET, ticket_epoch=7)
    (job,) = claim(host())
    report(job, "PC1", state=S.TICKET_ASSIGNED)

    fail(job)

    sector.refresh_from_db()
    assert sector.paused_at == NOON


def fail(job: Assignment) -> None:
    failure = Fail(token=job.token, level=Level.TEMPORARY, stage="CHECK_LABELS", error="disk full")
    job_fail(job.id, fail=failure, tenant_id=tenant("alice").pk, now=NOON)


def test_its_slots_count_in_the_memory_and_cores_of_a_host() -> None:
    asks = HostRequirements(
        path="config.toml",
        sector_bytes=1 << 30,
        snark="auto",
        children=HostProcessors(),
        cpus=2,
        ram_bytes=16 << 30,
        gpus=0,
    )

    asks.check({"slots.PC1": 1, "slots.CHECK_LABELS": 4})
    with pytest.raises(BadConfig, match=r"1 × 2.0 GiB for pc1 \+ 8 × 2.0 GiB for check_labels need 18.0 GiB"):
        asks.check({"slots.PC1": 1, "slots.CHECK_LABELS": 8})
    with pytest.raises(BadConfig, match=r"1 for 1 pc1 .* \+ 2 for 5 check_labels slots \(4 sectors"):
        asks.check({"slots.PC1": 1, "slots.CHECK_LABELS": 5})


def test_sealing_threads_of_its_plan_give_its_slots(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    sealer, rebuild = (
        f"[[sealing_thread]]\nlocation = '{folder}'\nplan = '{plan}'\n"
        for folder, plan in zip(folders, ("sealer", "rebuild"), strict=True)
    )

    assert slots_read(sealer) == 0
    assert slots_read(sealer + rebuild) == 1


def slots_read(text: str) -> int:
    return damocles_read(tomllib.loads(text), text, cpus=2).settings["slots.CHECK_LABELS"]


def test_a_delay_in_it_costs_the_ticket() -> None:
    assert ROW.state in states_on_clock(ChainClock.TICKET)
    assert "LABELS_CHECKED" in states_on_clock(ChainClock.TICKET)
