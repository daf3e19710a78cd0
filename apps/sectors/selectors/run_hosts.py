"""Which sealing hosts may begin a run over a sector."""

from __future__ import annotations

from apps.core import clock
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.sectors.errors.runs import NoHost
from apps.sectors.models import Sector, Worker
from apps.sectors.selectors.damocles_hosts import damocles_planned
from apps.sectors.selectors.proof_forms import update_refusal
from poolsite.wire.jobs import JobKind


def hosts_of_run(sector: Sector, *, kind: str, is_clearing: bool = False) -> list[int]:
    """Return the keys of the sealing hosts that may begin: those of the sector's store.  Raises NoHost.

    A lost replica any host may make again where nobody has the store any more.  Data go into a sector where
    a host can prove that they did: another is not begun with, as its pieces would wait in it.  Where the pool
    has none of its own for it, damocles-workers with that plan are: but for clearing an old replica.
    """
    try:
        return _own_hosts(sector, kind=kind)
    except NoHost:
        outside = [] if is_clearing else damocles_planned(sector.miner.tenant_id, kind, now=clock.now())
        if not outside:
            raise
        return [host.pk for host in outside]


def stores_to_update(miner: Miner) -> set[str] | None:
    """Return the stores into whose sectors data can go now; None where a damocles-worker takes any."""
    if damocles_planned(miner.tenant_id, JobKind.SNAP_UP, now=clock.now()):
        return None
    hosts = _hosts_of_kind(miner.tenant_id, JobKind.SNAP_UP)
    able = [host for host in hosts if not update_refusal(host.hardware, miner.sector_size)]
    return {name for host in able for name in host.stores}


def _hosts_of_kind(tenant_id: int, kind: str) -> list[Worker]:
    hosts = Worker.objects.filter(tenant_id=tenant_id, retired_at=None, kinds__contains=[str(kind)])
    return list(hosts.order_by("pk"))


def _own_hosts(sector: Sector, *, kind: str) -> list[int]:
    rows = _hosts_of_kind(sector.miner.tenant_id, kind)
    found = [host for host in rows if sector.store in host.stores] if sector.store else []
    if not found and kind == JobKind.REBUILD:
        found = rows
    if not found:
        raise NoHost(
            gettext("no sealing host has its store {store}").format(store=sector.store).rstrip(),
            field="sector",
        )
    if kind == JobKind.SNAP_UP:
        refusals = [update_refusal(host.hardware, sector.sector_size) for host in found]
        able = [host for host, refusal in zip(found, refusals, strict=True) if not refusal]
        if not able:
            text = gettext("{host} cannot prove the update: {error}").format(
                host=found[0].name, error=refusals[0]
            )
            raise NoHost(text, field="sector")
        found = able
    return [host.pk for host in found]
