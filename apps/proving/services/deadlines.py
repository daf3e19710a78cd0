"""A miner's deadlines and partitions, as the chain has them at a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.miners.models import ChainRoots
from apps.miners.onchain.partition_facts import PartitionFacts, partitions_read
from apps.miners.selectors.chain_roots import roots_with_each
from apps.proving.models import Deadline, FollowedWindows, Partition
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.stored_windows import StoredWindows, stored_windows_read
from poolsite.filecoin.deadlines import DeadlineInfo, current_deadline, deadline_info


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
        values |= {
            "unmet_preconditions": {},
            "unmet_coded": {},
            "miss": None,
        }  # both described the window before
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


FOLLOWED: Final[Compiled[FollowedWindows]] = Compiled("followed_windows", FollowedWindows.objects.all)


def deadlines_follow(roots: Sequence[ChainRoots], *, context: ProvingContext) -> set[int]:
    """Bring windows and partitions of miners up to the head; returns the numbers of the rows it wrote.

    Read are the deadlines whose root moved; rows are written of these and of windows that have closed.
    `roots` must have been read from the database before the head: see sectors.services.active.
    """
    known = {row.miner_id: row for row in FOLLOWED.rows()}
    due = roots_with_each([row for row in roots if _is_due(row, known.get(row.miner_id), context)])
    stored = stored_windows_read(due, context=context)
    written: set[int] = set()
    same: list[Deadline] = []
    followed: list[FollowedWindows] = []

    def follow(row: ChainRoots) -> None:
        one = stored[row.miner_id]
        written.update(deadlines_refresh(row, context=context, stored=one, same=same))
        first = min(one.ends.values())
        followed.append(FollowedWindows(miner=row.miner, root=row.deadlines, next_close=first))

    for_each_isolated(due, follow, event="deadlines_not_read")
    Deadline.objects.bulk_create(
        same,
        update_conflicts=True,
        unique_fields=["miner", "index"],
        update_fields=["root", "refreshed_height"],
    )
    FollowedWindows.objects.bulk_create(
        followed, update_conflicts=True, unique_fields=["miner"], update_fields=["root", "next_close"]
    )
    return written


def _is_due(roots: ChainRoots, known: FollowedWindows | None, context: ProvingContext) -> bool:
    """Return whether a deadline's state moved or a window has closed."""
    if roots.miner.proving_period_start is None:
        return False
    return known is None or known.root != roots.deadlines or known.next_close <= context.head.height


def deadlines_refresh(
    roots: ChainRoots, *, context: ProvingContext, stored: StoredWindows, same: list[Deadline]
) -> set[int]:
    """Store a miner's windows that closed, and those that moved with their partitions.

    Returns the numbers of the rows that were written.  Those of which only the root moved, as a proof moves
    it, are left to the caller, in `same`.

    Raises NodeRefused, NodeUnavailable.
    """
    miner, params, height = roots.miner, context.network.proving, context.head.height
    assert miner.proving_period_start is not None
    # Computed from the offset of the miner's periods: right after null rounds the node still names the
    # deadline that was open before, moved a whole period on by NextNotElapsed (lotus node/impl/full/state.go
    # StateMinerProvingDeadline).
    now = current_deadline(miner.proving_period_start, height, params)
    moved = stored.moved
    facts = partitions_read(context.client, miner.address, moved, context.head.key) if moved else {}
    with transaction.atomic():
        for index in sorted(stored.rows.keys() | set(moved)):
            window = deadline_info(now.period_start, index, height, params).next_not_elapsed()
            row = stored.rows.setdefault(index, Deadline(miner=miner, index=index))
            row.miner = miner
            if index in facts:
                row.root = roots.of_deadline(index)
            if not deadline_store(
                row, window=window, facts=facts.get(index), known=stored.partitions[index], height=height
            ):
                same.append(row)
            stored.ends[index] = row.close_epoch
    return {row.pk for row in stored.rows.values()}
