"""The stages of a sector on a host, with real kernels in a real child, up to a proof that verifies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from poolsite.filecoin.container_checks import porep_proof_check, window_post_check
from poolsite.filecoin.post.verification import BadPoSt
from poolsite.filecoin.sector import RegisteredPoStProof, RegisteredSealProof
from poolsite.wire.job_inputs import ProvenSector, SealInputs, WindowPostInputs
from poolsite.wire.job_reports import Level, StageOutputs
from poolsite.wire.pipeline import STATE_OF_STAGE
from tests.processor_pids import pids_of
from tests.waiting import until
from workers.agent.journal import Failure, Work, journal_open
from workers.agent.stages import REMOVED_TEXT, StageRunner
from workers.processors.errors import error_of
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.prover.loop import Prover
from workers.storage.store import path_remove
from workers.storage.stores import Stores

MINER = 1234
TICKET, SEED = bytes([7] * 32), bytes([9] * 32)
PROOF = int(RegisteredSealProof.STACKED_DRG_2KIB_V1_1)
STAGES = ("add_piece", "tree_d", "pc1", "pc2", "synthetic", "c1", "c2", "window_post")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessorPool]:
    """One kernel child for all tests."""
    made = ProcessorPool([ChildSpec(stages=STAGES)])
    yield made
    made.close()


@pytest.fixture
def runner(tmp_path: Path, pool: ProcessorPool) -> StageRunner:
    """A host with empty disks."""
    return runner_at(tmp_path, pool)


def runner_at(folder: Path, pool: ProcessorPool) -> StageRunner:
    stores = Stores(folder / "sealer", (folder / "store",))
    stores.open()
    journal_open(folder / "sealer")
    return StageRunner(folder=folder / "sealer", stores=stores, pool=pool)


def inputs(stage: str, *, number: int = 5) -> SealInputs:
    """What the console gives for a stage, before anything is known."""
    return SealInputs(
        miner_id=MINER,
        number=number,
        seal_proof=PROOF,
        sector_size=2048,
        state=STATE_OF_STAGE[stage],
        stage=stage,
        ticket=TICKET,
        seed=SEED,
    )


def run(runner: StageRunner, given: SealInputs, *, token: int = 1) -> StageOutputs:
    """Write a stage down, run it, read what came of it."""
    work = Work(token=token, inputs=given)
    runner.journal.work_write("job", work)
    runner.run("job")
    failure = runner.journal.failure_read("job", work.id, token=token)
    assert failure is None, failure
    outputs = runner.journal.outputs_read("job", work.id)
    assert outputs is not None
    return outputs


def sealed(runner: StageRunner) -> SealInputs:
    """A sector up to its C1, with all that is known of it."""
    known = inputs("ADD_PIECE")
    pieces = run(runner, known).pieces
    assert pieces is not None
    known = replace(known, pieces=pieces)
    comm_d = run(runner, replace(known, stage="TREE_D")).comm_d
    run(runner, replace(known, stage="PC1"))
    made = run(runner, replace(known, stage="PC2"))
    assert made.comm_d == comm_d
    known = replace(known, comm_d=comm_d, comm_r=made.comm_r)
    run(runner, replace(known, stage="PERSIST"))
    run(runner, replace(known, stage="C1"))
    return known


def test_a_sector_is_sealed_and_its_proof_verifies(runner: StageRunner) -> None:
    known = sealed(runner)

    proof = run(runner, replace(known, stage="C2")).proof

    assert known.comm_r is not None
    assert known.comm_d is not None
    porep_proof_check(
        proof or b"",
        seal_proof=PROOF,
        comm_r=known.comm_r,
        comm_d=known.comm_d,
        miner_id=MINER,
        sector_number=5,
        ticket=TICKET,
        seed=SEED,
    )


def test_finalize_clears_the_sealing_folder_and_the_store_still_proves(
    runner: StageRunner, pool: ProcessorPool
) -> None:
    known = sealed(runner)

    outputs = run(runner, replace(known, stage="FINALIZE"))

    assert outputs.store is None, "it is where it was persisted"
    left = {path.name for path in (runner.folder / "sealing").rglob("*") if path.is_file()}
    of_zeros = {f"tree-d-of-zeros-2048{end}" for end in ("", ".sums", ".lock")}
    assert left == of_zeros, "of all empty sectors, made once"
    window_post_check_of(runner, pool, known)


def test_finalize_names_the_store_where_it_stored_a_sector_anew(
    runner: StageRunner, pool: ProcessorPool
) -> None:
    known = sealed(runner)
    [one] = runner.stores.attached()
    for kind in ("sealed", "cache"):
        path_remove(one.store.root / kind / "s-t01234-5")

    outputs = run(runner, replace(known, stage="FINALIZE"))

    assert (outputs.store, outputs.store_uid) == (one.name, one.uid)
    assert outputs.store_uid
    window_post_check_of(runner, pool, known)


def test_finalize_may_be_cut_off_anywhere_and_run_again(runner: StageRunner, pool: ProcessorPool) -> None:
    known = sealed(runner)
    paths = runner.paths("job", known)
    paths.files.p_aux.unlink()

    run(runner, replace(known, stage="FINALIZE"))

    window_post_check_of(runner, pool, known)


def window_post_check_of(runner: StageRunner, pool: ProcessorPool, known: SealInputs) -> None:
    """Prove the stored sector as the prover does, and verify the proof."""
    prover = Prover(console=None, leases=None, pool=pool, stores=runner.stores)  # type: ignore[arg-type]  # not asked
    assert known.comm_r is not None
    asked = WindowPostInputs(
        miner_id=MINER,
        post_proof=int(RegisteredPoStProof.WINDOW_2KIB_V1_1),
        randomness=SEED,
        sectors=(ProvenSector(number=5, comm_r=known.comm_r, seal_proof=PROOF),),
        deadline=0,
        close_epoch=9,
    )
    done = pool.call("window_post", prover.jobs.task_of(asked))
    check = partial(
        window_post_check,
        done.proofs[0],
        post_proof=asked.post_proof,
        miner_id=MINER,
        sectors=[(5, known.comm_r)],
    )
    check(randomness=SEED)
    with pytest.raises(BadPoSt):
        check(randomness=TICKET)


def test_a_stage_that_was_done_is_not_run_again(runner: StageRunner) -> None:
    with capture_logs() as lines:
        run(runner, inputs("ADD_PIECE"))

        assert runner.run("job") is False

    told = [(line["job"], line["stage"]) for line in lines if line["event"] == "stage_done"]
    assert told == [("job", "ADD_PIECE")]


def test_another_ticket_starts_the_labels_afresh(runner: StageRunner) -> None:
    known = sealed(runner)
    other = replace(known, ticket=SEED, seed=TICKET)
    run(runner, replace(other, stage="PC1"))

    made = run(runner, replace(other, stage="PC2"))

    assert made.comm_r != known.comm_r
    kept = [path for path in runner.folder.glob("sealing/cache/*") if path.is_dir()]
    assert len(kept) == 1, "its room on the disk has no place for the old labels"


def test_a_stage_without_what_came_before_fails_for_good(runner: StageRunner) -> None:
    work = Work(token=3, inputs=replace(inputs("PC2"), comm_d=TICKET))
    runner.journal.work_write("job", work)

    runner.run("job")

    failure = runner.journal.failure_read("job", work.id, token=3)
    assert failure is not None
    assert failure.level is Level.PERMANENT
    assert "go back to PC1" in failure.error
    assert runner.journal.failure_read("job", work.id, token=4) is None, "of an older lease: counts no more"


def test_a_job_that_somebody_works_on_is_left_alone(runner: StageRunner) -> None:
    runner.journal.work_write("job", Work(token=1, inputs=inputs("ADD_PIECE")))

    with runner.journal.at_work("job") as is_ours:
        assert is_ours
        assert runner.journal.is_worked_on("job")
        assert runner.run("job") is False

    assert not runner.journal.is_worked_on("job")
    assert runner.run("job") is True


def waiting_for_labels(runner: StageRunner, count: int) -> list[SealInputs]:
    """Sectors whose next stage is PC1, each in a job of its own."""
    known = []
    for number in range(count):
        given = inputs("ADD_PIECE", number=number)
        for stage in ("ADD_PIECE", "TREE_D"):
            given = replace(given, stage=stage)
            runner.journal.work_write(f"job{number}", Work(token=1, inputs=given))
            runner.run(f"job{number}")
            done = runner.journal.outputs_read(f"job{number}", Work(token=1, inputs=given).id)
            assert done is not None
            given = replace(given, pieces=done.pieces or given.pieces)
        known.append(replace(given, stage="PC1"))
    return known


def label_all(runner: StageRunner, known: list[SealInputs], *, token: int) -> ThreadPoolExecutor:
    """Begin PC1 of all sectors at once, as the Celery worker's threads do."""
    threads = ThreadPoolExecutor(len(known))
    for number, given in enumerate(known):
        runner.journal.work_write(f"job{number}", Work(token=token, inputs=given))
        threads.submit(runner.run, f"job{number}")
    return threads


