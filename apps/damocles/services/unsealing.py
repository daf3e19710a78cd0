"""Pieces that damocles-workers unseal: given out, their bytes taken, done or given up."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F

from apps.core.marked_texts import gettext
from apps.damocles.errors import NotDamocles, NotThatFar
from apps.damocles.services.job_allocation import AllocatedJob, job_allocate
from apps.damocles.services.job_locks import LockedJob, damocles_job_lock
from apps.damocles.services.sector_locks import SectorName
from apps.damocles.services.sectors import AllocateSpec
from apps.pieces.data.files import Source
from apps.pieces.models import Piece
from apps.sectors.errors.jobs import JobUnknown
from apps.sectors.models import Job
from apps.sectors.selectors.damocles_hosts import damocles_jobs_in_hand
from apps.sectors.services.runs.unsealing import unsealed_store
from apps.users.rules.principals import Principal
from poolsite.wire.job_reports import TEXT_MAX, StageOutputs
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import UnsealStage


def unseal_allocate(
    principal: Principal, *, spec: AllocateSpec, now: datetime
) -> tuple[AllocatedJob, str] | None:
    """Lease a piece that is to be unsealed, with its CID; None while there is none.  Raises WorkerRetired."""
    allocated = job_allocate(principal, spec=spec, kind=JobKind.UNSEAL, now=now)
    return None if allocated is None else (allocated, str(_piece_of(allocated.job).piece_cid))


def _piece_of(job: Job) -> Piece:
    return Piece.objects.select_related("miner__tenant").get(uuid=job.inputs["piece"])


def _piece_named(one: LockedJob, name: SectorName, cid: str) -> Piece:
    """Return the piece of a job, if it is the one that a worker names.  Raises NotDamocles."""
    piece = _piece_of(one.job)
    if piece.piece_cid != cid:
        raise NotDamocles(
            gettext("{name}: piece {cid} is not the one last requested for unsealing").format(
                name=name, cid=cid
            )
        )
    return piece


def unseal_is_wanted(principal: Principal, *, name: SectorName, cid: str, now: datetime) -> bool:
    """Return whether a worker is to upload what it has unsealed; asked again, the same until it has.

    Raises NotDamocles, SectorEnded.
    """
    with damocles_job_lock(principal, name=name, kinds=(JobKind.UNSEAL,), now=now) as one:
        piece = _piece_named(one, name, cid)
        one.require(name)
        if one.is_accepted:
            return False
        _uploading(one)
        return not piece.has_data


def _uploading(one: LockedJob) -> None:
    """Move a job to where it waits for the bytes."""
    one.begin()
    if one.job.stage == UnsealStage.UNSEAL:
        one.step(StageOutputs())


def unsealed_piece_store(principal: Principal, *, cid: str, source: Source) -> None:
    """Store the bytes of a piece from the worker that was told to upload them; a repeat changes nothing.

    Raises JobUnknown, LeaseLost, UploadIncomplete, PieceBusy, PieceMismatch.
    """
    rows = damocles_jobs_in_hand().filter(job__kind=JobKind.UNSEAL, sector__tenant_id=principal.own_id)
    waiting = rows.filter(job__stage=UnsealStage.UPLOAD, worker__host=principal.source[:100])
    for record in waiting.select_related("job", "sector__miner").order_by(
        F("named_at").desc(nulls_last=True)
    ):
        is_its = principal.may_mine(record.sector.miner.actor_id or 0)
        if is_its and _piece_of(record.job).piece_cid == cid:
            unsealed_store(
                str(record.job.uuid), source=source, token=record.job.lease_token, tenant_id=principal.own_id
            )
            return
    raise JobUnknown(cid)


def unseal_achieve(principal: Principal, *, name: SectorName, cid: str, error: str, now: datetime) -> None:
    """Note that a piece is unsealed and here, or why it is not; a repeat changes nothing.

    Raises NotDamocles, SectorEnded, NotThatFar while its bytes have not come.
    """
    with damocles_job_lock(principal, name=name, kinds=(JobKind.UNSEAL,), now=now) as one:
        piece = _piece_named(one, name, cid)
        if one.is_accepted:
            return
        one.require(name)
        if error:
            one.fail(error[:TEXT_MAX], is_paused=True)
            return
        if not piece.has_data:
            raise NotThatFar(
                gettext("{name}: the bytes of {cid} have not arrived").format(name=name, cid=cid)
            )
        _uploading(one)
        one.step(StageOutputs())
