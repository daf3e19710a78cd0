"""The files that a damocles-worker says to have stored: nothing is committed before a prover has seen them.

A look is a prover's check of one sector: the files are there, whole, and one random leaf proves.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.core.errors import LostRace
from apps.core.transitions import advance
from apps.sectors.models import Job
from apps.sectors.services.steps import job_locked, sector_pause, sector_retry
from apps.sectors.states import JobState
from apps.sectors.store_models import Store
from apps.sectors.store_selectors import provers_of_store
from poolsite.wire.codec import document_encode
from poolsite.wire.jobs import DIGEST_BYTES, JobKind, Level, ProvenSector, SectorCheckInputs

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.models import Sector
    from apps.sectors.services.damocles_held import Held

LOOK_S: Final = 600
"""A look that no prover has taken in this time is offered anew, to those that are there then."""
LOOK_LEASE_S: Final = 15
BAD_FILES: Final = "store {store} lacks its files: "
"""How the error of a sector begins whose files a prover found bad."""


def look_begin(one: Held) -> None:
    """Have the provers of a sector's store look at its files there; of another store nothing is known yet."""
    sector, now = one.sector, one.now
    store = Store.objects.filter(tenant_id=sector.tenant_id, name=sector.store).first()
    provers = [] if store is None else provers_of_store(store, now=now)
    inputs = SectorCheckInputs(
        miner_id=sector.miner.actor_id or 0,
        post_proof=sector.miner.post_proof,
        randomness=secrets.token_bytes(DIGEST_BYTES),
        sectors=(
            ProvenSector(
                number=sector.number, comm_r=bytes(sector.comm_r or b""), seal_proof=sector.seal_proof
            ),
        ),
        per_second=0,
        store="" if store is None else store.uid,
    )
    _look_end(one.told.look, now=now)
    one.told.look = Job.objects.create(
        kind=JobKind.SECTOR_CHECK,
        state=JobState.READY,
        miner=sector.miner,
        stage="SECTOR_CHECK",
        inputs=document_encode(inputs),
        expires_at=now + timedelta(seconds=LOOK_S),
        lease_s=LOOK_LEASE_S,
        offered_to=[worker.pk for worker in provers],
    )
    one.told.looked_at = None
    one.told.save()


def _look_end(look: Job | None, *, now: datetime) -> None:
    """End a look whose answer is of no use any more."""
    if look is None or look.state not in (JobState.READY, JobState.LEASED):
        return
    with suppress(LostRace):  # it was ended this moment, which is as good
        advance(
            look, "FAIL", worker=None, lease_until=None, error=gettext("not needed any more"), updated_at=now
        )


def files_wait(one: Held) -> str:
    """Return why a sector cannot be committed yet, as far as its files go; empty: a prover has seen them.

    Files that were found bad pause the sector; once it goes on they are looked at again.
    """
    sector, look = one.sector, one.told.look
    if not sector.store:
        return gettext("it lies in no store yet: submit where its files are first")
    if one.told.looked_at is not None:
        return ""
    if sector.paused_at is not None:
        return sector.error
    is_lapsed = look is not None and look.state == JobState.READY and (look.expires_at or one.now) <= one.now
    if look is None or look.state == JobState.FAILED or is_lapsed:
        look_begin(one)
    elif look.state == JobState.DONE:
        reason = _bad(look, sector)
        if not reason:
            one.told.looked_at = one.now
            one.told.save()
            one.note(
                "FILES_SEEN",
                gettext("in store {store} by {worker}").format(
                    store=sector.store, worker=look.result.get("worker") or gettext("a prover")
                ),
            )
            return ""
        one.told.look = None
        one.told.save()
        error = BAD_FILES.format(store=sector.store) + reason
        one.note("FAIL", error, is_error=True)
        sector_pause(sector, job=one.job, error=error, level=Level.PERMANENT, now=one.now)
        one.job, one.sector = job_locked(sector.pk)
        return error
    return gettext("no prover has looked at its files in store {store} yet").format(store=sector.store)


def _bad(look: Job, sector: Sector) -> str:
    """Return what a prover found wrong; empty if it found nothing."""
    if sector.number not in map(int, look.result.get("faults", ())):
        return ""
    told = {int(bad["number"]): str(bad["reason"]) for bad in look.result.get("bad", ())}
    return told.get(sector.number) or gettext("they cannot be read")


def files_mended(one: Held) -> None:
    """Go on with a sector that waits for its files, as its worker says that it has stored them again."""
    if one.sector.paused_at is not None and one.sector.error.startswith(
        BAD_FILES.format(store=one.sector.store)
    ):
        worker = one.job.sticky_worker
        sector_retry(one.sector, actor="" if worker is None else worker.name, now=one.now)
        one.job, one.sector = job_locked(one.sector.pk)
