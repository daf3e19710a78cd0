"""Snap-ups and rebuilds that damocles-workers do: what they are given and submit, seen before it counts.

A worker that has submitted wipes its folder.  So nothing is accepted before a prover has found the files in
the store; until then the worker is told to ask again, which it does with its own pauses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from apps.core.marked_texts import gettext
from apps.damocles.errors import NotThatFar
from apps.damocles.reasons import LACKS_FILES
from apps.damocles.services.deals import deals_list
from apps.damocles.services.files import (
    StoredFiles,
    files_check_describe,
    files_check_read,
    files_check_start,
    missing_check_describe,
)
from apps.damocles.services.job_allocation import AllocatedJob, job_allocate
from apps.damocles.services.job_locks import LockedJob, damocles_job_lock
from apps.damocles.services.sector_locks import SectorName
from apps.damocles.services.sectors import AllocateSpec
from apps.damocles.services.submissions import Submitted
from apps.pieces.selectors import pieces_of_sector
from apps.sectors.errors.jobs import BadReport
from apps.sectors.models import Job, PipelineRun, Store
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.sector_records import PlacedPiece, pieces_placed
from apps.sectors.selectors.stores import provers_of_store
from apps.users.rules.principals import Principal
from poolsite.wire.damocles import SubmitResult
from poolsite.wire.job_reports import StageOutputs
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RebuildState, SnapState


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatedRun:
    """A snap-up or rebuild with the pieces that the sector is to hold; none: zeros."""

    allocated: AllocatedJob
    pieces: list[PlacedPiece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What a worker has made of a sector into which data go."""

    comm_r: bytes
    comm_d: bytes
    store: str
    pieces: tuple[str, ...]
    """Their CIDs, in order of place."""
    proof: bytes


def snap_up_allocate(principal: Principal, *, spec: AllocateSpec, now: datetime) -> AllocatedRun | None:
    """Lease a snap-up that waits; None while there is none.  Raises WorkerRetired."""
    allocated = job_allocate(principal, spec=spec, kind=JobKind.SNAP_UP, now=now)
    return (
        None if allocated is None else AllocatedRun(allocated=allocated, pieces=_pieces_of(allocated.job.run))
    )


def _pieces_of(run: PipelineRun) -> list[PlacedPiece]:
    sector = run.sector
    return pieces_placed(run.pieces, pieces_of_sector(sector.miner, sector.number))


def rebuild_allocate(principal: Principal, *, spec: AllocateSpec, now: datetime) -> AllocatedRun | None:
    """Lease a rebuild that waits; None while there is none.  Raises WorkerRetired."""
    allocated = job_allocate(principal, spec=spec, kind=JobKind.REBUILD, now=now)
    return (
        None if allocated is None else AllocatedRun(allocated=allocated, pieces=deals_list(allocated.sector))
    )


def snap_up_submit(principal: Principal, *, name: SectorName, made: Updated, now: datetime) -> Submitted:
    """Accept an updated replica with its proof; the same again is answered as before.

    Raises NotDamocles, and NotThatFar until a prover has seen the files.
    """
    if not made.proof:
        return SubmitResult.REJECTED, gettext("empty proof is invalid")
    if len(made.proof) > sealing_policy().proof_max_bytes:
        return SubmitResult.REJECTED, gettext("the proof is too long")
    try:
        with damocles_job_lock(principal, name=name, kinds=(JobKind.SNAP_UP,), now=now) as one:
            result = _update_take(one, name, made)
    except BadReport as bad:
        return SubmitResult.REJECTED, bad.reason
    if isinstance(result, str):  # raised after the transaction: the check that was begun stays
        raise NotThatFar(result)
    return result


