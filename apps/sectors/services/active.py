"""Which sectors the chain has as active: live, proven, not faulty.

What is read at a head is bounded by what changed: a miner whose deadlines stayed is not asked for, and of one
whose deadlines moved those that did are read and compared with what they were.  Once a proving period, each
miner at another head, all its deadlines are read and all its rows compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import BigIntegerField, Case, F, Value, When
from django.db.models.functions import Coalesce

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.miners.models import ChainRoots, Miner
from apps.miners.onchain.partition_facts import active_fields, partitions_read
from apps.miners.selectors.chain_roots import roots_with_each
from apps.miners.services.unlisted import unlisted_sectors_record
from apps.sectors.models import ActiveSectors, Sector
from apps.sectors.onchain.sectors import partitions_of
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.sealing.placements import placements_compare
from poolsite.filecoin.bitfield import (
    EMPTY,
    BitField,
    bitfield_from_json,
    bitfield_of,
    bitfield_to_json,
    bitfield_union,
)
from poolsite.wire.pipeline import SectorState

PLACES_MAX = 100
"""Sectors of one miner whose deadline is asked for at one head."""


LIGHT: Final[Compiled[ActiveSectors]] = Compiled(
    "active_sectors_light", lambda: ActiveSectors.objects.defer("numbers", "each")
)
KNOWN: Final[Compiled[ActiveSectors]] = Compiled(
    "active_sectors_of",
    lambda miners: ActiveSectors.objects.filter(miner_id__any=miners),
    miners="bigint[]",
)


def active_follow(roots: Sequence[ChainRoots], *, work: SealingContext) -> None:
    """Follow the active sectors of miners; what goes wrong with one of them stops no other.

    `roots` must have been read from the database before the head of `work`: of an older head a state would be
    noted under a root that is newer, and never be looked at again.
    """
    light = {row.miner_id: row for row in LIGHT.rows()}
    due = roots_with_each([row for row in roots if _is_due(light.get(row.miner_id), row, work)])
    known = {row.miner_id: row for row in KNOWN.rows(miners=[row.miner_id for row in due])} if due else {}
    same: list[ActiveSectors] = []
    for_each_isolated(
        due,
        lambda row: active_update(known.get(row.miner_id), roots=row, work=work, same=same),
        event="active_sectors_not_read",
    )
    ActiveSectors.objects.bulk_create(
        same, update_conflicts=True, unique_fields=["miner"], update_fields=["root", "each"]
    )


def _is_due(known: ActiveSectors | None, roots: ChainRoots, work: SealingContext) -> bool:
    return known is None or known.root != roots.deadlines or _is_comparison_due(known, work)


def active_update(
    known: ActiveSectors | None, *, roots: ChainRoots, work: SealingContext, same: list[ActiveSectors]
) -> int:
    """Make `active` of one miner's sectors say what the chain says; returns how many changed.

    Where only roots moved, as a proof of a window moves them, the row is left to the caller, in `same`.
    Raises NodeRefused, NodeUnavailable.
    """
    miner, count = roots.miner, work.network.proving.deadlines
    row = known or ActiveSectors(miner=miner)
    is_compared = known is None or _is_comparison_due(row, work) or len(row.numbers) != count
    now_each = [roots.of_deadline(at) for at in range(count)]
    moved = [at for at in range(count) if is_compared or row.each[at] != now_each[at]]
    live = EMPTY
    if is_compared:
        now, live = _all_fields(work, miner, moved)
    else:
        now = active_fields(work.client, miner.address, moved, work.head.key)
    before = {at: EMPTY if is_compared else bitfield_from_json(row.numbers[at]) for at in moved}
    if not is_compared and now == before:
        same.append(ActiveSectors(miner=miner, root=roots.deadlines, each=now_each))
        return 0
    with transaction.atomic():
        if is_compared:
            changed = sectors_compare(miner, active=bitfield_union(now.values()), live=live, now=work.now)
            row.numbers = [[]] * count
        else:
            # A sector moves between deadlines where a miner asks for that: it left none then.
            entered = bitfield_union(now[at] - before[at] for at in moved)
            left = bitfield_union(before[at] - now[at] for at in moved) - bitfield_union(now.values())
            changed = _sectors_set(miner, tuple(entered), is_active=True, now=work.now)
            changed += _sectors_set(miner, tuple(left), is_active=False, now=work.now)
            placements_compare(miner, numbers=(*entered, *left), now=work.now)
        numbers = list(row.numbers)
        for at, field in now.items():
            numbers[at] = bitfield_to_json(field)
        values = {
            "root": roots.deadlines,
            "each": now_each,
            "numbers": numbers,
        }
        height = work.head.height if is_compared else row.compared_height
        # Code that wrote rows meanwhile has requested another comparison: the request stays.
        as_read = When(compared_height=row.compared_height, then=Value(height))
        height_unless_changed = Case(as_read, default=F("compared_height"), output_field=BigIntegerField())
        rows = ActiveSectors.objects.filter(pk=row.pk)
        # A comparison of what the chain says of each sector goes on where it is (`proven_follow`).
        following = Coalesce("next_number", Value(0)) if is_compared else F("next_number")
        if known is None or not rows.update(
            compared_height=height_unless_changed, next_number=following, **values
        ):
            ActiveSectors.objects.create(miner=miner, compared_height=height, next_number=0, **values)
    return changed


def _all_fields(
    work: SealingContext, miner: Miner, deadlines: Sequence[int]
) -> tuple[dict[int, BitField], BitField]:
    """Return the active sectors of each deadline, and all that live.  Raises NodeRefused, NodeUnavailable."""
    read = partitions_read(work.client, miner.address, deadlines, work.head.key)
    active = {at: bitfield_union(one.active for one in rows) for at, rows in read.items()}
    return active, bitfield_union(one.live for rows in read.values() for one in rows)


def _is_comparison_due(known: ActiveSectors, work: SealingContext) -> bool:
    """Return whether a period of this miner began since its rows were compared."""
    if known.compared_height is None:
        return True
    period = work.network.proving.period
    return (work.head.height + known.miner_id) // period != (known.compared_height + known.miner_id) // period


def sectors_compare(miner: Miner, *, active: BitField, live: BitField, now: datetime) -> int:
    """Compare every row of a miner with the chain's active sectors; returns how many changed.

    The live ones that have no row are counted.
    """
    listed, known = set(active), []
    rows = Sector.objects.filter(miner=miner).values_list("number", "active")
    wrong: dict[bool, list[int]] = defaultdict(list)
    for number, is_active in rows.iterator():
        known.append(number)
        if is_active != (number in listed):
            wrong[not is_active].append(number)
    unlisted_sectors_record(miner, count=len(live - bitfield_of(known)))
    changed = sum(
        _sectors_set(miner, numbers, is_active=is_active, now=now) for is_active, numbers in wrong.items()
    )
    placements_compare(miner, live=set(live), now=now)
    return changed


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


def deadlines_fill(work: SealingContext) -> None:
    """Fetch deadline and partition of proven sectors that had none when their commit landed."""
    states = [SectorState.COMMIT_LANDED, SectorState.PROVING]
    rows = Sector.objects.filter(deadline=None, state__in=states).select_related("miner").order_by("pk")
    by_miner: dict[Miner, list[Sector]] = defaultdict(list)
    for sector in rows.only("number", "miner"):
        by_miner[sector.miner].append(sector)
    for_each_isolated(
        by_miner.items(),
        lambda item: _deadlines_fill(item[0], item[1][:PLACES_MAX], work),
        event="sector_deadlines_not_read",
    )


def _deadlines_fill(miner: Miner, sectors: Sequence[Sector], work: SealingContext) -> None:
    places = partitions_of(work.client, miner.address, [sector.number for sector in sectors], work.head.key)
    for sector in sectors:
        if sector.number in places:
            deadline, partition = places[sector.number]
            Sector.objects.filter(pk=sector.pk).update(deadline=deadline, partition=partition)
