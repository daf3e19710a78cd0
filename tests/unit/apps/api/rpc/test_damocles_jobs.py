"""Snap-ups, rebuilds and unsealing for damocles-workers without a chain: forms, repeats, refusals."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.core import clock
from apps.miners.models import Miner
from apps.pieces.data.commitments import commitment_of
from apps.pieces.models import Piece
from apps.sectors.models import DAMOCLES, Job, JobEvent, PipelineRun, Sector, Worker
from apps.sectors.services.runs.unsealing import unseal_request
from apps.users.services.tokens import TokenLimits
from poolsite.filecoin.cids import commd_cid, commr_cid
from poolsite.wire.jobs import JobKind
from tests import factories, people
from tests.unit.apps.api.rpc.damocles_jobs import (
    NEW,
    OLD,
    PROOF,
    ROOM,
    SNAP_SPEC,
    claimed,
    looks,
    made,
    proven,
    rebuild,
    snap_up,
)
from tests.unit.apps.api.rpc.damocles_line import SPEC, TICKET, Line, named

pytestmark = pytest.mark.django_db

# Snap-ups


def test_a_snap_up_is_given_out_once_in_damocles_forms(line: Line, miner: Miner, own: Worker) -> None:
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None
    sector = proven(miner)
    run = snap_up(sector, own)

    given = line.call("AllocateSanpUpSector", SNAP_SPEC)

    assert given["Sector"] == {"ID": named(sector), "ProofType": sector.seal_proof}
    first, *zeros = given["Pieces"]
    row = Piece.objects.get()
    assert first["Piece"] == {"Size": 128, "PieceCID": {"/": str(commd_cid(NEW))}}
    assert (first["DealInfo"]["PayloadSize"], first["DealInfo"]["AllocationID"]) == (100, row.pk)
    assert {(one["DealInfo"]["DealID"], one["DealInfo"]["AllocationID"]) for one in zeros} == {(0, 0)}
    assert given["Public"] == {
        "CommR": [*OLD],
        "SealedCID": {"/": str(commr_cid(OLD))},
        "Activation": 200,
        "Expiration": 9000,
    }
    assert given["Private"] == {"AccessInstance": "store"}
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None, "it is given out"
    assert claimed(own, JobKind.SNAP_UP, "SNAP_ENCODE") == 0
    run.job.refresh_from_db()
    holder = run.job.worker
    assert (run.job.state, holder is not None and holder.is_damocles) == ("LEASED", True)


def test_only_what_a_worker_takes_is_given(client: Client, line: Line, miner: Miner, own: Worker) -> None:
    sector = proven(miner)
    snap_up(sector, own)
    stranger = Line(client, people.token("write", of="bob", scopes=["sealer"]))
    limits = TokenLimits(miners=(2999,))
    limited = Line(client, people.token("write", of="alice", scopes=["sealer"], limits=limits))
    reader = Line(client, people.token("read", of="alice"))

    assert stranger.call("AllocateSanpUpSector", SNAP_SPEC) is None
    assert limited.call("AllocateSanpUpSector", SNAP_SPEC) is None
    assert "missing permission" in reader.answer("AllocateSanpUpSector", SNAP_SPEC)["error"]["message"]
    for spec in (
        {"AllowedMiners": [9], "AllowedProofTypes": None},
        {"AllowedMiners": [], "AllowedProofTypes": [8]},
    ):
        assert line.call("AllocateSanpUpSector", {**SNAP_SPEC, "Sector": spec}) is None
    assert line.call("AllocateRebuildSector", SPEC) is None, "it is no rebuild"
    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is not None
    run = PipelineRun.objects.get()
    for other in (stranger, limited):
        assert other.code("SubmitSnapUpProof", named(sector), made(run)) == 1, "on 11001 it would wipe"
        assert other.code("ReportFinalized", named(sector)) == 1
        assert other.code("ReportAborted", named(sector), "mine") == 1
    assert PipelineRun.objects.get().paused_at is None


def test_a_paused_host_gets_none(line: Line, miner: Miner, own: Worker) -> None:
    snap_up(proven(miner), own)
    line.call("AllocateSector", SPEC)  # its first word makes its row
    Worker.objects.filter(kinds__contains=[DAMOCLES]).update(is_paused=True)

    assert line.call("AllocateSanpUpSector", SNAP_SPEC) is None


def test_an_update_is_accepted_once_a_prover_has_seen_its_files(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = snap_up(sector, own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    line.report(given, "SnapEncoded")
    line.report(given, "SnapEncoded", "temporary")
    failed = run.job.events.filter(is_error=True)
    assert len(failed) == 1
    assert line.call("StoreReserveSpace", named(sector), ROOM, ["store"])["Name"] == "store"
    assert line.call("StoreReserveSpace", named(sector), ROOM, [])["Name"] == "store"
    submit = ("SubmitSnapUpProof", named(sector), made(run))

    assert "no prover has checked" in line.answer(*submit)["error"]["message"]
    line.report(given, "Persisted", "temporary")
    assert len(failed.all()) == 1, "it waits to be seen, whatever the words in which its thread says so"
    assert line.code(*submit) == 1, "it asks again"
    run.refresh_from_db()
    assert (run.state, bytes(run.comm_r or b"")) == ("SNAP_PROVED", NEW)
    assert line.code("ReportFinalized", named(sector)) == 1, "its files stay"
    assert looks(prover) == 1
    assert line.call(*submit) == {"Res": 1, "Desc": None}
    assert line.call(*submit) == {"Res": 1, "Desc": None}
    other = made(run, CommR=[*OLD])
    assert line.call("SubmitSnapUpProof", named(sector), other)["Res"] == 4
    run.refresh_from_db()
    assert (run.state, run.job.state, bytes(run.proof or b"")) == ("SNAP_STORED", "WAITING", PROOF)
    assert line.report(given, "Persisted")["Finalized"] is False
    assert line.call("ReportFinalized", named(sector)) is None
    assert line.call("ReportFinalized", named(sector)) is None
    assert line.report(given, "Finished")["Finalized"] is True
    steps = JobEvent.objects.filter(job=run.job, seq__isnull=False).order_by("seq")
    assert list(steps.values_list("event", "ms")) == [
        ("SNAP_ENCODE", None),
        ("SNAP_PROVE", None),
        ("PERSIST", None),
    ]


def test_what_is_not_the_update_is_rejected_and_nothing_of_it_stays(
    line: Line, miner: Miner, own: Worker
) -> None:
    run = snap_up(proven(miner), own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"Proof": ""}, "empty proof"),
        ({"CommD": [*OLD]}, "commitment does not match the pieces"),
        ({"Pieces": made(run)["Pieces"][:-1]}, "pieces"),
        ({"AccessInstance": "elsewhere"}, "store store"),
    ]

    for changes, words in wrong:
        answer = line.call("SubmitSnapUpProof", given["ID"], made(run, **changes))
        assert (answer["Res"], words in answer["Desc"]) == (4, True), answer
    run.refresh_from_db()
    assert (run.state, run.comm_r, run.job.events.filter(seq__isnull=False).count()) == (
        "PIECES_ASSIGNED",
        None,
        0,
    )


def test_files_that_are_missing_are_stored_again(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    run = snap_up(proven(miner), own)
    given = line.call("AllocateSanpUpSector", SNAP_SPEC)["Sector"]
    submit = ("SubmitSnapUpProof", given["ID"], made(run))

    line.code(*submit)
    looks(prover, reason="truncated")
    assert line.call(*submit) == {"Res": 5, "Desc": "truncated"}
    assert line.code(*submit) == 1, "they are looked at anew"
    assert looks(prover) == 1
    assert line.call(*submit)["Res"] == 1


def test_an_update_goes_beside_its_sector(line: Line, miner: Miner, own: Worker, prover: Worker) -> None:
    factories.store(own, "other")
    sector = proven(miner)
    snap_up(sector, own)
    line.call("AllocateSanpUpSector", SNAP_SPEC)

    refused = line.answer("StoreReserveSpace", named(sector), ROOM, ["other"])["error"]["message"]
    assert "is in store store" in refused
    assert line.call("StoreReserveSpace", named(sector), ROOM, ["other", "store"])["Name"] == "store"
    general = Line(line.client, people.token("write", of="alice"))
    kept = {one["Name"]: [kept["Size"] for kept in one["ReservedBy"]] for one in general.call("StoreList")}
    assert kept == {"store": [ROOM], "other": []}
    assert line.call("StoreReserveSpace", named(sector), 1 << 50, ["store"]) is None, "there is no such room"
    assert general.call("StoreReleaseReserved", named(sector)) is True
    assert general.call("StoreReleaseReserved", named(sector)) is False


# Rebuilds


@pytest.mark.parametrize("is_update", [False, True])
def test_a_rebuild_is_given_out_seen_and_done(
    line: Line, miner: Miner, own: Worker, prover: Worker, is_update: bool
) -> None:
    assert line.call("AllocateRebuildSector", SPEC) is None
    data: dict[str, Any] = {"key_comm_r": OLD, "comm_r": NEW} if is_update else {}
    sector = proven(miner, **data)
    run = rebuild(sector, own)

    given = line.call("AllocateRebuildSector", SPEC)

    public = {"CommR": [*OLD], "SealedCID": {"/": str(commr_cid(OLD))}, "Activation": 200, "Expiration": 9000}
    assert given == {
        "Sector": {"ID": named(sector), "ProofType": sector.seal_proof},
        "Ticket": {"Ticket": b64encode(TICKET).decode(), "Epoch": 100},
        "Pieces": None,
        "PiecesV2": None,
        "IsSnapUp": is_update,
        "UpgradePublic": public if is_update else None,
    }
    assert line.call("AllocateRebuildSector", SPEC) is None
    line.report(given["Sector"], "PC1Done")
    run.refresh_from_db()
    assert run.state == "REBUILD_PC1_DONE"
    line.report(given["Sector"], "PieceAdded")  # late
    submit = ("SubmitPersistedEx", named(sector), "store", is_update)
    assert line.code("SubmitPersistedEx", named(sector), "store", not is_update) == 1
    assert line.call("SubmitPersistedEx", named(sector), "nowhere", is_update) is False
    assert line.code(*submit) == 1
    assert line.code("ReportFinalized", named(sector)) == 1
    assert looks(prover) == 1
    assert line.call(*submit) is True
    assert line.call(*submit) is True
    assert line.call("ReportFinalized", named(sector)) is None
    run.refresh_from_db()
    assert (run.state, run.job.state) == ("REBUILD_CLEARED", "WAITING")
    sector.refresh_from_db()
    assert (sector.store, bytes(sector.comm_r or b"")) == ("store", NEW if is_update else OLD)


def test_a_rebuild_with_other_files_stops_and_goes_on_with_its_thread(
    line: Line, miner: Miner, own: Worker, prover: Worker
) -> None:
    sector = proven(miner)
    run = rebuild(sector, own)
    given = line.call("AllocateRebuildSector", SPEC)["Sector"]
    submit = ("SubmitPersistedEx", named(sector), "store", False)
    line.report(given, "SnapDone")
    line.code(*submit)
    looks(prover, reason="comm_r differs")

    assert line.call(*submit) is False

    run.refresh_from_db()
    assert (run.error, run.job.state) == ("store store lacks its files: comm_r differs", "PAUSED")
    line.report(given, "Persisted", level="Permanent")
    assert line.code(*submit) == 1, "its thread was resumed"
    assert looks(prover) == 1
    assert line.call(*submit) is True


# Unsealing


@pytest.fixture
def piece(miner: Miner, own: Worker, settings: Any, tmp_path: Path) -> Piece:
    """A piece in a sector, which somebody wants."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    sector, raw = proven(miner), tmp_path / "raw"
    raw.write_bytes(DATA)
    row = factories.piece(
        miner,
        state="ACTIVE",
        piece_cid=str(commitment_of(raw).cid),
        payload_size=len(DATA),
        has_data=False,
        sector_number=sector.number,
        offset=0,
    )
    unseal_request(row, now=clock.now())
    return row