def _update_take(one: LockedJob, name: SectorName, made: Updated) -> Submitted | str:
    """Accept an update, or return for what it waits.  Raises NotDamocles, BadReport."""
    run, sector = one.run, one.sector
    if run is None:
        raise AssertionError("a snap-up is a run")
    if one.is_accepted and bytes(run.comm_r or b"") == made.comm_r:
        return SubmitResult.ACCEPTED, ""
    if one.loss or one.is_accepted:
        return SubmitResult.REJECTED, one.loss or gettext(
            "a different replica was already submitted for this sector"
        )
    one.require(name)
    if made.pieces != tuple(piece.cid for piece in _pieces_of(run)):
        return SubmitResult.REJECTED, gettext("these are not the pieces it was given")
    if made.store != sector.store:
        text = gettext("its files must go into store {store}, next to the sector's own")
        return SubmitResult.REJECTED, text.format(store=sector.store)
    one.begin()
    outputs = StageOutputs(comm_d=made.comm_d, comm_r=made.comm_r, proof=made.proof, store=made.store)
    if run.state != SnapState.SNAP_PROVED:
        one.forward(SnapState.SNAP_PROVED, outputs)
    elif bytes(run.comm_r or b"") != made.comm_r:
        return SubmitResult.REJECTED, gettext("a different replica was already submitted for this sector")
    stored = StoredFiles(sector=sector, store=made.store, comm_r=made.comm_r)
    reason = (
        ""
        if one.record.files_checked_at is not None
        else files_check_read(one.record, stored=stored, now=one.now)
    )
    if reason is None:
        return f"{name}: {missing_check_describe(made.store)}"
    if reason:
        one.fail(LACKS_FILES(store=made.store, reason=reason), is_paused=False)
        return SubmitResult.FILES_MISSED, reason
    one.note("FILES_SEEN", files_check_describe(one.record, store=made.store))
    one.forward(SnapState.SNAP_STORED, outputs)
    # One of the pool's own hosts does what is left in the store; it is chosen when that is due.
    Job.objects.filter(pk=one.job.pk).update(offered_to=[])
    one.release()
    return SubmitResult.ACCEPTED, ""


def rebuild_submit(
    principal: Principal, *, name: SectorName, store_name: str, is_update: bool, now: datetime
) -> bool:
    """Accept a replica that was made again, if its files are those that the chain has.

    Returns False for a store that is not known and for files that are not good, on which a thread stops.
    Raises NotDamocles, SectorEnded, and NotThatFar until a prover has seen them.
    """
    store = Store.objects.filter(tenant_id=principal.own_id, name=store_name).first()
    if store is None:
        return False
    with damocles_job_lock(principal, name=name, kinds=(JobKind.REBUILD,), now=now) as one:
        if one.is_accepted:
            return True
        one.require(name)
        if is_update != (one.sector.key_comm_r is not None):
            raise NotThatFar(gettext("{name}: its other replica was lost").format(name=name))
        if not provers_of_store(store, now=now):
            raise NotThatFar(
                gettext("no online prover can read store {store}: attach it to one first").format(
                    store=store.name
                )
            )
        one.begin()
        reason = _rebuilt_files_check(one, store)
        if reason:
            one.fail(LACKS_FILES(store=store.name, reason=reason), is_paused=True)
        elif reason is not None:
            _rebuilt_take(one, store)
    if reason is None:  # raised after the transaction: the check that was begun stays
        raise NotThatFar(f"{name}: {missing_check_describe(store_name)}")
    return not reason


def _rebuilt_files_check(one: LockedJob, store: Store) -> str | None:
    """Return what a prover found wrong; None while none has looked at what lies there now."""
    stored = StoredFiles(sector=one.sector, store=store.name, comm_r=bytes(one.sector.comm_r or b""))
    if one.record.store != store.name:
        one.record.store = store.name
        files_check_start(one.record, stored=stored, now=one.now)
        return None
    return files_check_read(one.record, stored=stored, now=one.now)


def _rebuilt_take(one: LockedJob, store: Store) -> None:
    """Bring a rebuild to its end by what a prover has seen."""
    one.note("FILES_SEEN", files_check_describe(one.record, store=store.name))
    sector = one.sector
    made = StageOutputs(
        comm_d=bytes(sector.comm_d or b""),
        comm_r=bytes(sector.comm_r or b""),
        store=store.name,
        store_uid=store.uid,
    )
    first = made if sector.key_comm_r is None else replace(made, comm_r=bytes(sector.key_comm_r))
    one.forward(RebuildState.REBUILD_PC2_DONE, first)
    one.forward(RebuildState.REBUILD_CLEARED, made)
    one.release()
