"""What a miner that changes its tenant has to do with sectors: none half made, and their rows go along.

A sector under way lies on the disk of the host that began it, which works for the tenant that had the
miner; no host of another tenant can go on with it.
"""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import ngettext

from apps.core.marked_texts import gettext
from apps.miners.errors import TransferRefused
from apps.miners.models import Miner
from apps.sectors.models import Job, Sector, StoreMove
from apps.sectors.selectors.ended_sectors import needs_no_proof
from apps.sectors.states import ENDED_SECTORS, OPEN_MOVES, JobState
from apps.users.models import Tenant
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import FINAL_STATES, SectorState


def jobs_lock(miner: Miner) -> None:
    """Lock a miner's open jobs: a claim passes them over until the transaction has ended."""
    rows = Job.objects.filter(miner=miner, state__in=[JobState.READY, JobState.LEASED, JobState.WAITING])
    list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))


def unfinished_check(miner: Miner, *, now: datetime) -> None:
    """Refuse while hosts of the present tenant work for the miner.  Raises TransferRefused.

    A sector of which no host has made anything goes along; so does a proof that nobody is at work on.
    """
    started = Sector.objects.filter(miner=miner, job__sticky_worker__isnull=False)
    count = started.exclude(state__in=[*FINAL_STATES, SectorState.ALLOCATED]).count()
    if count:
        text = ngettext(
            "{count} sector is half sealed on hosts of {tenant}: let it finish, or abort it",
            "{count} sectors are half sealed on hosts of {tenant}: let them finish, or abort them",
            count,
        )
        raise TransferRefused(text.format(count=count, tenant=miner.tenant.name), field="sectors")
    moves = StoreMove.objects.filter(sector__miner=miner, state__in=OPEN_MOVES).count()
    if moves:
        text = ngettext(
            "{count} sector is being moved to another store of {tenant}: let it finish, or cancel it",
            "{count} sectors are being moved to another store of {tenant}: let them finish, or cancel them",
            moves,
        )
        raise TransferRefused(text.format(count=moves, tenant=miner.tenant.name), field="sectors")
    leased = Job.objects.filter(miner=miner, state=JobState.LEASED, lease_until__gte=now)
    job = leased.select_related("worker").order_by("pk").first()
    if job is not None:
        host = (
            job.worker.name
            if job.worker is not None
            else gettext("a host of {tenant}").format(tenant=miner.tenant.name)
        )
        what, field = (
            (gettext("a sector"), "sectors") if job.kind == JobKind.SEAL else (gettext("a proof"), "window")
        )
        raise TransferRefused(
            gettext("{host} is making {what} for it: try again when that is done").format(
                host=host, what=what
            ),
            field=field,
        )


def used_stores_list(miner: Miner) -> set[str]:
    """Return the stores that hold what must be proved for a miner."""
    rows = Sector.objects.filter(miner=miner).exclude(state__in=ENDED_SECTORS).exclude(store="")
    rows = rows.exclude(needs_no_proof())
    return set(rows.order_by().values_list("store", flat=True).distinct())


def sectors_transfer(miner: Miner, *, tenant: Tenant) -> int:
    """Write the new tenant into a miner's sectors and forget the old one's hosts; returns how many."""
    Job.objects.filter(miner=miner, sticky_worker__isnull=False).update(sticky_worker=None)
    return Sector.objects.filter(miner=miner).update(tenant=tenant)
