"""Sectors that prove themselves by Groth16 on the devnet, which checks by the verifying key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.messages.models import Message
from apps.miners.onchain.actors import numbers_allocated
from apps.proving.models import WindowPost
from apps.sectors.models import PipelineRun, Sector, SectorProof
from apps.sectors.services.sealing.pledge import pledge_create
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE, VAR_VARIABLE
from poolsite.filecoin.proof_verifier import is_container
from poolsite.filecoin.sizes import KIB
from tests.integration.sealing.conftest import STAGES
from tests.integration.sealing.pieces import LARGE, add
from tests.integration.sealing.snap_up import act, run_reach
from tests.integration.sealing.world import World
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.processors.snark_choice import SNARK_VARIABLE
from workers.snark.catalog import key_open, toxic_make
from workers.snark.files import CircuitKind, measured_path, spec_for

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

PERIOD, WINDOW, SKIP = 60, 10, 3
GROTH16_BYTES = 192


@pytest.fixture
def proving(tmp_path: Path, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A pool whose hosts make Groth16 proofs as soon as they have the parameters."""
    folders = {FOLDER_VARIABLE: str(tmp_path / "parameters"), VAR_VARIABLE: str(tmp_path / "state")}
    for name, folder in folders.items():
        monkeypatch.setenv(name, folder)
    kernels = ProcessorPool([ChildSpec(stages=STAGES, environment=folders | {SNARK_VARIABLE: "auto"})])
    made = World(tmp_path, kernels, monkeypatch)
    yield made
    made.close()
    kernels.close()


@pytest.mark.slow
def test_data_go_into_a_sector_with_a_groth16_proof_of_ours(
    proving: World, settings: Any, tmp_path: Path
) -> None:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000}
    sector = sector_of(proving)
    proving.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW, stride=SKIP)
    update = spec_for(CircuitKind.UPDATE, 2 * KIB)
    toxic_make(update, "devnet", threads=2)
    key_open(update, threads=2)

    piece = add(proving, sector.miner, LARGE)
    assert act(proving, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    run_reach(proving, "UPDATE_LANDED")

    assert len(bytes(PipelineRun.objects.get().proof or b"")) == GROTH16_BYTES
    assert list(Message.objects.filter(kind="snap_up").values_list("exit_code", flat=True)) == [0]
    proving.epoch(PERIOD, stride=SKIP)
    assert fresh(sector).active


def sector_of(world: World) -> Sector:
    """A sector that was pledged and is sealed."""
    miner = world.miner_create()
    taken = numbers_allocated(chain_client(), miner.address)
    pledge = pledge_create(miner, count=1, actor="ann", now=clock.now(), allocated=taken)
    sector = Sector.objects.get(pledge=pledge)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=40)
    return sector


def fresh(sector: Sector) -> Sector:
    return Sector.objects.get(pk=sector.pk)


def test_window_posts_change_to_groth16_once_there_are_parameters(proving: World) -> None:
    sector = sector_of(proving)
    proving.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW, stride=SKIP)
    (first,) = WindowPost.objects.filter(state="LANDED")
    assert is_container(bytes(first.proof or b"")), "until there are parameters the proofs are containers"

    window = spec_for(CircuitKind.WINDOW_POST, 2 * KIB)
    toxic_make(window, "devnet")
    key_open(window)
    measured_path(window).write_text("0.1 0.1")  # the chain's seconds pass as the test wants
    landed = WindowPost.objects.filter(state="LANDED").exclude(pk=first.pk)
    proving.until(landed.exists, epochs=PERIOD + WINDOW, stride=SKIP)

    (second,) = landed
    proof = bytes(second.proof or b"")
    assert len(proof) == GROTH16_BYTES
    assert fresh(sector).active


@pytest.mark.slow
def test_sector_is_sealed_and_proven_by_groth16_alone(proving: World) -> None:
    for kind in (CircuitKind.POREP, CircuitKind.WINDOW_POST):
        toxic_make(spec_for(kind, 2 * KIB), "devnet", threads=2)
        key_open(spec_for(kind, 2 * KIB), threads=2)
        measured_path(spec_for(kind, 2 * KIB)).write_text("0.1 0.1")
    sector = sector_of(proving)
    assert len(bytes(SectorProof.objects.get(sector=sector).proof)) == GROTH16_BYTES
    proving.until(lambda: fresh(sector).active, epochs=PERIOD + WINDOW, stride=SKIP)
    (post,) = WindowPost.objects.filter(state="LANDED")
    assert len(bytes(post.proof or b"")) == GROTH16_BYTES
