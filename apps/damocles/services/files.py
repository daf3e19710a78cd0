"""The files that a damocles-worker says to have stored: nothing is committed before a prover has seen them.

A look is a prover's check of one sector: the files are there, whole, and one random leaf proves.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from apps.core.errors import LostRace
from apps.core.marked_texts import gettext
from apps.core.reasons import quoted
from apps.core.transitions import advance
from apps.damocles.reasons import A_PROVER, CANNOT_BE_READ, FILES_SEEN, LACKS_FILES
from apps.damocles.services.sector_locks import LockedSector
from apps.sectors.models import DamoclesRecord, Job, Sector, Store
from apps.sectors.reasons import NOT_NEEDED
from apps.sectors.selectors.stores import provers_of_store
from apps.sectors.services.sealing.steps import job_lock, sector_pause, sector_retry
from apps.sectors.states import JobState
from poolsite.wire.codec import document_encode
from poolsite.wire.job_inputs import DIGEST_BYTES, ProvenSector, SectorCheckInputs
from poolsite.wire.job_reports import Level
from poolsite.wire.jobs import JobKind

CHECK_OFFER_S: Final = 600
"""A look that no prover has taken in this time is offered anew, to those that are there then."""
CHECK_LEASE_S: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFiles:
    """Files that a prover is to see: those with this comm_r in this store."""

    sector: Sector
    store: str
    comm_r: bytes


def files_check_start(record: DamoclesRecord, *, stored: StoredFiles, now: datetime) -> None:
    """Begin checks of a sector's files by the provers of a store; of another store nothing is known yet."""
    sector = stored.sector
    store = Store.objects.filter(tenant_id=sector.tenant_id, name=stored.store).first()
    provers = [] if store is None else provers_of_store(store, now=now)
    inputs = SectorCheckInputs(
        miner_id=sector.miner.actor_id or 0,
        post_proof=sector.miner.post_proof,
        randomness=secrets.token_bytes(DIGEST_BYTES),
        sectors=(ProvenSector(number=sector.number, comm_r=stored.comm_r, seal_proof=sector.seal_proof),),
        per_second=0,
        store="" if store is None else store.uid,
    )
    files_check_end(record.files_check, now=now)
    record.files_check = Job.objects.create(
        kind=JobKind.SECTOR_CHECK,
        state=JobState.READY,
        miner=sector.miner,
        stage="SECTOR_CHECK",
        inputs=document_encode(inputs),
        expires_at=now + timedelta(seconds=CHECK_OFFER_S),
        lease_s=CHECK_LEASE_S,
        offered_to=[worker.pk for worker in provers],
    )
    record.files_checked_at = None
    record.save()


def files_check_end(check: Job | None, *, now: datetime) -> None:
    """End a look whose answer is of no use any more."""
    if check is None or check.state not in (JobState.READY, JobState.LEASED):
        return
    with suppress(LostRace):  # the check was ended this moment, which is as good
        advance(
            check,
            "FAIL",
            worker=None,
            lease_until=None,
            error=NOT_NEEDED(),
            updated_at=now,
        )


def files_check_read(record: DamoclesRecord, *, stored: StoredFiles, now: datetime) -> str | None:
    """Return what a prover found wrong with files, empty if nothing, None if none has looked yet.

    One that nobody took in time is begun anew, as is the next one after files that were bad.
    """
    check = record.files_check
    is_lapsed = check is not None and check.state == JobState.READY and (check.expires_at or now) <= now
    if check is None or check.state == JobState.FAILED or is_lapsed:
        files_check_start(record, stored=stored, now=now)
        return None
    if check.state != JobState.DONE:
        return None
    reason = _bad(check, stored.sector)
    if reason:
        record.files_check = None
    else:
        record.files_checked_at = now
    record.save()
    return reason


def files_check_describe(record: DamoclesRecord, *, store: str) -> str:
    """Return who has seen the files, for a timeline."""
    result = {} if record.files_check is None else record.files_check.result
    return FILES_SEEN(store=store, worker=result.get("worker") or A_PROVER())


def missing_check_describe(store: str) -> str:
    """Return that nobody has looked yet."""
    return gettext("no prover has checked its files in store {store} yet").format(store=store)


def is_unseen(record: DamoclesRecord) -> bool:
    """Return whether nobody has looked at files that a thread submitted: it fails on that and asks again."""
    check = record.files_check
    return record.files_checked_at is None and check is not None and check.state != JobState.FAILED


def stored_files_read(sector: Sector) -> StoredFiles:
    """Return a sealed sector's files where they are."""
    return StoredFiles(sector=sector, store=sector.store, comm_r=bytes(sector.comm_r or b""))


def files_wait(one: LockedSector) -> str:
    """Return why a sector cannot be committed yet, as far as its files go; empty: a prover has seen them.

    Files that were found bad pause the sector; once it goes on they are looked at again.
    """
    sector = one.sector
    if not sector.store:
        return gettext("it is not in a store yet: submit the location of its files first")
    if one.record.files_checked_at is not None:
        return ""
    if sector.paused_at is not None:
        error: str = sector.error
        return error
    reason = files_check_read(one.record, stored=stored_files_read(sector), now=one.now)
    if reason is None:
        return missing_check_describe(sector.store)
    if not reason:
        one.note("FILES_SEEN", files_check_describe(one.record, store=sector.store))
        return ""
    error = LACKS_FILES(store=sector.store, reason=reason)
    one.note("FAIL", error, is_error=True)
    sector_pause(sector, job=one.job, error=error, level=Level.PERMANENT, now=one.now, bad_store=sector.store)
    one.job, one.sector = job_lock(sector.pk)
    return error


def _bad(check: Job, sector: Sector) -> str:
    """Return what a prover found wrong; empty if it found nothing."""
    if sector.number not in map(int, check.result.get("faults", ())):
        return ""
    reasons = {int(bad["number"]): str(bad["reason"]) for bad in check.result.get("bad", ())}
    return quoted(reasons.get(sector.number, ""), by="host") or CANNOT_BE_READ()


def sector_resume_stored(one: LockedSector) -> None:
    """Go on with a sector that waits for its files, as its worker says that it has stored them again."""
    if one.sector.paused_at is not None and one.sector.bad_store and one.sector.bad_store == one.sector.store:
        worker = one.job.sticky_worker
        sector_retry(one.sector, actor="" if worker is None else worker.name, now=one.now)
        one.job, one.sector = job_lock(one.sector.pk)
