"""Which sectors the chain has as active: live, proven, not faulty.

What is read at a head is bounded by what changed: a miner whose state root stayed is not asked for more,
and of one whose root moved the partitions' bitfields are read and compared with the last ones.  Once a
proving period, each miner at another head, all its rows are compared.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import structlog
from django.db import transaction

from apps.chain.apart import each_apart
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core.live import Change, publish
from apps.miners.onchain import active_field, state_roots
from apps.sectors.models import ActiveSectors, Sector
from apps.sectors.onchain import partitions_of
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_to_json
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from apps.miners.models import Miner
    from apps.sectors.services.rounds import Round
    from poolsite.filecoin.bitfield import BitField

log = structlog.get_logger(__name__)

PLACES_MAX = 100
"""Sectors of one miner whose deadline is asked for at one head."""


def active_follow(miners: Sequence[Miner], work: Round) -> None:
    """Follow the active sectors of these miners; what goes wrong with one of them stops no other."""
    try:
        roots = state_roots(work.client, [miner.address for miner in miners], work.head.key)
    except NodeUnavailable as error:
        log.warning("state_roots_not_read", reason=error.reason[:300])
        return
    known = {row.miner_id: row for row in ActiveSectors.objects.filter(miner__in=miners)}
    rows = []
    for miner, root in zip(miners, roots, strict=True):
        row = known.get(miner.pk) or ActiveSectors()
        row.miner = miner
        rows.append((row, root))
    each_apart(
        rows, lambda row: active_update(row[0], root=row[1], work=work), event="active_sectors_not_read"
    )


def active_update(known: ActiveSectors, *, root: str | NodeRefused, work: Round) -> int:
    """Make `active` of one miner's sectors say what the chain says; returns how many changed.

    Raises NodeRefused, NodeUnavailable.
    """
    if isinstance(root, NodeRefused):
        raise root
    is_due = _is_comparison_due(known, work)
    if root == known.state_root and not is_due:
        return 0
    before, now = bitfield_from_json(known.numbers), None
    if root == known.state_root:
        now = before
    else:
        now = active_field(work.client, known.miner.address, work.network.proving.deadlines, work.head.key)
    with transaction.atomic():
        if is_due:
            changed = sectors_compare(known.miner, active=now, now=work.now)
            known.compared_height = work.head.height
        else:
            changed = _sectors_set(known.miner, tuple(now - before), is_active=True, now=work.now)
            changed += _sectors_set(known.miner, tuple(before - now), is_active=False, now=work.now)
        known.state_root, known.numbers = root, bitfield_to_json(now)
        known.save()
    return changed


def _is_comparison_due(known: ActiveSectors, work: Round) -> bool:
    """Return whether a period of this miner began since its rows were compared."""
    if known.compared_height is None:
        return True
    period = work.network.proving.period
    return (work.head.height + known.miner_id) // period != (known.compared_height + known.miner_id) // period


def sectors_compare(miner: Miner, *, active: BitField, now: datetime) -> int:
    """Compare every row of a miner with the chain's active sectors; returns how many changed."""
    listed = set(active)
    rows = Sector.objects.filter(miner=miner).values_list("number", "active")
    wrong: dict[bool, list[int]] = defaultdict(list)
    for number, is_active in rows.iterator():
        if is_active != (number in listed):
            wrong[not is_active].append(number)
    return sum(
        _sectors_set(miner, numbers, is_active=is_active, now=now) for is_active, numbers in wrong.items()
    )


def _sectors_set(miner: Miner, numbers: Collection[int], *, is_active: bool, now: datetime) -> int:
    if not numbers:
        return 0
    rows = Sector.objects.filter(miner=miner, number__in=numbers, active=not is_active)
    found = dict(rows.values_list("pk", "uuid"))
    Sector.objects.filter(pk__in=found).update(
        active=is_active, active_since=now if is_active else None, updated_at=now
    )
    for uuid in found.values():
        publish(Change("sector", str(uuid), miner.tenant_id))
    return len(found)


def deadlines_fill(work: Round) -> None:
    """Ask for deadline and partition of proven sectors that had none when their commit landed."""
    states = [SectorState.COMMIT_LANDED, SectorState.PROVING]
    rows = Sector.objects.filter(deadline=None, state__in=states).select_related("miner").order_by("pk")
    by_miner: dict[Miner, list[Sector]] = defaultdict(list)
    for sector in rows.only("number", "miner"):
        by_miner[sector.miner].append(sector)
    each_apart(
        by_miner.items(),
        lambda item: _deadlines_fill(item[0], item[1][:PLACES_MAX], work),
        event="sector_deadlines_not_read",
    )


def _deadlines_fill(miner: Miner, sectors: Sequence[Sector], work: Round) -> None:
    places = partitions_of(work.client, miner.address, [sector.number for sector in sectors], work.head.key)
    for sector in sectors:
        if sector.number in places:
            deadline, partition = places[sector.number]
            Sector.objects.filter(pk=sector.pk).update(deadline=deadline, partition=partition)
