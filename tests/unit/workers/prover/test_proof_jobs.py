"""What a prover reports of its jobs: the time they took, and sectors of which a file cannot be read."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.wire.job_inputs import ProvenSector, SectorCheckInputs, WindowPostInputs
from poolsite.wire.job_reports import Complete, Fail, Level, Progress
from poolsite.wire.jobs import Assignment, JobKind
from workers.processors.codec import Base64
from workers.processors.post_tasks import BadReplica, SectorCheckOutput, WindowPostOutput
from workers.prover import proof_jobs
from workers.prover.proof_jobs import ProofJobs
from workers.prover.winning_first import WinningFirst
from workers.storage.stores import Stores


def test_reading_is_over_before_the_proof_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    held: list[Progress] = []

    def call(_kind: str, _task: Any, *, progress: Any, **_: Any) -> Any:
        for seconds, done in ((1, 1), (2, 2), (300, 2), (600, 2)):
            clock.now += seconds
            progress(done, 2)
        return SimpleNamespace(proofs=(b"proof",), faults=())

    stores = Stores(tmp_path / "worker", (tmp_path / "a",))
    stores.open()
    leases: Any = SimpleNamespace(
        track=lambda _, progress, **__: held.append(progress), is_lost=lambda _: False
    )
    pool: Any = SimpleNamespace(call=call)
    sectors = tuple(ProvenSector(number=number, comm_r=bytes(32), seal_proof=5) for number in (1, 2))
    inputs = WindowPostInputs(
        miner_id=1000, post_proof=10, randomness=bytes(32), sectors=sectors, deadline=0, close_epoch=9
    )
    job = Assignment(id="job", kind=JobKind.WINDOW_POST, token=1, seq=0, lease_s=9, window_post=inputs)
    monkeypatch.setattr(proof_jobs, "time", SimpleNamespace(monotonic=lambda: clock.now))

    done = ProofJobs(leases=leases, pool=pool, stores=stores, gate=WinningFirst()).result(job)

    assert isinstance(done, Complete)
    assert (done.read_ms, done.ms) == (3_000, 903_000)
    assert [progress.done for progress in held] == [1, 2, 2, 2], "the lease goes on"


SECTORS = tuple(ProvenSector(number=number, comm_r=bytes(32), seal_proof=5) for number in range(1, 11))
COMMON: dict[str, Any] = {"miner_id": 1000, "post_proof": 10, "randomness": bytes(32), "sectors": SECTORS}
INPUTS: dict[JobKind, dict[str, Any]] = {
    JobKind.WINDOW_POST: {"window_post": WindowPostInputs(**COMMON, deadline=0, close_epoch=9)},
    JobKind.SECTOR_CHECK: {"sector_check": SectorCheckInputs(**COMMON, per_second=0)},
}
FOUND: dict[str, Any] = {
    JobKind.WINDOW_POST.value: WindowPostOutput((), (7,)),
    JobKind.SECTOR_CHECK.value: SectorCheckOutput((BadReplica(7, "p_aux cannot be read"),)),
}
"""What the processor says where sector 7 cannot be read."""


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Ten sectors in a store; the p_aux of the seventh cannot be read."""
    stores = Stores(tmp_path / "worker", (tmp_path / "a",))
    stores.open()
    for sector in SECTORS:
        cache = tmp_path / "a" / "cache" / f"s-t01000-{sector.number}"
        cache.mkdir(parents=True)
        (cache / "p_aux").write_bytes(bytes(64))
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if str(path).endswith("cache/s-t01000-7/p_aux"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    return stores


def done(kind: JobKind, stores: Stores, call: Any) -> Complete | Fail:
    leases: Any = SimpleNamespace(track=lambda *_, **__: None, is_lost=lambda _: False)
    pool: Any = SimpleNamespace(call=call)
    job = Assignment(id="job", kind=kind, token=1, seq=0, lease_s=9, **INPUTS[kind])
    return ProofJobs(leases=leases, pool=pool, stores=stores, gate=WinningFirst()).result(job)


@pytest.mark.parametrize("kind", INPUTS)
def test_a_sector_whose_p_aux_cannot_be_read_is_the_only_fault(kind: JobKind, stores: Stores) -> None:
    asked: list[list[int]] = []

    def call(kind: str, task: Any, **_: Any) -> Any:
        asked.append([replica.sector_id for replica in task.replicas])
        return FOUND[kind] if 7 in asked[-1] else WindowPostOutput((Base64(b"of the rest"),), ())

    found = done(kind, stores, call)

    assert isinstance(found, Complete), found
    is_proof = kind is JobKind.WINDOW_POST
    rest = [number for number in range(1, 11) if number != 7]
    assert (found.faults, found.proof) == ((7,), b"of the rest" if is_proof else b"")
    assert asked == [[*range(1, 11)], rest][: 1 + is_proof]
    assert [bad.number for bad in found.bad] == [7]


@pytest.mark.parametrize("kind", INPUTS)
def test_why_a_bucket_does_not_give_a_file_is_reported(
    kind: JobKind, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def near(task: Any, _stores: Stores) -> Iterator[Any]:
        yield task, {7: "the server denies access (InvalidObjectState)"}

    monkeypatch.setattr(proof_jobs, "task_near", near)

    found = done(kind, stores, lambda kind, _task, **_: FOUND[kind])

    assert isinstance(found, Complete), found
    assert [bad.reason for bad in found.bad] == ["the server denies access (InvalidObjectState)"]


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("is_before", [True, False])
def test_a_store_that_goes_away_makes_no_sector_faulty(
    kind: JobKind, is_before: bool, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mark_remove() -> None:
        (tmp_path / "a" / "sectorstore.json").unlink()

    def call(kind: str, _task: Any, **_: Any) -> Any:
        mark_remove()
        return FOUND[kind]

    if is_before:  # while the sectors are looked up
        here = stores.here()
        monkeypatch.setattr(stores, "here", lambda: here)
        monkeypatch.setattr(Stores, "is_any_here", True)
        mark_remove()

    found = done(kind, stores, call)

    assert isinstance(found, Fail), found
    assert found.level is Level.TEMPORARY
