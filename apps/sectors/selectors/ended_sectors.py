"""Sectors that the chain has ended for good while their files lie on hosts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.status import network_known
from apps.sectors.models import Sector, SectorChange, Store
from apps.sectors.states import ENDED_SECTORS
from poolsite.filecoin.policy import Network
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import ChangeKind, ChangeState


def needs_no_proof() -> Q:
    """Return the condition of proven sectors that have expired, or whose files hosts were told to remove.

    Their state stays PROVING, and their row names the store.  The chain ends an expired sector when
    its deadline closes, at most a proving period later.
    """
    over, head, network = Q(removal_asked_at__isnull=False), head_current(), network_known()
    if head is not None and network is not None:
        over |= Q(active=False, expiration__lt=head.height - network.proving.period)
    return Q(state=SectorState.PROVING) & over


def sectors_lying_in(store: Store) -> QuerySet[Sector]:
    """Return the sectors in a store that have not ended."""
    rows = Sector.objects.filter(tenant_id=store.tenant_id, store=store.name)
    return rows.exclude(state__in=ENDED_SECTORS).exclude(needs_no_proof())


def landed_termination(sector: Sector) -> int | None:
    """Return the height at which a sector's termination landed; None if it was ended by something else."""
    rows = sector.changes.filter(kind=ChangeKind.TERMINATE, state=ChangeState.TERMINATE_LANDED)
    change = rows.exclude(batch=None).select_related("batch").order_by("-pk").first()
    return None if change is None or change.batch is None else change.batch.landed_height


def sectors_removable(
    rows: QuerySet[Sector],
    *,
    stores: Mapping[int, Collection[str]],
    height: int,
    network: Network,
    now: datetime,
) -> QuerySet[Sector]:
    """Return those of these sectors whose files may be removed, in stores by tenant that some host has."""
    finality = network.chain_finality
    ended = SectorChange.objects.filter(
        sector=OuterRef("pk"), kind=ChangeKind.TERMINATE, state=ChangeState.TERMINATE_LANDED
    )
    late = now - timedelta(seconds=finality * network.epoch_s)
    terminated = Q(state=SectorState.TERMINATED) & (
        Exists(ended.filter(batch__landed_height__lte=height - finality))
        | ~Exists(ended) & Q(stage_since__lte=late)
    )
    before = height - finality - network.proving.period
    expired = Q(state=SectorState.PROVING, active=False, expiration__lte=before)
    places = (Q(tenant=tenant_id, store__in=names) for tenant_id, names in stores.items())
    reached = reduce(or_, places, Q(pk__in=()))
    return rows.filter(terminated | expired, reached, removal_asked_at=None)
