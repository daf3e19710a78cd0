"""The bytes of the reference through whole pipelines: rebuilt, unsealed, new data encoded into them.

The sector is the golden one (prover, number, ticket, pieces), so whatever console and host do to it between
its rows and the files in the store must give the files of the golden run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.services.deliveries import deliveries_send
from apps.sectors.models import PipelineRun, Sector
from apps.sectors.services.runs.deliveries import UnsealOrder, piece_deliver
from apps.sectors.services.runs.rebuild import rebuild_begin
from apps.sectors.services.runs.steps import run_begin
from apps.sectors.services.runs.unsealing import unsealed_remove
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.filecoin.sector import RegisteredPoStProof, RegisteredSealProof
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SnapState
from tests import factories, people
from tests.integration.sealing.pieces import data_of
from tests.integration.sealing.world import World
from tests.piece_store import piece_store
from tests.unit.workers.processors.sealing import digest, golden, stream

KIB2 = (RegisteredSealProof.STACKED_DRG_2KIB_V1_1, RegisteredPoStProof.WINDOW_2KIB_V1_1)
MIB8 = (RegisteredSealProof.STACKED_DRG_8MIB_V1_1, RegisteredPoStProof.WINDOW_8MIB_V1_1)
NAME = "s-t01000-1"
KEPT = ("p_aux", "sc-02-data-tree-r-last.dat")


@pytest.fixture(autouse=True)
def waiting(settings: Any, tmp_path: Path) -> None:
    """Pieces wait to be named."""
    settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = str(tmp_path / "pieces"), True
    settings.SEALING = {"pack_wait_s": 10_000}
    (tmp_path / "pieces").mkdir()


def golden_sector(world: World, case: Any, proofs: tuple[int, int]) -> Sector:
    """The golden sector as a row, with its pieces; its files are lost."""
    size = int(case["sector_size"])
    miner = factories.miner(1000, of="alice", seal_proof=proofs[0], post_proof=proofs[1], sector_size=size)
    column, at = [], 0
    for number, piece in enumerate(case["pieces"]):
        padded = piece["unpadded"] // 127 * 128
        while at % padded:
            gap = at & -at
            column.append({"size": gap, "comm_p": sha254_zero(gap).hex(), "payload": 0})
            at += gap
        column.append({"size": padded, "comm_p": piece["comm_p"], "payload": piece["unpadded"]})
        row = factories.piece(
            miner,
            state="ACTIVE",
            piece_cid=str(commd_cid(bytes.fromhex(piece["comm_p"]))),
            padded_size=padded,
            payload_size=piece["unpadded"],
            sector_number=1,
            offset=at,
        )
        piece_path(row).write_bytes(stream(f"seal-{number}", piece["unpadded"]))
        at += padded
    sector = factories.sector(
        miner,
        number=1,
        state="PROVING",
        active=True,
        store=world.store.name(),
        pieces=column,
        ticket=bytes.fromhex(case["ticket"]),
        comm_d=bytes.fromhex(case["comm_d"]),
        comm_r=bytes.fromhex(case["comm_r"]),
    )
    assert at == size
    return sector


def whole(world: World, pieces: list[Piece], *, size: int) -> bytes:
    """The sector's raw bytes, put together of what comes out for each piece."""
    data = bytearray(unpadded_bytes(size))
    for piece in pieces:
        first = unpadded_bytes(piece.offset or 0)
        raw = data_of(world, piece)
        data[first : first + len(raw)] = raw
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "proofs"),
    [("2k_v1_1", KIB2), pytest.param("8m_v1_1", MIB8, marks=pytest.mark.slow)],
    ids=["2KiB", "8MiB"],
)
def test_pipelines_make_the_bytes_of_the_reference(world: World, name: str, proofs: tuple[int, int]) -> None:
    case = golden(f"seal_{name}")
    sector = golden_sector(world, case, proofs)
    by = people.principal("alice", "admin")

    rebuild_begin(sector, by=by, now=clock.now())
    world.hosts_work()
    run = PipelineRun.objects.get()
    assert (run.state, run.error) == ("REBUILD_CLEARED", "")
    assert digest(world.store.root / "sealed" / NAME) == case["sealed_sha256"]
    for kept in KEPT:
        assert digest(world.store.root / "cache" / NAME / kept) == case["cache_files"][kept]["sha256"]

    unsealed_remove(sector, by=by)
    pieces = list(Piece.objects.order_by("offset"))
    last = pieces[-1]
    size = unpadded_bytes(last.padded_size)
    with piece_store() as market:
        order = UnsealOrder(
            "f01000", 1, str(last.piece_cid), unpadded_bytes(last.offset or 0) + 3, size - 10, market.url
        )
        asked = [piece_deliver(order, market="", by=by, now=clock.now()) for _ in range(2)]
        world.hosts_work()
        deliveries_send(now=clock.now())
        asked.append(piece_deliver(order, market="", by=by, now=clock.now()))
    assert asked == ["set_up", "set_up", "finished"]
    assert [body for _, _, body in market.puts] == [stream(f"seal-{len(pieces) - 1}", size)[3 : size - 7]]
    for piece in pieces[:-1]:
        assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
        world.hosts_work()
    made = hashlib.sha256(whole(world, pieces, size=sector.sector_size)).hexdigest()
    assert made == case["unsealed_unpadded_sha256"]

    update = case["update"]
    PipelineRun.objects.all().delete()
    new = factories.piece(
        sector.miner,
        piece_cid=str(commd_cid(bytes.fromhex(update["comm_p"]))),
        padded_size=sector.sector_size,
        payload_size=unpadded_bytes(sector.sector_size),
    )
    piece_path(new).write_bytes(stream("snap-0", unpadded_bytes(sector.sector_size)))
    column = [{"size": sector.sector_size, "comm_p": update["comm_p"], "payload": new.payload_size}]
    run = run_begin(
        sector,
        kind=JobKind.SNAP_UP,
        state=SnapState.PIECES_ASSIGNED,
        actor="ann",
        now=clock.now(),
        pieces=column,
    )
    world.hosts_work()
    run.refresh_from_db()
    assert (run.state, run.error) == ("SNAP_STORED", "")
    assert bytes(run.comm_r or b"").hex() == update["comm_r_new"]
    assert digest(world.store.root / "update" / NAME) == update["new_replica_sha256"]
