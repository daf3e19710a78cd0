"""Sectors sealed with synthetic challenges, and without pre-commit and seed, from the pledge to active."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import Batch, CommitAggregate, JobEvent, Sector
from apps.sectors.states import BatchKind
from poolsite.filecoin.actors.miner_sectors import ProveCommitSectorsNIParams
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.groth16.circuits import porep_circuit_id, verifying_key_name
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from poolsite.filecoin.groth16.powers import POWERS_NAME
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.jobs import JobKind
from tests.integration.sealing.conftest import STAGES
from tests.integration.sealing.pieces import LARGE, add
from tests.integration.sealing.world import PERIOD, SKIP, WINDOW, World, fresh, pledged
from tests.unit.filecoin.groth16.simulated import simulated_key_bytes
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.snark.powers import powers_make
from workers.storage.sector import SYNTHETIC_FILE

SYNTHETIC, NON_INTERACTIVE = 10, 15
PARTITIONS, PADDED = 13, 32
"""Of a sector; of two sectors, padded to a power of two."""
INPUTS = 39
"""Public inputs of a PoRep of 2 KiB: three commitments, and 18 numbers of each of two challenges."""


def miner_sealing(world: World, porep: str) -> Miner:
    """The pool's miner, told over REST how to seal."""
    miner = world.miner_create()
    answer = world.line_to_console("sign")._client.patch(
        f"/api/v1/miners/{miner.address}", json={"porep": porep}
    )
    assert answer.json()["porep"] == porep, answer.text
    miner.refresh_from_db()
    return miner


def on_chain(world: World, sector: Sector) -> Any:
    return world.ask("StateSectorGetInfo", sector.miner.address, sector.number, None)


def test_synthetic_proofs_come_first_and_free_the_layers(world: World) -> None:
    miner = miner_sealing(world, "synthetic")
    [sector] = pledged(world, miner)
    world.until(lambda: fresh(sector).state == "PRECOMMIT_SENT", epochs=30)
    cache = world.folder / "sealer" / "sealing" / "cache" / f"s-t0{miner.actor_id}-{sector.number}"
    left = {path.name for path in cache.iterdir()}
    assert SYNTHETIC_FILE in left
    assert not [name for name in left if "layer" in name or "tree-d" in name or "tree-c" in name]

    world.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW + 40, stride=SKIP)

    assert on_chain(world, sector)["SealProof"] == SYNTHETIC
    assert not cache.exists()


def test_two_sectors_are_committed_without_pre_commit_and_seed(world: World) -> None:
    miner = miner_sealing(world, "non-interactive")
    sectors = pledged(world, miner, count=2)

    world.until(lambda: all(fresh(sector).active for sector in sectors), epochs=2 * PERIOD, stride=SKIP)

    assert not Batch.objects.filter(kind=BatchKind.PRE_COMMIT).exists()
    sent = [from_cbor(ProveCommitSectorsNIParams, bytes(batch.params)) for batch in Batch.objects.all()]
    assert sorted(one.sector_number for params in sent for one in params.sectors) == [
        sector.number for sector in sectors
    ]
    assert {sector.deadline for sector in sectors} <= {params.proving_deadline for params in sent}
    assert set(Message.objects.filter(kind="commit").values_list("exit_code", flat=True)) == {0}
    assert {on_chain(world, sector)["SealProof"] for sector in sectors} == {NON_INTERACTIVE}
    [event] = JobEvent.objects.filter(job__sector=sectors[0], event="SKIP_PRECOMMIT")
    assert (event.from_state, event.to_state) == ("PERSISTED", "SEED_ASSIGNED")


def test_data_are_sealed_interactively_all_the_same(world: World, settings: Any, tmp_path: Path) -> None:
    settings.PIECES_DIR, settings.SEALING = str(tmp_path / "pieces"), {"pack_wait_s": 0}
    miner = miner_sealing(world, "non-interactive")
    add(world, miner, LARGE)

    world.epoch(2)

    sector = Sector.objects.get()
    assert (sector.seal_proof, sector.is_interactive) == (5, True)


def test_without_a_prover_that_aggregates_groth16_commits_wait_and_say_so(groth16: World) -> None:
    miner = miner_sealing(groth16, "non-interactive")
    groth16.besides = ()
    groth16.prover = groth16.prover_make()
    [sector] = pledged(groth16, miner)

    groth16.until(lambda: bool(fresh(sector).error), epochs=30)

    assert (sector.state, sector.paused_at) == ("C2_DONE", None)
    assert "no prover can make the aggregate" in sector.error


@pytest.fixture
def groth16(tmp_path: Path, db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A pool whose sealer has a C2 program of its own, and whose prover has the set-up of aggregates."""
    settings.SEALING = {
        "worker_away_s": 600
    }  # while the sealer's kernels are compiled the prover says nothing
    folder = tmp_path / "parameters"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    powers_make(folder / POWERS_NAME, seed="devnet", proofs=PADDED)
    key = folder / verifying_key_name(porep_circuit_id(seal_parameters(NON_INTERACTIVE)))
    key.write_bytes(simulated_key_bytes(range(1, INPUTS + 2)))
    kernels = ProcessorPool(
        [
            ChildSpec(stages=tuple(stage for stage in STAGES if stage != "c2")),
            ChildSpec(
                stages=("c2",), command=(sys.executable, "-m", "tests.integration.sealing.simulated_c2")
            ),
            ChildSpec(stages=("aggregate",), environment={FOLDER_VARIABLE: str(folder)}),
        ]
    )
    made = World(tmp_path, kernels, monkeypatch)
    made.besides = (JobKind.AGGREGATE,)
    made.prover = made.prover_make()
    yield made
    made.close()
    kernels.close()


@pytest.mark.xdist_group("snark")
def test_thirteen_groth16_partitions_of_each_sector_land_as_one_proof(groth16: World) -> None:
    miner = miner_sealing(groth16, "non-interactive")
    sectors = pledged(groth16, miner, count=2)

    groth16.until(lambda: all(fresh(sector).state == "PROVING" for sector in sectors), epochs=80)

    batch = Batch.objects.get()
    params = from_cbor(ProveCommitSectorsNIParams, bytes(batch.params))
    assert (batch.is_aggregate, batch.method, len(params.sectors)) == (True, 36, 2)
    assert len(params.aggregate_proof) < PARTITIONS * 192 * 8
    assert Message.objects.get(push_id=batch.message_id).exit_code == 0
    assert CommitAggregate.objects.get().is_over
