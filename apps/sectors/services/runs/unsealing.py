"""Bytes out of sealed sectors: a job for a host of the sector's store, which uploads what it unsealed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from apps.core.disk import DiskFull
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.pieces.data.files import Source, room_require
from apps.pieces.errors import PieceQuotaExceeded
from apps.pieces.models import Piece
from apps.pieces.selectors import pieces_of_sector
from apps.pieces.services.quotas import quota_lock, quota_require
from apps.pieces.services.reservations import RoomAwaited
from apps.pieces.services.restored_data import (
    data_drop,
    data_loss_note,
    data_restore,
    piece_data_lock,
    pieces_lock,
)
from apps.pieces.states import PieceState
from apps.sectors.errors.jobs import BadReport, JobUnknown, LeaseLost, NoRoomYet, StateDiffers
from apps.sectors.errors.runs import NotUnsealed, UnsealFailed, UnsealsUnderWay
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.jobs import unseal_inputs
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.fr32 import unpadded_bytes
from poolsite.wire.job_reports import Event, EventAnswer
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import UNSEAL_NEXT, UNSEAL_STAGES, Owner, UnsealStage, UnsealState

RETRY_AFTER: Final = timedelta(minutes=10)
"""So long a failure is answered before the piece is unsealed again."""
RETRIEVALS_MAX: Final = 1
"""Pieces of a miner that are unsealed at a time, for whatever reason, when somebody retrieves another."""
OPEN: Final = (JobState.READY, JobState.LEASED, JobState.WAITING, JobState.PAUSED)


@transaction.atomic
def unseal_request(piece: Piece, *, now: datetime, is_retry: bool = False, is_lent: bool = False) -> Job:
    """Unseal a piece; the job in progress is returned for each further request.

    A retry does not wait after a failure.  The bytes stay, unless they are lent: to somebody who retrieves
    them, and nobody else has asked for them.  Raises NotUnsealed, UnsealFailed, DiskFull, PieceQuotaExceeded.
    """
    quota_lock(piece.miner.tenant_id)
    piece_data_lock(piece)
    data_loss_note(piece)
    if not is_lent:
        Piece.objects.filter(pk=piece.pk, copy_read_at__isnull=False).update(copy_read_at=None)
    jobs = Job.objects.filter(kind=JobKind.UNSEAL, miner=piece.miner, inputs__piece=str(piece.uuid))
    last = jobs.order_by("-pk").first()
    if last is not None and last.state in OPEN:
        return last
    is_fresh = last is not None and last.state == JobState.FAILED and now - last.updated_at < RETRY_AFTER
    if last is not None and is_fresh and not is_retry:
        raise UnsealFailed(
            gettext("it could not be unsealed: {error}").format(error=last.error), field="piece_cid"
        )
    placed = -1 if piece.sector_number is None else piece.sector_number
    sector = Sector.objects.filter(miner=piece.miner, number=placed).first()
    if sector is None or not sector.store or sector.comm_d is None:
        raise NotUnsealed(gettext("its sector is not stored yet"), field="piece_cid")
    if sector.removal_asked_at is not None:
        raise NotUnsealed(gettext("the files of its sector were removed"), field="piece_cid")
    if sector.ticket is None:  # adopted from the chain, which does not store the ticket
        reason = gettext(
            "the ticket of sector {sector} is not known here: import the sector's record"
        ).format(sector=sector)
        raise NotUnsealed(reason, field="piece_cid")
    hosts = _hosts_of_store(sector)
    room_require(piece.payload_size or 0)
    quota_require(piece.miner.tenant_id, requested=piece.payload_size or 0, field="piece_cid")
    spec = UNSEAL_NEXT[UnsealState.SEALED]
    job = Job.objects.create(
        kind=JobKind.UNSEAL,
        miner=piece.miner,
        stage=spec.stage,
        lease_s=sealing_policy().lease_s,
        offered_to=hosts,
        inputs={
            "sector": str(sector.uuid),
            "piece": str(piece.uuid),
            "offset": unpadded_bytes(piece.offset or 0),
            "num_bytes": piece.payload_size or 0,
        },
    )
    if is_lent and not piece.has_data:
        Piece.objects.filter(pk=piece.pk).update(copy_read_at=now)
    publish(Change("piece", str(piece.uuid), piece.miner.tenant_id))
    return job


@transaction.atomic
def retrieval_unseal_request(piece: Piece, *, now: datetime) -> None:
    """Unseal a piece for somebody who retrieves it, unless the miner unseals enough others for such people.

    Anybody can ask for anything: so a flood of requests costs a host one piece at a time.
    Raises UnsealsUnderWay, and what `unseal_request` raises.
    """
    quota_lock(piece.miner.tenant_id)
    others = Job.objects.filter(kind=JobKind.UNSEAL, miner=piece.miner, state__in=OPEN)
    if others.exclude(inputs__piece=str(piece.uuid)).count() >= RETRIEVALS_MAX:
        raise UnsealsUnderWay
    unseal_request(piece, now=now, is_lent=True)


@transaction.atomic
def unseal_retry(job: Job, *, by: Principal, now: datetime, is_audited: bool = True) -> Job:
    """Unseal the piece of a job that failed at once; one line may tell of several already (`is_audited`).

    Raises NotUnsealed, DiskFull, PieceQuotaExceeded.
    """
    piece = Piece.objects.select_related("miner__tenant").filter(uuid=job.inputs["piece"]).first()
    if piece is None:
        raise NotUnsealed(gettext("the piece no longer exists"), field="piece_cid")
    made = unseal_request(piece, now=now, is_retry=True)
    if is_audited:
        after = {"miner": piece.miner.address, "sector": piece.sector_number}
        audit_record(principal=by, action="piece.unseal-retry", target=str(piece.piece_cid), after=after)
    return made


def unsealing_hosts_find(job: Job) -> list[int]:
    """Return the keys of the hosts that may do a job of unsealing.  Raises NotUnsealed."""
    sector = Sector.objects.filter(uuid=job.inputs["sector"]).select_related("miner").first()
    if sector is None or not sector.store:
        raise NotUnsealed(gettext("its sector is no longer stored"), field="piece_cid")
    return _hosts_of_store(sector)


def _hosts_of_store(sector: Sector) -> list[int]:
    hosts = Worker.objects.filter(
        tenant_id=sector.miner.tenant_id, retired_at=None, stores__contains=[sector.store]
    )
    found = list(hosts.order_by("pk").values_list("pk", flat=True))
    if not found:
        raise NotUnsealed(
            gettext("no host here has its store {store}").format(store=sector.store), field="piece_cid"
        )
    return found


def unseal_step(job: Job, *, event: Event, digest: str, now: datetime) -> EventAnswer:
    """Record the end of a stage of unsealing; the job is locked.  Raises StateDiffers, BadReport."""
    spec = UNSEAL_STAGES[job.stage]
    if event.state != spec.state:
        raise StateDiffers(state=spec.state)
    if event.event != spec.report:
        raise BadReport(
            gettext("{event} cannot be reported in state {state}").format(
                event=event.event, state=spec.state
            ),
            field="event",
        )
    if spec.stage == UnsealStage.UPLOAD and not _piece_of(job).has_data:
        raise BadReport(gettext("the bytes have not arrived"), field="event")
    step = UNSEAL_NEXT[spec.next]
    actor = job.worker.name if job.worker is not None else ""
    job_event_write(
        job,
        event=event.event,
        now=now,
        state=spec.state,
        after=spec.next,
        actor=actor,
        seq=event.seq,
        token=event.token,
        stage=spec.stage,
        ms=event.outputs.ms or None,
        worker=job.worker,
        digest=digest,
    )
    data: dict[str, Any] = {
        "seq": event.seq,
        "stage": step.stage,
        "attempts": 0,
        "error": "",
        "updated_at": now,
    }
    if step.owner is Owner.NOBODY:
        advance(job, "DONE", **data, worker=None, lease_until=None)
    else:
        until = now + timedelta(seconds=job.lease_s)
        # What is unsealed lies on this host's disk.
        advance(job, "GO_ON", **data, offered_to=[job.worker_id], lease_until=until, heard_at=now)
    publish(Change("job", job.pk, job.miner.tenant_id))
    return unseal_answer(job)


def unseal_answer(job: Job) -> EventAnswer:
    """Return where unsealing stands, with the inputs of the next stage if a host has one."""
    spec = UNSEAL_STAGES[job.stage]
    goes_on = spec.owner is Owner.WORKER and job.state == JobState.LEASED
    return EventAnswer(
        state=spec.state,
        seq=job.seq,
        seal=unseal_inputs(job) if goes_on else None,
        is_done=spec.owner is Owner.NOBODY,
    )


def unsealed_store(job_id: str, *, source: Source, token: int, tenant_id: int) -> None:
    """Store the bytes that a host unsealed if they are the piece's; the same again changes nothing.

    Raises JobUnknown, LeaseLost, NoRoomYet, UploadIncomplete, PieceBusy, PieceMismatch.
    """
    jobs = Job.objects.filter(kind=JobKind.UNSEAL, miner__tenant_id=tenant_id)
    job = jobs.filter(uuid=job_id).select_related("miner").first() if is_uuid(job_id) else None
    if job is None:
        raise JobUnknown(job_id)
    if job.lease_token != token or job.stage != UnsealStage.UPLOAD:
        raise LeaseLost
    try:
        data_restore(_piece_of(job), source=source)
    except (
        DiskFull,
        RoomAwaited,
        PieceQuotaExceeded,
    ) as error:  # upon a conflict a host would give up hours of work
        raise NoRoomYet(error.reason) from None


def unsealed_remove(sector: Sector, *, by: Principal) -> int:
    """Remove the unsealed copies of a sector's pieces; they are unsealed again when they are asked for.

    Returns how many there were.  Raises NotUnsealed while the chain does not have the sector as active.
    """
    with transaction.atomic():
        pieces = pieces_lock(pieces_of_sector(sector.miner, sector.number))
        free = (PieceState.ACTIVE, PieceState.ENDED)
        if not all(piece.state in free for piece in pieces) or not sector.store:
            raise NotUnsealed(gettext("the bytes are needed until the sector is active"), field="sector")
        with_data = [piece for piece in pieces if piece.has_data]
        for piece in with_data:
            data_drop(piece)
        target = f"{sector.miner} / {sector.number}"
        after = {"pieces": [str(piece.piece_cid) for piece in with_data]}
        audit_record(principal=by, action="sector.unsealed-remove", target=target, after=after)
    return len(with_data)


def _piece_of(job: Job) -> Piece:
    return Piece.objects.select_related("miner__tenant").get(uuid=job.inputs["piece"])
