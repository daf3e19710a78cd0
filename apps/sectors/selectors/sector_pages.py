"""Pages of the list of sectors, narrowed by a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q

from apps.miners.selectors.miners import miner_get, miners_visible
from apps.sectors.selectors.hosts import workers_visible
from apps.sectors.selectors.sectors import sectors_visible, with_batches

if TYPE_CHECKING:
    from apps.sectors.models import Sector
    from apps.users.rules.principals import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorFilter:
    """What a list of sectors is narrowed to; None leaves a question open."""

    miner: str = ""
    number: int | None = None
    host: str = ""
    """Name of the host that seals it, or that sealed it last."""
    store: str = ""
    states: tuple[str, ...] = ()
    is_active: bool | None = None
    is_paused: bool | None = None
    before: int | None = None
    """Only sectors with a smaller row number: the keyset of the next page."""


def sectors_page(viewer: Principal, filters: SectorFilter, *, limit: int) -> list[Sector]:
    """Return up to `limit` sectors, newest first; a page deep down costs as much as the first."""
    # A page has few miners and hosts: each is read once, not once a row.
    rows = sectors_visible(viewer).select_related(None).select_related("job")
    rows = with_batches(rows).prefetch_related("miner", "job__worker", "job__sticky_worker")
    if filters.miner:
        rows = rows.filter(miner=miner_get(viewer, filters.miner))
    if filters.number is not None:
        rows = rows.filter(number=filters.number)
        if not filters.miner:  # one lookup in the unique index for each miner
            rows = rows.filter(miner__in=list(miners_visible(viewer).values_list("pk", flat=True)))
    if filters.host:
        rows = rows.filter(of_host(viewer, filters.host))
    if filters.store:
        rows = rows.filter(store=filters.store)
    if filters.states:
        rows = rows.filter(state__in=filters.states)
    if filters.is_active is not None:
        rows = rows.filter(active=filters.is_active)
    if filters.is_paused is not None:
        rows = rows.filter(paused_at__isnull=not filters.is_paused)
    if filters.before is not None:
        rows = rows.filter(pk__lt=filters.before)
    return list(rows[:limit])


def of_host(viewer: Principal, name: str) -> Q:
    """Return the condition for sectors that a host of this name seals, or sealed last."""
    hosts = list(workers_visible(viewer).filter(name=name[:100]).values_list("pk", flat=True))
    return Q(job__worker__in=hosts) | Q(job__sticky_worker__in=hosts)
