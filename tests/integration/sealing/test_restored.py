"""A restored database takes in what chain and hosts have of its sectors: nothing is made or sent twice."""

from __future__ import annotations

from typing import Any

import pytest

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.messages.services.recovery.detect import restore_check
from apps.messages.services.recovery.restore import recovery_end
from apps.miners.models import Miner
from apps.miners.onchain.actors import numbers_allocated
from apps.sectors.models import Sector, Worker
from apps.sectors.reasons import NO_FILES
from apps.sectors.selectors.restored import sectors_recovery
from apps.sectors.services.sealing.pledge import pledge_create
from poolsite.filecoin.actors import miner as miner_params
from poolsite.filecoin.actors.miner_sectors import PreCommitSectorBatch2Params, ProveCommitSectors3Params
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.porep.parameters import seal_parameters
from tests import factories
from tests.integration.sealing.restored import RESTORED_TABLES, idle
from tests.integration.sealing.world import World
from tests.people import principal
from tests.unit.apps.messages.recovery import Dump
from workers.config import KERNEL_STAGES
from workers.processors.pool import ProcessorPool

PRE_COMMIT = miner_params.Method.PRE_COMMIT_SECTOR_BATCH2
COMMIT = miner_params.Method.PROVE_COMMIT_SECTORS3
WAY = [
    "TICKET_ASSIGNED",
    "PERSISTED",
    "PRECOMMIT_SENT",
    "PRECOMMIT_LANDED",
    "C2_DONE",
    "COMMIT_SENT",
    "PROVING",
]
"""States at which a backup is made, or read in."""


@pytest.fixture(autouse=True)
def first_look(world: World) -> None:
    restore_check(now=clock.now())


def pledge(miner: Miner, count: int = 1) -> list[int]:
    taken = numbers_allocated(chain_client(), miner.address)
    made = pledge_create(miner, count=count, actor="ann", now=clock.now(), allocated=taken)
    return sorted(made.sectors.values_list("number", flat=True))


def reach(world: World, number: int, state: str) -> None:
    """Let time pass until a sector is at a state, or beyond: some states last less than an epoch."""
    later = set(WAY[WAY.index(state) :]) | {"COMMIT_LANDED"}
    world.until(lambda: Sector.objects.get(number=number).state in later, epochs=40)


def sent(miner: Miner) -> dict[int, list[int]]:
    """Return the sector numbers of all pre-commits and commits on chain, failed ones too."""
    client = chain_client()
    numbers: dict[int, list[int]] = {PRE_COMMIT: [], COMMIT: []}
    tipset = client.chain_head()
    while tipset.height > 0:
        for _, message in client.chain_get_parent_messages(tipset.cids[0]):
            if str(message.to) == miner.address and message.method == PRE_COMMIT:
                infos = from_cbor(PreCommitSectorBatch2Params, message.params).sectors
                numbers[PRE_COMMIT] += [info.sector_number for info in infos]
            elif str(message.to) == miner.address and message.method == COMMIT:
                made = from_cbor(ProveCommitSectors3Params, message.params)
                numbers[COMMIT] += [one.sector_number for one in made.sector_activations]
        tipset = client.chain_get_tipset(tipset.parent_key)
    return {method: sorted(found) for method, found in numbers.items()}


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Kernel stages with their sector, as the host ran them."""
    ran: list[tuple[str, int]] = []
    call = ProcessorPool.call

    def counted(pool: ProcessorPool, stage: str, task: Any, **given: Any) -> Any:
        if stage in KERNEL_STAGES:
            ran.append((stage, getattr(task, "sector_id", -1)))
        return call(pool, stage, task, **given)

    monkeypatch.setattr(ProcessorPool, "call", counted)
    return ran


def files(world: World, miner: Miner, number: int) -> bytes:
    """The replica in the store; empty if it is not there."""
    parameters = seal_parameters(miner.seal_proof)
    path = world.store.files(parameters, miner_id=miner.actor_id or 0, number=number).sealed
    return path.read_bytes() if path.exists() else b""


def all_proven() -> bool:
    return not Sector.objects.exclude(state="PROVING").exists() and sectors_recovery() is None


@pytest.mark.parametrize(
    ("made_at", "read_at"),
    [
        ("TICKET_ASSIGNED", "PERSISTED"),
        ("PERSISTED", "PRECOMMIT_SENT"),
        ("PERSISTED", "PROVING"),
        ("PRECOMMIT_SENT", "COMMIT_SENT"),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (
                ("TICKET_ASSIGNED", "PROVING"),
                ("PRECOMMIT_SENT", "C2_DONE"),
                ("PRECOMMIT_LANDED", "COMMIT_SENT"),
                ("C2_DONE", "PROVING"),
                ("COMMIT_SENT", "PROVING"),
            )
        ),
    ],
)
def test_sectors_of_a_restored_backup_go_on_where_chain_and_host_have_them(
    world: World, sealed: list[tuple[str, int]], made_at: str, read_at: str
) -> None:
    miner = world.miner_create()
    (known,) = pledge(miner)
    reach(world, known, made_at)
    dump = Dump(*RESTORED_TABLES)
    (forgotten,) = pledge(miner)
    reach(world, known, read_at)
    reach(world, forgotten, read_at)
    before = {number: files(world, miner, number) for number in (known, forgotten)}

    dump.restore()
    assert not Sector.objects.filter(number=forgotten).exists()
    world.until(all_proven, epochs=60)

    assert sent(miner) == {PRE_COMMIT: [known, forgotten], COMMIT: [known, forgotten]}
    assert sorted(number for stage, number in sealed if stage == "pc1") == [known, forgotten]
    for number, content in before.items():
        assert files(world, miner, number) == content or not content
    world.until(lambda: Sector.objects.filter(active=True).count() == 2, epochs=140, stride=3)
    assert not Sector.objects.exclude(paused_at=None).exists()
    (new,) = pledge(miner)
    assert new > forgotten


def test_a_restored_pool_holds_sectors_until_their_host_has_reported(
    world: World, sealed: list[tuple[str, int]]
) -> None:
    miner = world.miner_create()
    (known,) = pledge(miner)
    dump = Dump(*RESTORED_TABLES)
    reach(world, known, "PRECOMMIT_LANDED")

    dump.restore()
    Worker.objects.all().delete()  # the host came after the backup, too
    agent = idle(world)
    world.epoch(3)
    lost = Sector.objects.get(number=known)
    assert (lost.state, lost.error) == ("PRECOMMIT_LANDED", NO_FILES())

    world.agent = agent
    world.until(all_proven, epochs=40)

    assert sent(miner) == {PRE_COMMIT: [known], COMMIT: [known]}
    assert [number for stage, number in sealed if stage == "pc1"] == [known]


def test_no_host_begins_a_sector_anew_while_another_has_not_reported(world: World) -> None:
    miner = world.miner_create()
    (known,) = pledge(miner)
    factories.worker("away", of="alice")
    dump = Dump(*RESTORED_TABLES)
    agent = idle(world)
    dump.restore()
    world.epoch(2)
    world.agent = agent
    world.epoch(2)
    assert Sector.objects.get(number=known).state == "ALLOCATED"

    recovery_end(principal=principal("admin"), now=clock.now())
    world.epoch(2)

    assert Sector.objects.get(number=known).state != "ALLOCATED"
