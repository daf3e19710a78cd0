"""Reading sectors back after a restore: from the hosts' journals, from messages, and from the chain.

Nothing is done for a miner's sectors until this has run: a host would seal a sector anew over the files of
one that is proven, and a second pre-commit would be sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import structlog
from django.db.models import F

from apps.chain.node.isolation import for_each_isolated
from apps.core import clock
from apps.core.live import publish
from apps.messages.models import Recovery, Sender
from apps.messages.selectors.recovery import recovery_hold_reason
from apps.messages.services.recovery.detect import RECOVERY_CHANGE, restore_check
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_active
from apps.miners.selectors.senders import miner_senders
from apps.sectors.models import ActiveSectors, Batch, HostInventory, SectorNumbers
from apps.sectors.rules.batches import COMMIT, PRE_COMMIT
from apps.sectors.selectors.restored import hosts_unreported, miners_unread
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.numbers import counter_load
from apps.sectors.services.readback.batches import batches_import, batches_settle
from apps.sectors.services.readback.chain_sectors import chain_import
from apps.sectors.services.readback.changes import changes_import
from apps.sectors.services.readback.journals import hosts_import, inventories_read
from apps.sectors.services.readback.miner_import import MinerImport
from apps.sectors.services.readback.proven_compare import places_compare, proven_compare
from apps.sectors.services.readback.updates import updates_import
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_to_json

log = structlog.get_logger(__name__)


def sectors_recover(work: SealingContext) -> None:
    """Read back the sectors of each miner that waits for it, and end it when every host has reported."""
    recovery = restore_check(now=work.now)
    if recovery.restored_at is None:
        return
    reported = HostInventory.objects.filter(told_at__gte=recovery.restored_at)
    late = list(reported.exclude(imported_at__gte=recovery.restored_at).select_related("worker"))
    unread = list(miners_unread(recovery))
    tenants = {one.worker.tenant_id for one in late}
    again = miners_active().filter(tenant__in=tenants).exclude(pk__in=[miner.pk for miner in unread])
    waits: set[int] = set()

    def one(miner: Miner) -> None:
        waits.add(miner.tenant_id)
        if _senders_wait(miner, recovery):
            return
        _miner_import(miner, recovery=recovery, work=work)
        waits.discard(miner.tenant_id)

    for tenant_miners in _by_tenant([*unread, *again]):
        for_each_isolated(tenant_miners, one, event="sectors_not_read_back")
    done = [inventory.pk for inventory in late if inventory.worker.tenant_id not in waits]
    HostInventory.objects.filter(pk__in=done).update(imported_at=work.now)
    if recovery.sectors_since is not None:
        _end_if_done(recovery)


def _by_tenant(miners: Iterable[Miner]) -> list[list[Miner]]:
    groups: dict[int, list[Miner]] = defaultdict(list)
    for miner in miners:
        groups[miner.tenant_id].append(miner)
    return list(groups.values())


def _end_if_done(recovery: Recovery) -> None:
    if miners_unread(recovery).exists() or hosts_unreported(recovery).exists():
        return
    row = Recovery.objects.filter(pk=1, sectors_since=recovery.sectors_since)
    if row.update(sectors_since=None, ended_at=clock.now()):
        publish(RECOVERY_CHANGE)
        log.info("sector_recovery_ended")


def _senders_wait(miner: Miner, recovery: Recovery) -> bool:
    """Return whether messages of the miner's senders are still to be read back, or decided about."""
    if recovery.since is None:
        return False
    if recovery.read_height is None:  # senders that the backup lacks get their rows in the first pass
        return True
    sent = Batch.objects.filter(miner=miner).order_by().values_list("sender", flat=True).distinct()
    may_send = [address for kind in (PRE_COMMIT, COMMIT) for address in miner_senders(miner, kind.use)]
    senders = Sender.objects.filter(address__in={*sent, *may_send})
    return any(recovery_hold_reason(sender, recovery) for sender in senders)


def _miner_import(miner: Miner, *, recovery: Recovery, work: SealingContext) -> None:
    """Read one miner's sectors back.  Raises NodeRefused, NodeUnavailable."""
    if recovery.restored_at is None:
        return
    job = MinerImport(miner, recovery.restored_at, work)
    on_hosts = inventories_read(job)
    hosts_import(job)
    batches_import(job.miner, kind=PRE_COMMIT, work=work)
    chain_import(job)
    batches_import(job.miner, kind=COMMIT, work=work)
    batches_settle(job.miner, work=work)
    changes_import(job.miner, work=work)
    updates_import(job.miner, work=work)
    if _is_first(job):
        job.count += proven_compare(job.miner, live=job.live, work=work)
    clear = {name: numbers for name, numbers in job.stored.items() if name not in job.unclear}
    job.count += places_compare(
        miner,
        stored=clear,
        read_stores=job.read_stores - job.unclear,
        since=recovery.restored_at,
        work=work,
        has_uids=job.has_uids,
    )
    ActiveSectors.objects.filter(miner=miner).update(compared_height=None)
    row = counter_load(miner)
    seen_numbers = bitfield_to_json(bitfield_from_json(row.on_hosts or [0]) | on_hosts)
    SectorNumbers.objects.filter(pk=row.pk).update(on_hosts=seen_numbers, read_back_at=work.now)
    Recovery.objects.filter(pk=1).update(sectors_recovered=F("sectors_recovered") + job.count)
    publish(RECOVERY_CHANGE)
    log.info("sectors_read_back", miner=str(miner), changed=job.count)


def _is_first(job: MinerImport) -> bool:
    """Return whether this miner was not read back yet; later it is for what other hosts report."""
    rows = SectorNumbers.objects.filter(miner=job.miner, read_back_at__gte=job.restored_at)
    return not rows.exists()
