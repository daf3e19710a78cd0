"""Four sectors of Groth16 proofs are committed with one, which a prover makes and the devnet verifies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.messages.models import Message
from apps.miners.onchain.actors import numbers_allocated
from apps.sectors.models import Batch, CommitAggregate, Sector
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.states import BatchKind
from poolsite.filecoin.groth16.circuits import porep_circuit_id, verifying_key_name
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from poolsite.filecoin.groth16.powers import POWERS_NAME
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.jobs import JobKind
from tests.integration.sealing.conftest import STAGES
from tests.integration.sealing.world import World
from tests.unit.filecoin.groth16.simulated import simulated_key_bytes
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.snark.powers import powers_make

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

SEAL_2K = 5
SECTORS = 4
DAY_S = 86_400
INPUTS = 39
"""Public inputs of the PoRep of 2 KiB: three commitments, and 18 numbers of each of two challenges."""


@pytest.fixture
def aggregating(tmp_path: Path, db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[World]:
    """A pool whose sealer has a C2 program of its own, and whose prover has the set-up of aggregates."""
    # Kernels that are compiled on the way take minutes on a busy machine, and these hosts send no heartbeats.
    settings.SEALING = {"worker_away_s": DAY_S, "lease_s": DAY_S, "aggregate_wait_s": DAY_S}
    folder = tmp_path / "parameters"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    powers_make(folder / POWERS_NAME, seed="devnet", proofs=SECTORS)
    key = folder / verifying_key_name(porep_circuit_id(seal_parameters(SEAL_2K)))
    key.write_bytes(simulated_key_bytes(range(1, INPUTS + 2)))
    ours = tuple(stage for stage in STAGES if stage != "c2")
    program = (sys.executable, "-m", "tests.integration.sealing.simulated_c2")
    kernels = ProcessorPool(
        [
            ChildSpec(stages=ours),
            ChildSpec(stages=("c2",), command=program),
            ChildSpec(stages=("aggregate",), environment={FOLDER_VARIABLE: str(folder)}),
        ]
    )
    made = World(tmp_path, kernels, monkeypatch)
    made.besides = (JobKind.AGGREGATE,)
    made.prover = made.prover_make()
    yield made
    made.close()
    kernels.close()


def test_four_sectors_land_with_one_proof(aggregating: World) -> None:
    miner = aggregating.miner_create()
    taken = numbers_allocated(chain_client(), miner.address)
    pledge = pledge_create(miner, count=SECTORS, actor="ann", now=clock.now(), allocated=taken)
    sectors = Sector.objects.filter(pledge=pledge)

    aggregating.until(lambda: sectors.filter(state="PROVING").count() == SECTORS, epochs=80)

    batch = Batch.objects.get(kind=BatchKind.COMMIT)
    assert (batch.is_aggregate, batch.commits.count(), batch.exit_code) == (True, SECTORS, 0)
    assert batch.gas_saved > 0
    message = Message.objects.get(push_id=batch.message_id)
    assert message.exit_code == 0
    assert CommitAggregate.objects.get().is_over
    known = aggregating.ask("StateMinerSectors", miner.address, None, None)
    assert sorted(one["SectorNumber"] for one in known) == sorted(sectors.values_list("number", flat=True))
