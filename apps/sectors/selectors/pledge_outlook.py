"""What would keep new sectors of a miner from being sealed and proven, before they are pledged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef
from django.utils.translation import pgettext

from apps.core import formatting
from apps.core.languages import list_text
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.sectors.models import DAMOCLES, Store, StoreAttachment
from apps.sectors.selectors.host_groups import away_since, hosts_doing, hosts_known, stages_served
from apps.sectors.selectors.sector_etas import WITH_TICKET, precommit_times
from apps.sectors.selectors.stores import stores_room, stores_visible
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SEALING, Owner
from poolsite.wire.stores import READABLE, StoreCondition

NAMES_MAX: Final = 5
"""Stores and stages that one sentence names."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps new sectors from ending."""

    text: str
    place: str
    """Name of the page on which it is mended."""
    is_final: bool = False
    """Whether waiting does not help: the pledge is refused."""


def pledge_obstacles(miner: Miner, *, count: int, now: datetime, network: Network | None) -> list[Obstacle]:
    """Return what would hold up `count` new sectors, what cannot end first."""
    found = [*_host_obstacles(miner, now=now), *_store_obstacles(miner, count=count, now=now)]
    found += _time_obstacles(miner, network=network)
    return sorted(found, key=lambda one: not one.is_final)


def _host_obstacles(miner: Miner, *, now: datetime) -> Iterator[Obstacle]:
    """Yield that hosts are missing: all, or those of a stage."""
    viewer, tenant = miner_principal(miner), miner.tenant.name
    if not hosts_doing(hosts_known(viewer), [JobKind.SEAL]).exists():
        text = gettext("{tenant} has no sealing host: the sectors will wait until one joins")
        yield Obstacle(text.format(tenant=tenant), "hosts")
        return
    if hosts_doing(hosts_known(viewer), [DAMOCLES]).exists():  # theirs are stages of their own
        return
    served = {stage for _, stage in stages_served(viewer, now=now)}
    needed = [spec for spec in SEALING if spec.owner is Owner.WORKER and spec.slots]
    missing = [pgettext("stage", spec.label) for spec in needed if spec.stage not in served]
    if missing:
        text = gettext("no live host of {tenant} has slots for {stages}: the sectors will wait there")
        yield Obstacle(text.format(tenant=tenant, stages=list_text(missing[:NAMES_MAX])), "hosts")


def stores_to_prove(viewer: Principal, *, now: datetime) -> list[Store]:
    """Return the stores that hosts put sectors into; `proved` says whether a live prover reads each."""
    read = StoreAttachment.objects.filter(
        store=OuterRef("pk"),
        condition__in=READABLE,
        worker__retired_at=None,
        worker__seen_at__gte=away_since(now),
        worker__kinds__contains=[JobKind.WINDOW_POST],
    )
    return [row for row in stores_visible(viewer, now=now).annotate(proved=Exists(read)) if _takes(row)]


def _store_obstacles(miner: Miner, *, count: int, now: datetime) -> Iterator[Obstacle]:
    """Yield that there is no room, or that nobody proves what is put into a store."""
    stores = stores_to_prove(miner_principal(miner), now=now)
    if not stores:
        yield _no_store(miner, now=now)
        return
    unproved = [row.name for row in stores if not getattr(row, "proved", False)]
    if unproved:
        text = gettext("no live prover reads store {names}: sectors in it would not be proven")
        yield Obstacle(text.format(names=list_text(sorted(unproved)[:NAMES_MAX])), "stores")
    if not all(row.is_bounded and row.total_bytes for row in stores):  # of some nobody knows the size
        return
    size = miner.sector_size
    if max(row.total_bytes for row in stores) < size:
        text = gettext("no store is large enough for a sector of {size}")
        yield Obstacle(text.format(size=_size(size)), "stores", is_final=True)
        return
    free, _total = stores_room(stores)
    if free < count * size:
        text = gettext("the stores have {free} free, these sectors need {needed}: {fitting} fit")
        yield Obstacle(
            text.format(free=_size(free), needed=_size(count * size), fitting=max(free // size, 0)),
            "stores",
        )


def _no_store(miner: Miner, *, now: datetime) -> Obstacle:
    """Return that no store takes a sealed sector now: sealing takes hours, one may be attached meanwhile."""
    text = (
        gettext("no store of {tenant} takes new sectors now: sealed ones will wait for one")
        if stores_visible(miner_principal(miner), now=now).exists()
        else gettext("{tenant} has no store: sealed sectors will wait for one")
    )
    return Obstacle(text.format(tenant=miner.tenant.name), "stores")


def _size(count: int) -> str:
    return " ".join(formatting.size(count))


def _takes(store: Store) -> bool:
    """Return whether a host puts sectors into a store."""
    attached: list[StoreAttachment] = getattr(store, "attached", [])
    can_store = store.rules.get("can_store", True)
    return bool(can_store) and any(row.condition == StoreCondition.READY for row in attached)


def _time_obstacles(miner: Miner, *, network: Network | None) -> Iterator[Obstacle]:
    """Yield that sealing takes longer than a ticket is good for, as measured on sectors of this form."""
    if network is None or not RegisteredSealProof(miner.seal_proof).is_interactive:
        return
    times = precommit_times(miner_principal(miner))
    took_s = times.get((miner.seal_proof, str(WITH_TICKET[0].state)), 0.0)
    good_s = (network.max_precommit_randomness_lookback - network.ticket_lookback) * network.epoch_s
    if took_s > good_s:
        text = gettext("sealing took up to {took} and a ticket is good for {good}: pre-commits may be late")
        yield Obstacle(
            text.format(took=formatting.time_left(took_s), good=formatting.time_left(good_s)),
            "hosts",
        )