DATA = bytes(range(100))


def brought(line: Line, cid: str, data: bytes) -> int:
    headers = people.bearer(line.token)
    sent = line.client.put(
        f"/piecestore/{cid}", data, content_type="", headers=headers, REMOTE_ADDR=line.address
    )
    return sent.status_code


def test_a_piece_is_given_out_brought_and_achieved(
    client: Client, line: Line, piece: Piece, own: Worker
) -> None:
    sector, cid = Sector.objects.get(), {"/": piece.piece_cid}

    given = line.call("AllocateUnsealSector", SPEC)

    assert given == {
        "Sector": {"ID": named(sector), "ProofType": sector.seal_proof},
        "PieceCid": cid,
        "Offset": 0,
        "Size": len(DATA),
        "PrivateInfo": {"AccessInstance": "store"},
        "Ticket": {"Ticket": b64encode(TICKET).decode(), "Epoch": 100},
        "CommD": [*bytes(sector.comm_d or b"")],
        "Dest": [],
        "State": "unsealing",
        "ErrorInfo": "",
    }
    assert line.call("AllocateUnsealSector", SPEC) is None
    assert claimed(own, JobKind.UNSEAL, "UNSEAL") == 0
    assert brought(line, piece.piece_cid, DATA) == 404, "nobody asked for it yet"
    for _ in range(2):
        assert line.call("AcquireUnsealDest", named(sector), cid) == [f"store:///{piece.piece_cid}"]
    other = {"/": factories.piece_cid(9)}
    assert line.code("AcquireUnsealDest", named(sector), other) == 1
    assert line.code("AchieveUnsealSector", named(sector), cid, "") == 1, "the bytes have not arrived"
    stranger = Line(client, people.token("write", of="bob", scopes=["sealer"]))
    assert brought(stranger, piece.piece_cid, DATA) == 404
    assert brought(Line(client, people.token("read", of="alice")), piece.piece_cid, DATA) == 403
    elsewhere = Line(client, line.token, address="10.0.0.9")
    assert brought(elsewhere, piece.piece_cid, DATA) == 404
    assert brought(line, piece.piece_cid, bytes(100)) == 400
    assert brought(line, piece.piece_cid, DATA[:-1]) == 409
    assert brought(line, piece.piece_cid, DATA) == 204
    assert brought(line, piece.piece_cid, DATA) == 204
    assert line.call("AcquireUnsealDest", named(sector), cid) == [], "they are here"
    for _ in range(2):
        assert line.call("AchieveUnsealSector", named(sector), cid, "") is None
    assert line.report(given["Sector"], "Finished")["Finalized"] is False
    assert line.call("ReportFinalized", named(sector)) is None
    job = Job.objects.get(kind=JobKind.UNSEAL)
    assert (job.state, Piece.objects.get().has_data) == ("DONE", True)
    events = job.events.filter(seq__isnull=False).order_by("seq")
    assert list(events.values_list("event", flat=True)) == ["UNSEAL", "UPLOAD"]


