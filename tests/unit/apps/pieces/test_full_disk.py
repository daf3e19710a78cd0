"""A disk that fills up while bytes come: they end, and the pool keeps its reserve."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.api.errors import http_status
from apps.core import clock
from apps.core.disk import DiskFull
from apps.miners.models import Miner
from apps.pieces.data import files
from apps.pieces.models import Piece
from apps.pieces.services.restored_data import data_restore
from apps.pieces.services.uploads import PieceSpec, part_upload, piece_upload, upload_begin
from apps.sectors.errors.jobs import NoRoomYet
from apps.sectors.models import Job
from apps.sectors.services.runs.unsealing import unseal_request, unsealed_store
from poolsite.wire.pipeline import WORKER_STAGES
from tests import factories, people

pytestmark = pytest.mark.django_db

DATA = b"x" * 300


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    return factories.miner()


@pytest.fixture
def filling(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the disk reach the pool's reserve once so many further checks have passed."""
    usage = os.statvfs("/")
    settings.DISK_RESERVE_BYTES = 1 << 20
    left = 10**6

    def statvfs(_folder: Any) -> Any:
        nonlocal left
        left -= 1
        free = 10**9 if left >= 0 else 0
        return os.statvfs_result((*usage[:4], free, *usage[5:10]))

    def checks(count: int) -> None:
        nonlocal left
        left = count

    monkeypatch.setattr("apps.pieces.data.files.os.statvfs", statvfs)
    monkeypatch.setattr(files, "SYNC_BYTES", 100)
    monkeypatch.setattr(files, "CHUNK_BYTES", 100)
    return checks


@pytest.mark.parametrize("passed", [0, 1, 2])
def test_an_upload_ends_with_the_reason(
    miner: Miner, tmp_path: Path, filling: Callable[[int], None], passed: int
) -> None:
    filling(passed)

    with pytest.raises(DiskFull, match="free up space"):
        piece_upload(miner, spec=PieceSpec(), source=io.BytesIO(DATA), by=people.principal())
    assert (list(Piece.objects.all()), list(tmp_path.iterdir())) == ([], [])


def test_parts_that_came_before_stay(miner: Miner, filling: Callable[[int], None]) -> None:
    by = people.principal()
    piece = upload_begin(miner, spec=PieceSpec(payload_size=300), by=by, is_resumable=True)
    filling(3)
    with pytest.raises(DiskFull):
        part_upload(piece, source=io.BytesIO(DATA), offset=0, by=by)
    with pytest.raises(DiskFull):
        part_upload(piece, source=io.BytesIO(DATA[200:]), offset=200, by=by)
    assert Piece.objects.get().received == piece.received == 200
    filling(10**6)

    assert part_upload(piece, source=io.BytesIO(DATA[200:]), offset=200, by=by)[1]


def test_unsealed_bytes_end_too(miner: Miner, tmp_path: Path, filling: Callable[[int], None]) -> None:
    piece = factories.piece(miner, state="ACTIVE", has_data=False, payload_size=300)
    filling(1)

    with pytest.raises(DiskFull):
        data_restore(piece, source=io.BytesIO(DATA))
    assert list(tmp_path.iterdir()) == []


def test_what_a_host_has_unsealed_is_taken_once_there_is_room(
    miner: Miner, filling: Callable[[int], None]
) -> None:
    piece = factories.piece(
        miner, state="ACTIVE", has_data=False, payload_size=300, sector_number=7, offset=0
    )
    sealed: dict[str, Any] = {"comm_d": bytes(32), "comm_r": bytes(32), "ticket": bytes(32)}
    factories.sector(miner, number=7, state="PROVING", store="store", **sealed)
    factories.worker(stores=["store"])
    filling(0)
    with pytest.raises(DiskFull, match="free up space"):  # before a host works on it for hours
        unseal_request(piece, now=clock.now())
    filling(1)
    job = unseal_request(piece, now=clock.now())
    Job.objects.update(stage="UPLOAD")

    with pytest.raises(NoRoomYet, match="free up space") as refusal:
        unsealed_store(
            str(job.uuid), source=io.BytesIO(DATA), token=job.lease_token, tenant_id=miner.tenant_id
        )
    assert (http_status(refusal.value), refusal.value.code) == (503, "disk_full")
    pauses = [WORKER_STAGES["UPLOAD"].retries.pause_after(number + 1) for number in range(29)]
    assert sum(pauses) > 20 * 3600