def test_sectors_labelled_at_once_are_reported_each_by_itself(runner: StageRunner) -> None:
    known = waiting_for_labels(runner, 4)

    label_all(runner, known, token=7).shutdown()

    layers = set()
    for number, given in enumerate(known):
        work = Work(token=7, inputs=given)
        outputs = runner.journal.outputs_read(f"job{number}", work.id)
        assert outputs is not None
        assert outputs.comm_d is not None
        layers.add(runner.paths(f"job{number}", given).files.layer(2).read_bytes())
    assert len(layers) == 4, "every sector has labels of its own"


def test_killed_child_fails_each_sector_under_its_own_lease(tmp_path: Path) -> None:
    pool = ProcessorPool([ChildSpec(stages=("add_piece", "tree_d", "pc1"))])
    runner = runner_at(tmp_path, pool)
    known = waiting_for_labels(runner, 3)
    (pid,) = pids_of(pool)
    os.kill(pid, signal.SIGSTOP)  # all requests are in the child when it dies
    threads = label_all(runner, known, token=2)
    (child,) = pool._children.values()
    until(lambda: len(child._calls) >= len(known))

    os.kill(pid, signal.SIGKILL)
    threads.shutdown()

    for number, given in enumerate(known):
        failure = runner.journal.failure_read(f"job{number}", Work(token=2, inputs=given).id, token=2)
        assert failure is not None
        assert failure.level is Level.TEMPORARY
    label_all(runner, known, token=3).shutdown()
    for number, given in enumerate(known):
        assert runner.journal.outputs_read(f"job{number}", Work(token=3, inputs=given).id) is not None
    pool.close()


