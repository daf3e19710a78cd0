"""Jobs over proven sectors for damocles-workers: sectors, runs, and the hosts of the pool beside them."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

from apps.core import clock
from apps.miners.models import Miner
from apps.sectors.models import Job, PipelineRun, Sector, Worker
from apps.sectors.rules.params import comm_d_of, pieces_column
from apps.sectors.services.jobs.claims import jobs_claim
from apps.sectors.services.jobs.reports import job_complete
from apps.sectors.services.runs.steps import run_begin
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.job_inputs import Piece as WirePiece
from poolsite.wire.job_reports import BadSector, Complete
from poolsite.wire.jobs import Claim, JobKind
from poolsite.wire.pipeline import RebuildState, SnapState
from tests import factories
from tests.unit.apps.api.rpc.damocles_line import SPEC, TICKET

OLD, NEW = bytes([5]) * 31 + b"\0", bytes([6]) * 31 + b"\0"
SNAP_SPEC = {"Sector": SPEC, "Deals": {"MaxDeals": None, "MinUsedSpace": None}}
ROOM = 1 << 13
PROOF = b"update proof"


def proven(miner: Miner, **data: Any) -> Sector:
    """A sector that the chain has."""
    known: dict[str, Any] = {
        "state": "PROVING",
        "store": "store",
        "comm_r": OLD,
        "comm_d": sha254_zero(miner.sector_size),
        "ticket": TICKET,
        "ticket_epoch": 100,
        "activation": 200,
        "expiration": 9000,
        "active": True,
    }
    return factories.sector(miner, **known | data)


def snap_up(sector: Sector, own: Worker) -> PipelineRun:
    """A snap-up that waits, with a piece of a client and zeros behind it."""
    factories.piece(
        sector.miner, state="PACKED", piece_cid=str(commd_cid(NEW)), sector_number=sector.number, offset=0
    )
    sizes = [128, 128, 256, 512, 1024]
    pieces = [WirePiece(size=128, comm_p=NEW, payload_size=100)]
    pieces += [WirePiece(size=size, comm_p=sha254_zero(size)) for size in sizes[1:]]
    return run_begin(
        sector,
        kind=JobKind.SNAP_UP,
        state=SnapState.PIECES_ASSIGNED,
        actor="ann",
        now=clock.now(),
        hosts=[own.pk],
        pieces=pieces_column(pieces),
    )


def rebuild(sector: Sector, own: Worker) -> PipelineRun:
    """A rebuild that waits."""
    return run_begin(
        sector, kind=JobKind.REBUILD, state=RebuildState.LOST, actor="ann", now=clock.now(), hosts=[own.pk]
    )


def made(run: PipelineRun, **changes: Any) -> dict[str, Any]:
    """What SubmitSnapUpProof carries."""
    comm_d = comm_d_of(run.sector, pieces=run.pieces)
    cids = [{"/": str(commd_cid(bytes.fromhex(piece["comm_p"])))} for piece in run.pieces]
    known = {"CommR": [*NEW], "CommD": [*comm_d], "AccessInstance": "store", "Pieces": cids}
    return {**known, "Proof": b64encode(PROOF).decode(), **changes}


def looks(prover: Worker, *, reason: str = "") -> int:
    """Have a prover make the looks that it is given; returns how many."""
    now = clock.now()
    claim = Claim(
        worker_id=str(prover.uuid), boot_id=prover.boot_id, kinds=(JobKind.SECTOR_CHECK,), stages={}, max=9
    )
    jobs = jobs_claim(prover, claim=claim, now=now).jobs
    for job in jobs:
        assert job.sector_check is not None
        row = Sector.objects.get(
            miner__actor_id=job.sector_check.miner_id, number=job.sector_check.sectors[0].number
        )
        assert job.sector_check.store == f"uid-{row.store}", "no other store's files count"
        numbers = tuple(one.number for one in job.sector_check.sectors) if reason else ()
        bad = tuple(BadSector(number=number, path="/mnt/store", reason=reason) for number in numbers)
        told = Complete(token=job.token, proof=b"", faults=numbers, ms=1, read_ms=1, bad=bad)
        job_complete(job.id, complete=told, tenant_id=prover.tenant_id, now=now)
    return len(jobs)


def claimed(own: Worker, kind: JobKind, stage: str) -> int:
    """How many jobs a host of the pool's own gets."""
    stages = {stage: 9}
    claim = Claim(
        worker_id=str(own.uuid), boot_id=own.boot_id, kinds=(kind,), stages=stages, new_sectors=9, max=9
    )
    return len(jobs_claim(own, claim=claim, now=clock.now()).jobs)


def lapse(run: PipelineRun) -> None:
    """Let a lease run out."""
    Job.objects.filter(pk=run.job_id).update(lease_until=clock.now() - timedelta(seconds=1))
