"""What a prover reports of the time that its jobs took."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from poolsite.wire.job_inputs import ProvenSector, WindowPostInputs
from poolsite.wire.job_reports import Complete, Progress
from poolsite.wire.jobs import Assignment, JobKind
from workers.prover import proof_jobs
from workers.prover.proof_jobs import ProofJobs
from workers.prover.winning_first import WinningFirst
from workers.storage.stores import Stores

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
