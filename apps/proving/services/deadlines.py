"""A miner's deadlines and partitions, as the chain has them at a head."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.chain.apart import each_apart
from apps.core.live import Change, publish
from apps.miners.onchain import PartitionFacts, partitions_read
from apps.proving.models import Deadline, FollowedWindows, Partition
from poolsite.filecoin.deadlines import current_deadline, deadline_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.models import ChainRoots
    from apps.proving.services.look import Look
    from poolsite.filecoin.deadlines import DeadlineInfo


def deadlines_follow(roots: Sequence[ChainRoots], look: Look) -> set[int]:
    """Bring windows and partitions of miners up to the head; returns the numbers of the rows it wrote.

    Read are the deadlines whose root moved; rows are written of these and of windows that have closed.
    `roots` must have been read from the database before the head: see sectors.services.active.
    """
    known = {row.miner_id: row for row in FollowedWindows.objects.all()}
    due = [row for row in roots if _is_due(row, known.get(row.miner_id), look)]
    written: set[int] = set()
    each_apart(due, lambda row: written.update(deadlines_refresh(row, look)), event="deadlines_not_read")
    return written


def _is_due(roots: ChainRoots, known: FollowedWindows | None, look: Look) -> bool:
    """Return whether a deadline's state moved or a window has closed."""
    if roots.miner.proving_period_start is None:
        return False
    return known is None or known.root != roots.deadlines or known.next_close <= look.head.height


def deadlines_refresh(roots: ChainRoots, look: Look) -> set[int]:
    """Store a miner's windows that closed, and those that moved with their partitions.

    Returns the numbers of the rows that were written.

    Raises NodeRefused, NodeUnavailable.
    """
    miner, params, height = roots.miner, look.network.proving, look.head.height
    assert miner.proving_period_start is not None
    # Reckoned from the offset of the miner's periods: right after null rounds the node still names the
    # deadline that was open before, moved a whole period on (spec lotus-behaviour §8).
    now = current_deadline(miner.proving_period_start, height, params)
    rows = {row.index: row for row in Deadline.objects.filter(miner=miner)}
    there = {index: row.root for index, row in rows.items()}
    moved = [index for index in range(params.deadlines) if there.get(index) != roots.of_deadline(index)]
    wanted = {index for index, row in rows.items() if row.close_epoch <= height} | set(moved)
    facts = partitions_read(look.client, miner.address, moved, look.head.key) if moved else {}
    known: dict[int | None, list[Partition]] = defaultdict(list)
    for part in Partition.objects.filter(deadline__miner=miner, deadline__index__in=facts):
        known[part.deadline_id].append(part)
    with transaction.atomic():
        for index in sorted(wanted):
            window = deadline_info(now.period_start, index, height, params).next_not_elapsed()
            row = rows.setdefault(index, Deadline(miner=miner, index=index))
            if index in facts:
                row.root = roots.of_deadline(index)
            _deadline_store(row, window, facts.get(index), known=known[row.pk], height=height)
        first = min(row.close_epoch for row in rows.values())
        FollowedWindows.objects.update_or_create(
            miner=miner, defaults={"root": roots.deadlines, "next_close": first}
        )
    return {rows[index].pk for index in wanted}


def _deadline_store(
    row: Deadline,
    window: DeadlineInfo,
    facts: list[PartitionFacts] | None,
    *,
    known: Sequence[Partition],
    height: int,
) -> None:
    values: dict[str, Any] = {
        "period_start": window.period_start,
        "open_epoch": window.open,
        "close_epoch": window.close,
        "challenge_epoch": window.challenge,
        "cutoff_epoch": window.fault_cutoff,
    }
    if facts is not None:
        values |= {
            "partitions_count": len(facts),
            "live": sum(len(part.live) for part in facts),
            "active": sum(len(part.active) for part in facts),
            "faulty": sum(len(part.faulty) for part in facts),
            "recovering": sum(len(part.recovering) for part in facts),
        }
        first_seen = height if row.faulty_since is None else row.faulty_since
        values["faulty_since"] = first_seen if values["faulty"] else None
    is_new = row.pk is None
    changed = [name for name, value in values.items() if getattr(row, name, None) != value]
    for name, value in values.items():
        setattr(row, name, value)
    if facts is not None:
        row.refreshed_height = height
    if is_new:
        row.save()
    else:
        row.save(update_fields=[*values, "root", "refreshed_height"])
    if facts is not None:
        _partitions_store(row, facts, known=known)
    if changed:
        publish(Change("deadline", row.pk, row.miner.tenant_id))


def _partitions_store(deadline: Deadline, facts: list[PartitionFacts], *, known: Sequence[Partition]) -> None:
    rows = {row.index: row for row in known}
    for index, part in enumerate(facts):
        values = {
            "all_sectors": list(part.all_sectors),
            "live": list(part.live),
            "active": list(part.active),
            "faulty": list(part.faulty),
            "recovering": list(part.recovering),
        }
        row = rows.pop(index, None)
        if row is None:
            Partition.objects.create(deadline=deadline, index=index, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            Partition.objects.filter(pk=row.pk).update(**values)
    if rows:
        deadline.partitions.filter(index__in=rows).delete()
