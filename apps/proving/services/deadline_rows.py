"""Storing a deadline's window, its partitions, and since when each of its sectors is faulty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.core.live import Change, publish
from apps.proving.models import Deadline, Partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.onchain.partition_facts import PartitionFacts
    from poolsite.filecoin.deadlines import DeadlineInfo


def deadline_store(
    row: Deadline,
    *,
    window: DeadlineInfo,
    facts: list[PartitionFacts] | None,
    known: Sequence[Partition],
    height: int,
) -> bool:
    """Store a window, with its partitions where they were read; False if of the row only the root moved."""
    values: dict[str, Any] = {
        "period_start": window.period_start,
        "open_epoch": window.open,
        "close_epoch": window.close,
        "challenge_epoch": window.challenge,
        "cutoff_epoch": window.fault_cutoff,
    }
    if row.open_epoch != window.open:
        values |= {"unmet_preconditions": {}, "miss": None}  # both described the window before
    since: dict[int, int] = {}
    if facts is not None:
        since = _faults_since(facts, known=known, unknown=row.faulty_since, height=height)
        values |= {
            "partitions_count": len(facts),
            "live": sum(len(part.live) for part in facts),
            "active": sum(len(part.active) for part in facts),
            "faulty": sum(len(part.faulty) for part in facts),
            "recovering": sum(len(part.recovering) for part in facts),
            "faulty_since": min(since.values(), default=None),
        }
    is_new = row.pk is None
    changed = [name for name, value in values.items() if getattr(row, name, None) != value]
    for name, value in values.items():
        setattr(row, name, value)
    if facts is not None:
        row.refreshed_height = height
    if is_new:
        row.save()
    elif changed:
        Deadline.objects.filter(pk=row.pk).update(
            **values, root=row.root, refreshed_height=row.refreshed_height
        )
    if facts is not None:
        _partitions_store(row, facts, known=known, since=since)
    if changed:
        publish(Change("deadline", row.pk, row.miner.tenant_id))
    return is_new or bool(changed)


def _faults_since(
    facts: list[PartitionFacts], *, known: Sequence[Partition], unknown: int | None, height: int
) -> dict[int, int]:
    """Return at which head each faulty sector of a deadline was first seen so, whatever partition it is in.

    One whose head nobody has written down counts from the deadline's oldest fault, `unknown`: the chain ends
    a sector that is faulty for too long, and may do so earlier than stated, never later.
    """
    before = {
        number: part.faulty_since.get(str(number), height if unknown is None else unknown)
        for part in known
        for number in part.faulty
    }
    return {number: before.get(number, height) for part in facts for number in part.faulty}


def _partitions_store(
    deadline: Deadline, facts: list[PartitionFacts], *, known: Sequence[Partition], since: dict[int, int]
) -> None:
    rows = {row.index: row for row in known}
    for index, part in enumerate(facts):
        values = {
            "all_sectors": list(part.all_sectors),
            "live": list(part.live),
            "active": list(part.active),
            "faulty": list(part.faulty),
            "faulty_since": {str(number): since[number] for number in part.faulty},
            "recovering": list(part.recovering),
        }
        row = rows.pop(index, None)
        if row is None:
            Partition.objects.create(deadline=deadline, index=index, **values)
        elif any(getattr(row, name) != value for name, value in values.items()):
            Partition.objects.filter(pk=row.pk).update(**values)
    if rows:
        deadline.partitions.filter(index__in=rows).delete()
