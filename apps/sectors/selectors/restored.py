"""After a restore: which miners' sectors are not read back yet, and which sealing hosts have not reported."""

from __future__ import annotations

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Greatest

from apps.core.marked_texts import gettext
from apps.messages.models import Recovery
from apps.messages.selectors.recovery import recovery_row, token_floor
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_active
from apps.sectors.models import DAMOCLES, NAMELESS, HostInventory, Sector, Worker
from poolsite.wire.jobs import JobKind


def sectors_recovery() -> Recovery | None:
    """Return the recovery in which sectors are still read back, or None."""
    row = recovery_row()
    return None if row.sectors_since is None else row


def miners_unread(recovery: Recovery) -> QuerySet[Miner]:
    """Return the miners whose sectors were not read back yet."""
    if recovery.sectors_since is None:
        return miners_active().none()
    return miners_active().exclude(numbers__read_back_at__gte=recovery.sectors_since)


def miners_unrecovered() -> list[int]:
    """Return the row ids of the miners for whose sectors nothing is done until they are read back."""
    recovery = sectors_recovery()
    return [] if recovery is None else list(miners_unread(recovery).values_list("pk", flat=True))


def read_back_require(miner: Miner) -> None:
    """Raise MinerNotReady while a miner's sectors are read back after a restore."""
    if miner.pk in miners_unrecovered():
        reason = gettext(
            "its sectors are being read back from the chain after a restore: wait until recovery is complete"
        )
        raise MinerNotReady(reason, field="miner")


def hosts_unreported(recovery: Recovery) -> QuerySet[Worker]:
    """Return the sealing hosts that have not said since the restore what they have on their disks."""
    if recovery.sectors_since is None:
        return Worker.objects.none()
    seals = Q(kinds__contains=[str(JobKind.SEAL)])
    seals |= Q(kinds__contains=[DAMOCLES]) & ~Q(uid__startswith=NAMELESS)
    hosts = Worker.objects.filter(seals, retired_at=None)
    return hosts.exclude(inventory__told_at__gte=recovery.sectors_since).order_by("name", "pk")


def sectors_unpledged(recovery: Recovery) -> QuerySet[Sector]:
    """Return the sectors that were made after the backup by pledges that the database has lost.

    None once a person has said that no client repeats such a pledge.
    """
    settled, restored = recovery.pledges_settled_at, recovery.restored_at
    if restored is None or (settled is not None and settled >= restored):
        return Sector.objects.none()
    is_new = Q(activation=None) | Q(activation__gt=recovery.from_height)
    rows = Sector.objects.filter(is_new, pledge=None, without_pledge=False, created_at__gte=restored)
    return rows.order_by("miner_id", "number")


def lease_token_next() -> Greatest:
    """Return the next token of a job: above all that it had, also after the backup that was read in."""
    return Greatest(F("lease_token") + 1, Value(token_floor()))


def must_register(worker: Worker, recovery: Recovery | None = None) -> bool:
    """Return whether a host gets nothing before it has reported its disk, as it has not since a restore.

    A damocles-worker has no inventory to report: it is waited for as long as sectors are read back
    (`damocles_ping`), and not when somebody has ended that.
    """
    if str(JobKind.SEAL) in worker.kinds:
        since = (recovery or recovery_row()).restored_at
    elif DAMOCLES in worker.kinds:
        since = (recovery or recovery_row()).sectors_since
    else:
        return False
    if since is None:
        return False
    return not HostInventory.objects.filter(worker=worker, told_at__gte=since).exists()