def test_whatever_breaks_in_a_stage_is_told_and_not_tried_for_ever(
    runner: StageRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_how: object) -> None:
        raise KeyError("no such name")

    monkeypatch.setattr(runner.pool, "call", broken)
    work = Work(token=3, inputs=inputs("ADD_PIECE"))
    runner.journal.work_write("job", work)

    assert runner.run("job")

    failure = runner.journal.failure_read("job", work.id, token=3)
    assert failure is not None
    assert (failure.level, failure.error) == (Level.TEMPORARY, "'no such name'")


def test_a_job_that_is_over_on_this_host_says_so(runner: StageRunner) -> None:
    work = Work(token=3, inputs=inputs("ADD_PIECE"))
    runner.journal.work_write("job", work)
    runner.journal.removed_write("job")

    assert not runner.run("job")

    failure = runner.journal.failure_read("job", work.id, token=3)
    assert failure is not None, "unsaid, the stage would be hinted for ever"
    assert (failure.level, failure.error) == (Level.PERMANENT, REMOVED_TEXT)


def test_a_sector_is_not_persisted_under_an_absent_mount(runner: StageRunner) -> None:
    known = sealed(runner)
    root = runner.stores.attached()[0].store.root
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    work = Work(token=2, inputs=replace(known, stage="FINALIZE"))
    runner.journal.work_write("job", work)

    runner.run("job")

    failure = runner.journal.failure_read("job", work.id, token=2)
    assert failure is not None
    assert failure.level is Level.TEMPORARY
    assert runner.paths("job", known).files.p_aux.exists(), "the sealing folder is still whole"
    root.rmdir()
    root.with_name("unmounted").rename(root)
    run(runner, replace(known, stage="FINALIZE"), token=3)