@pytest.mark.parametrize("is_told", [False, True])
def test_a_piece_that_cannot_be_unsealed_is_free_for_others(
    line: Line, piece: Piece, own: Worker, is_told: bool
) -> None:
    given = line.call("AllocateUnsealSector", SPEC)
    if is_told:
        line.call("AchieveUnsealSector", given["Sector"]["ID"], given["PieceCid"], "disk gone")
    else:
        line.report(given["Sector"], "Allocated", level="Permanent")

    job = Job.objects.get(kind=JobKind.UNSEAL)
    assert (job.state, "disk gone" in job.error) == ("FAILED", True)
    assert line.report(given["Sector"], "Unsealed")["Finalized"] is True
    assert line.code("AcquireUnsealDest", given["Sector"]["ID"], given["PieceCid"]) == 11001
    unseal_request(piece, now=clock.now(), is_retry=True)
    assert claimed(own, JobKind.UNSEAL, "UNSEAL") == 1


def test_two_pieces_of_a_sector_are_unsealed_one_after_the_other(line: Line, piece: Piece) -> None:
    second = factories.piece(piece.miner, state="ACTIVE", sector_number=piece.sector_number, offset=128)
    unseal_request(second, now=clock.now())
    given = line.call("AllocateUnsealSector", SPEC)
    assert line.call("AllocateUnsealSector", SPEC) is None, "calls name the sector alone"
    line.call("AchieveUnsealSector", given["Sector"]["ID"], given["PieceCid"], "disk gone")
    line.call("ReportFinalized", given["Sector"]["ID"])

    assert line.call("AllocateUnsealSector", SPEC)["PieceCid"] == {"/": second.piece_cid}


def test_an_updated_sector_is_unsealed_by_the_pools_own_hosts(line: Line, piece: Piece, own: Worker) -> None:
    Sector.objects.update(key_comm_r=OLD)

    assert line.call("AllocateUnsealSector", SPEC) is None, "a worker would read the replica before it"
    assert claimed(own, JobKind.UNSEAL, "UNSEAL") == 1
