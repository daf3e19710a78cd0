"""Data go into a sector with a Groth16 proof: the console and the devnet check it by the verifying key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import PipelineRun, Sector, Worker
from apps.sectors.selectors import proof_forms
from apps.sectors.selectors.run_hosts import hosts_of_run
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.groth16.circuits import update_circuit_id, verifying_key_name
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from poolsite.filecoin.sizes import KIB
from poolsite.filecoin.update.parameters import update_parameters
from poolsite.wire.jobs import JobKind
from tests.integration.sealing.pieces import LARGE, add
from tests.integration.sealing.snap_up import act, run_reach
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh
from tests.unit.filecoin.groth16.simulated import simulated_key_bytes, simulated_proof
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.processors.snap_tasks import SnapProveOutput

pytestmark = pytest.mark.xdist_group("lone")  # one worker seals the sector

INPUTS = 4
"""Public inputs of the update circuit: partition and bits, and three commitments."""


class OwnProver:
    """The host's children, but one that proves updates."""

    def __init__(self, pool: ProcessorPool, own: Any) -> None:
        self.pool, self.own = pool, own

    def call(self, stage: str, task: Any, **options: Any) -> Any:
        return (self.own if stage == "snap_prove" else self.pool).call(stage, task, **options)


class WrongProver:
    """Proves something else."""

    def call(self, _stage: str, _task: Any, **_options: Any) -> SnapProveOutput:
        return SnapProveOutput(simulated_proof([1, 2, 3, 4]))


@pytest.fixture(autouse=True)
def key(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces wait to be named; console and chain have a verifying key of updates."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000}
    folder = tmp_path / "parameters"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    path = folder / verifying_key_name(update_circuit_id(update_parameters(0)))
    path.write_bytes(simulated_key_bytes(range(1, INPUTS + 2)))


@pytest.fixture
def program() -> Iterator[ProcessorPool]:
    """A program of one's own for updates."""
    command = (sys.executable, "-m", "tests.integration.sealing.simulated_snap_prove")
    made = ProcessorPool([ChildSpec(stages=("snap_prove",), command=command)])
    yield made
    made.close()


def test_an_update_lands_with_a_groth16_proof(
    world: World, lone: tuple[Miner, Sector], program: ProcessorPool
) -> None:
    miner, sector = lone
    world.runner.pool = OwnProver(world.pool, program)  # type: ignore[assignment]
    piece = add(world, miner, LARGE)

    assert act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    run_reach(world, "UPDATE_LANDED")

    assert len(bytes(PipelineRun.objects.get().proof or b"")) == 192
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert info["SealedCID"]["/"] == str(commr_cid(bytes(fresh(sector).comm_r or b"")))
    assert list(Message.objects.filter(kind="snap_up").values_list("exit_code", flat=True)) == [0]
    world.epoch(PERIOD, stride=SKIP)
    assert fresh(sector).active


def test_a_proof_of_something_else_is_refused_before_it_is_sent(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    miner, sector = lone
    world.runner.pool = OwnProver(world.pool, WrongProver())  # type: ignore[assignment]
    piece = add(world, miner, LARGE)

    act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]})
    world.hosts_work()

    run = PipelineRun.objects.get()
    assert (run.state, run.paused_at is None) == ("SNAP_ENCODED", False)
    assert "the chain would refuse this proof: partition 0: the pairing equation does not hold" in run.error
    assert not Message.objects.filter(kind="snap_up").exists()


def test_no_piece_is_assigned_where_the_host_lacks_the_parameters(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    miner, sector = lone
    piece = add(world, miner, LARGE)
    missing = "the parameters of update for sectors of 2048 bytes are missing: v28-empty-sector-update.params"
    world.agent.leases.report.proofs_report(("groth16",), parameters=(0, 0), error="", update_error=missing)
    world.agent.leases.heartbeat()
    assert Worker.objects.get(name="sealer-1").hardware["update_error"] == missing

    answer = act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]})

    assert (answer.status_code, answer.json()["code"]) == (409, "no_host")
    assert answer.json()["message"] == f"sealer-1 cannot prove the update: {missing}"
    piece.refresh_from_db()
    assert piece.state == "READY"


def test_no_piece_is_assigned_where_the_vanilla_proofs_fit_into_no_message(
    world: World, lone: tuple[Miner, Sector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof_forms, "update_fits_message", lambda size: size > 2 * KIB)
    miner, sector = lone
    piece = add(world, miner, LARGE)
    for path in ("snap-up?dry_run=true", "snap-up"):
        answer = act(world, sector, path, json={"pieces": [piece.piece_cid]})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_host")
        assert "do not fit into a message" in answer.json()["message"]
        assert "make params SECTOR_SIZE=2KiB" in answer.json()["message"]
    assert not PipelineRun.objects.exists()

    world.agent.leases.report.proofs_report(
        ("groth16",), parameters=(0, 0), error="", update_sizes=(2 * KIB,)
    )
    world.agent.leases.heartbeat()

    assert hosts_of_run(fresh(sector), kind=JobKind.SNAP_UP)