def test_pc2_ends_with_a_look_at_what_it_made_where_that_is_asked(
    runner: StageRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = inputs("ADD_PIECE")
    for stage in ("ADD_PIECE", "TREE_D", "PC1"):
        outputs = run(runner, replace(known, stage=stage))
        known = replace(known, pieces=outputs.pieces or known.pieces, comm_d=outputs.comm_d or known.comm_d)
    asked = replace(known, stage="PC2")
    good = Work(token=1, inputs=asked, verifies=True)
    runner.journal.work_write("job", good)
    runner.run("job")
    assert runner.journal.outputs_read("job", good.id) is not None
    assert not list(runner.journal.folder("job").glob("c1-*")), "the look leaves nothing behind"

    call = runner.pool.call

    def damaged(task: str, given: Any, **how: Any) -> Any:
        output = call(task, given, **how)
        if task == "pc2":
            (sealed_file,) = (runner.folder / "sealing" / "sealed").iterdir()
            sealed_file.write_bytes(bytes(2048))
        return output

    monkeypatch.setattr(runner.pool, "call", damaged)
    again = Work(token=2, inputs=replace(asked, ticket_epoch=1), verifies=True)
    runner.journal.work_write("job", again)
    runner.run("job")

    failure = runner.journal.failure_read("job", again.id, token=2)
    assert failure is not None
    assert failure.level is Level.PERMANENT


def test_trees_of_anothers_program_are_looked_at_without_being_asked_to(
    runner: StageRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = inputs("ADD_PIECE")
    for stage in ("ADD_PIECE", "TREE_D", "PC1"):
        outputs = run(runner, replace(known, stage=stage))
        known = replace(known, pieces=outputs.pieces or known.pieces, comm_d=outputs.comm_d or known.comm_d)
    call, asked = runner.pool.call, Work(token=1, inputs=replace(known, stage="PC2"))

    def of_another(task: str, given: Any, **how: Any) -> Any:
        output = call(task, given, **how)
        return replace(output, comm_r=bytes([9] * 32)) if task == "pc2" else output

    monkeypatch.setattr(runner.pool, "call", of_another)
    monkeypatch.setattr(runner.pool, "is_foreign", lambda stage: stage == "pc2")
    runner.journal.work_write("job", asked)
    runner.run("job")

    failure = runner.journal.failure_read("job", asked.id, token=1)
    assert failure is not None
    assert "comm_r is not the hash of comm_c and comm_r_last" in failure.error


def test_labels_that_would_be_too_late_are_known_as_such(
    runner: StageRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ticket's end goes to the kernels, and their refusal is no other failure."""
    asked: list[Any] = []

    def call(_stage: str, task: Any, **_options: Any) -> Any:
        asked.append(task)
        raise error_of("TicketTooOld", "temporary", message="too late")

    monkeypatch.setattr(runner, "pool", SimpleNamespace(call=call))
    work = Work(token=1, inputs=inputs("PC1"), ticket_end_s=900, ticket_fresh_s=80)
    runner.journal.work_write("job", work)

    runner.run("job")

    assert [(task.ticket_end_s, task.ticket_fresh_s) for task in asked] == [(900, 80)]
    failure = runner.journal.failure_read("job", work.id, token=1)
    assert failure == Failure(token=1, level=Level.TEMPORARY, error="too late", needs_ticket=True)
