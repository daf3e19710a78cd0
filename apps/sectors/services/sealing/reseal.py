"""Sectors begun again on another host, since theirs does not go on with them.

A host that was taken out of service never comes back: all that was bound to it goes to the others, from the
first stage on.  One that is away keeps what it has labelled, as only it has the files; a sector of which
nothing is labelled yet does not wait for it, nor in the queue of one that is drained while another may begin
it.  Where the chain has a sector's pre-commit, ticket and data stay
the same: so does the replica, and the deposit is not lost.  So it goes where a deep reorganisation needs
another proof of a sector whose sealing files were cleared since its commit landed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.core.live import Change, publish
from apps.miners.models import Role
from apps.miners.states import RoleKind, RoleState
from apps.sectors.models import DAMOCLES, Job, JobEvent, Sector, Worker
from apps.sectors.reasons import (
    FILES_STAY,
    HOST_DRAINING,
    HOST_OFFLINE,
    HOST_RETIRED,
    SEALED_AGAIN,
    STARTED_OVER,
)
from apps.sectors.rules.params import has_data
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.jobs import UNLABELLED
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.services.files.removals import sealing_folder_leave
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.steps import job_lock, sector_step
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import BACK_TO, SectorEvent, SectorState, Stage

EARLY: Final = (SectorState.ALLOCATED, SectorState.PIECE_ADDED)
"""Nothing is labelled: to begin again costs little."""
ON_CHAIN: Final = (SectorState.PRECOMMIT_LANDED, SectorState.SEED_ASSIGNED, SectorState.C1_DONE)
"""The chain has the pre-commit, and the host's files are needed for the proof."""
BEFORE_PRECOMMIT: Final = (
    SectorState.TICKET_ASSIGNED,
    SectorState.PC1_DONE,
    SectorState.PC2_DONE,
    SectorState.PERSISTED,
)
BOUND: Final = (*EARLY, *BEFORE_PRECOMMIT, *ON_CHAIN, SectorState.COMMIT_LANDED)
"""States in which a sector's next steps need the files of its host."""
UNPROVEN: Final = (SectorState.TICKET_ASSIGNED, SectorState.PRECOMMIT_LANDED, SectorState.SEED_ASSIGNED)
"""The next stage of the host needs files that FINALIZE clears."""
HOST_MISSING: Final = "HOST_GONE"
"""Event of a job that another host may begin: the one that had it has made nothing of it."""


def missing_hosts_follow(
    in_progress: SectorsInProgress, *, silent_since: datetime | None, now: datetime
) -> int:
    """Begin the sectors again whose host does not go on with them; gives how many.

    A host counts as away once it was silent since then, and its lease has been over for as long; None: no
    host counts as away.
    """
    bound = in_progress.sectors_in(*BOUND)
    if not bound:
        return 0
    stranded = _stranded(silent_since, now=now).filter(sector__in=[sector.pk for sector in bound])
    return sum(
        _reseal(pk, silent_since=silent_since, now=now) for pk in stranded.values_list("sector", flat=True)
    )


def _stranded(silent_since: datetime | None, *, now: datetime) -> QuerySet[Job]:
    """Return the jobs of sectors whose host is out of service, or has cleared their files.

    With nothing labelled also those whose host is away, or drained while another one may begin them.
    """
    cleared = JobEvent.objects.filter(job=OuterRef("pk"), event=SectorEvent.FINALIZE)
    is_cleared = Q(Exists(cleared), sector__state__in=UNPROVEN, sector__activation__isnull=False)
    is_over = Q(sticky_worker__retired_at__isnull=False) | is_cleared
    is_unlabelled = Q(sector__state__in=EARLY, state=JobState.READY) | UNLABELLED
    is_over |= is_unlabelled & Q(_others_may_begin(now), sticky_worker__is_draining=True)
    if silent_since is not None:
        is_silent = Q(sticky_worker__seen_at__lt=silent_since, updated_at__lt=silent_since)
        is_over |= is_unlabelled & is_silent
    free = Job.objects.filter(kind=JobKind.SEAL, state__in=(JobState.READY, JobState.WAITING))
    # A damocles-worker goes by its own protocol.
    return free.filter(is_over, is_portable=False).exclude(sticky_worker__kinds__contains=[DAMOCLES])


def _others_may_begin(now: datetime) -> Exists:
    """Return whether another host that is there begins new sectors for a job's miner.

    Where hosts have roles for clients' data one of them holds that at a time: its sectors stay.
    """
    given = Role.objects.filter(miner=OuterRef(OuterRef("miner"))).exclude(state=RoleState.REMOVED)
    sealing, data = given.filter(kind=RoleKind.SEAL), given.filter(kind=RoleKind.DEAL)
    holds = sealing.filter(state=RoleState.HELD, host=OuterRef("host"))
    heard_since = now - timedelta(seconds=sealing_policy().worker_away_s)
    others = Worker.objects.filter(
        tenant=OuterRef("miner__tenant"),
        kinds__contains=[JobKind.SEAL],
        retired_at=None,
        is_paused=False,
        is_draining=False,
        seen_at__gte=heard_since,
        **{f"slots__{stage}__gt": 0 for stage in (Stage.ADD_PIECE, Stage.PC1)},
    )
    return Exists(others.filter(~Exists(data) & (~Exists(sealing) | Exists(holds))))


@transaction.atomic
def _reseal(sector_id: int, *, silent_since: datetime | None, now: datetime) -> bool:
    """Begin one sector again, if it still is where it was seen."""
    job, current = job_lock(sector_id)
    if current.state not in BOUND or current.paused_at is not None:
        return False
    stranded = _stranded(silent_since, now=now).filter(pk=job.pk).select_related("sticky_worker").first()
    if stranded is None or stranded.sticky_worker is None:
        return False
    host = stranded.sticky_worker
    if current.state == SectorState.COMMIT_LANDED:
        stay = FILES_STAY(host=host.name)
        sector_step(current, event=SectorEvent.FINALIZE, job=job, now=now, actor="console", note=stay)
        return True
    _release(current, job, host=host)
    note = _note(host, is_cleared=current.activation is not None and current.state in UNPROVEN)
    if current.state == SectorState.ALLOCATED:
        job_event_write(job, event=HOST_MISSING, now=now, state=current.state, stage=current.stage, note=note)
        publish(Change("sector", str(current.uuid), current.miner.tenant_id))
        return True
    event = SectorEvent.RESEAL if current.state in ON_CHAIN else f"{BACK_TO}{SectorState.ALLOCATED}"
    data: dict[str, Any] = {"activation": None} | ({} if has_data(current) else {"pieces": []})
    sector_step(current, event=event, job=job, now=now, actor="console", note=note, **data)
    return True


def _note(host: Worker, *, is_cleared: bool) -> str:
    if is_cleared and host.retired_at is None:
        return SEALED_AGAIN()
    if host.retired_at is not None:
        kind = HOST_RETIRED
    else:
        kind = HOST_DRAINING if host.is_draining else HOST_OFFLINE
    return STARTED_OVER(why=kind(host=host.name))


def _release(sector: Sector, job: Job, *, host: Worker) -> None:
    """Offer a sector to all hosts, as a job of another name.

    What its host may still do or report for the old one is refused, and what it has of it is removed by that
    name, wherever the sector is by then.
    """
    if host.retired_at is None:
        sealing_folder_leave(host, job=job, sector=sector)
    Job.objects.filter(pk=job.pk).update(
        uuid=uuid4(), sticky_worker=None, offered_to=None, lease_token=lease_token_next(), not_before=None
    )
