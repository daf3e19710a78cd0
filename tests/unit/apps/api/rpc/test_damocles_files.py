"""damocles-workers' files: room that is kept for them, and the look of a prover before anything is proven."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import DAMOCLES, Job, Sector, Store, StoreAttachment, Worker
from apps.sectors.services.sealing.steps import sector_abort, sector_retry
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.unit.apps.api.rpc.damocles_jobs import looks
from tests.unit.apps.api.rpc.damocles_line import SPEC, Line, named, precommit, ticketed

pytestmark = pytest.mark.django_db

HALF = 1 << 38
"""Of the room of a store."""
PROOF = {"Proof": b64encode(b"proof").decode()}


def begun(line: Line, miner: Miner) -> Sector:
    """A sector that a worker is at."""
    sector = factories.sector(miner)
    line.report(line.call("AllocateSector", SPEC), "PieceAdded")
    return sector


def landed(line: Line, miner: Miner) -> Sector:
    """A sector whose pre-commit has landed and that has its seed."""
    sector = ticketed(line, miner)
    line.call("SubmitPreCommit", *precommit(sector))
    Sector.objects.filter(pk=sector.pk).update(state="SEED_ASSIGNED", seed=bytes(32), seed_epoch=990)
    Job.objects.filter(sector=sector).update(state="READY", stage="C1")
    sector.refresh_from_db()
    return sector


def reserve(line: Line, sector: Sector, size: int = HALF) -> Any:
    return line.call("StoreReserveSpace", named(sector), size, ["store"])


@pytest.mark.parametrize("how", ["aborted", "stored", "finished", "retired", "taken over"])
def test_room_is_kept_only_for_files_that_are_still_to_come(
    line: Line, miner: Miner, prover: Worker, how: str
) -> None:
    first, second = begun(line, miner), begun(line, miner)
    Store.objects.update(free_bytes=HALF + 1)
    assert reserve(line, first) is not None
    assert reserve(line, second) is None

    if how == "aborted":
        sector_abort(first, actor="ann", reason="not wanted", now=clock.now())
        assert line.code("StoreReserveSpace", named(first), HALF, ["store"]) == 11001
    elif how == "retired":
        gone = factories.worker("gone", kinds=[DAMOCLES], retired_at=clock.now())
        Job.objects.filter(sector=first).update(sticky_worker=gone)
    elif how == "taken over":
        Job.objects.filter(sector=first).update(sticky_worker=factories.worker("ours", kinds=["seal"]))
    else:
        Sector.objects.filter(pk=first.pk).update(state="PRECOMMIT_LANDED", comm_r=bytes(32))
        assert line.call("SubmitPersisted", named(first), "store") is True
        assert reserve(line, first) is not None, "said late, or twice"
    if how == "finished":
        Sector.objects.filter(pk=first.pk).update(state="COMMIT_SENT", store="moved")
        assert line.call("ReportFinalized", named(first)) is None

    assert reserve(line, second) is not None


@pytest.mark.parametrize("disk", ["64769", "64770"])
def test_room_that_is_kept_in_one_store_is_free_in_none_on_its_disk(
    line: Line, miner: Miner, prover: Worker, disk: str
) -> None:
    first, second = begun(line, miner), begun(line, miner)
    factories.store(prover, "beside")
    for name, its in (("store", "64769"), ("beside", disk)):
        StoreAttachment.objects.filter(store__name=name).update(disk=its)
    room = HALF + 1
    Store.objects.update(free_bytes=room, total_bytes=room, disk_bytes=room, disk_free_bytes=room)
    assert reserve(line, first) is not None

    kept = line.call("StoreReserveSpace", named(second), HALF, ["beside"])
    assert (kept is None) is (disk == "64769"), "one disk, or two"


def test_nothing_is_proven_before_a_prover_has_seen_the_files(
    line: Line, miner: Miner, prover: Worker
) -> None:
    sector = landed(line, miner)
    assert line.call("SubmitPersisted", named(sector), "store") is True

    assert line.call("WaitSeed", named(sector), 5)["ShouldWait"] is True
    Sector.objects.filter(pk=sector.pk).update(seed_epoch=990)
    assert line.call("SubmitProof", named(sector), PROOF, False)["Res"] == 3, "it has no seed yet"
    assert looks(prover) == 1

    assert line.call("WaitSeed", named(sector), 5)["Seed"]["Epoch"] == 990
    assert line.call("SubmitProof", named(sector), PROOF, False)["Res"] == 1
    assert looks(prover) == 0
    assert Job.objects.get(sector=sector).events.filter(event="FILES_SEEN").count() == 1


def test_files_that_a_prover_finds_bad_pause_their_sector(line: Line, miner: Miner, prover: Worker) -> None:
    sector = landed(line, miner)
    line.call("SubmitPersisted", named(sector), "store")
    looks(prover, reason="cache/p_aux is missing")

    for _ in range(2):
        assert line.call("WaitSeed", named(sector), 5)["ShouldWait"] is True
    sector.refresh_from_db()
    assert sector.error == "store store lacks its files: cache/p_aux is missing"
    assert sector.paused_at is not None
    assert looks(prover) == 0

    assert line.call("SubmitPersisted", named(sector), "store") is True, "its worker has stored it again"
    assert Sector.objects.filter(pk=sector.pk, paused_at=None, error="").exists()
    assert line.call("WaitSeed", named(sector), 5)["ShouldWait"] is True
    assert looks(prover, reason="no sealed file") == 1
    line.call("WaitSeed", named(sector), 5)
    sector_retry(sector, actor="ann", now=clock.now())
    line.call("WaitSeed", named(sector), 5)
    assert looks(prover) == 1, "a person has mended it"
    assert line.call("WaitSeed", named(sector), 5)["ShouldWait"] is False


def test_a_look_that_nobody_takes_is_offered_anew(line: Line, miner: Miner, prover: Worker) -> None:
    sector = landed(line, miner)
    line.call("SubmitPersisted", named(sector), "store")
    first = Job.objects.get(kind=JobKind.SECTOR_CHECK)
    Job.objects.filter(pk=first.pk).update(expires_at=clock.now() - timedelta(seconds=1), offered_to=[0])

    assert line.call("WaitSeed", named(sector), 5)["ShouldWait"] is True
    assert looks(prover) == 1
    first.refresh_from_db()
    assert (first.state, first.error) == ("FAILED", "no longer needed")


def test_files_in_another_store_are_looked_at_there(line: Line, miner: Miner, prover: Worker) -> None:
    sector = landed(line, miner)
    factories.store(prover, "other")
    line.call("SubmitPersisted", named(sector), "store")
    looks(prover)
    assert line.call("WaitSeed", named(sector), 5)["ShouldWait"] is False

    assert line.call("SubmitPersisted", named(sector), "other") is True

    assert (
        "no prover has checked" in line.answer("SubmitProof", named(sector), PROOF, False)["error"]["message"]
    )
    looks(prover, reason="no sealed file")
    assert line.code("SubmitProof", named(sector), PROOF, False) == 1
    sector.refresh_from_db()
    assert (sector.paused_at is None, sector.error) == (False, "store other lacks its files: no sealed file")
