"""A miner's deadlines and partitions, as the chain has them at a head."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.core.live import Change, publish
from apps.miners.onchain import PartitionFacts, partitions_read
from apps.proving.models import Deadline, Partition
from apps.sectors.models import Sector
from poolsite.filecoin.deadlines import current_deadline, deadline_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient
    from apps.miners.models import Miner
    from poolsite.filecoin.deadlines import DeadlineInfo, ProvingParams


def deadlines_refresh(
    miner: Miner, *, client: ChainClient, height: int, key: str, params: ProvingParams
) -> None:
    """Store windows and partitions of a miner; partitions of the deadlines where something can change.

    The others are read one after the other, so that each is fresh at least once a period.
    """
    if miner.proving_period_start is None:
        return
    # Reckoned from the offset of the miner's periods: right after null rounds the node still names the
    # deadline that was open before, moved a whole period on (spec lotus-behaviour §8).
    now = current_deadline(miner.proving_period_start, height, params)
    rows = {row.index: row for row in Deadline.objects.filter(miner=miner)}
    missing = set(range(params.deadlines)) - set(rows)
    wanted = missing or _changing(miner, now=now, height=height, params=params)
    facts = partitions_read(client, miner.address, sorted(wanted), key)
    known: dict[int | None, list[Partition]] = defaultdict(list)
    for part in Partition.objects.filter(deadline__miner=miner, deadline__index__in=facts):
        known[part.deadline_id].append(part)
    with transaction.atomic():
        for index in range(params.deadlines):
            window = deadline_info(now.period_start, index, height, params).next_not_elapsed()
            row = rows.get(index) or Deadline(miner=miner, index=index)
            _deadline_store(row, window, facts.get(index), known=known[row.pk], height=height)


def _changing(miner: Miner, *, now: DeadlineInfo, height: int, params: ProvingParams) -> set[int]:
    count = params.deadlines
    near = {(now.index + step) % count for step in (-1, 0, 1)}
    fresh = Sector.objects.filter(miner=miner, active=False, deadline__isnull=False, state="PROVING")
    young = set(fresh.values_list("deadline", flat=True).distinct()[:count])
    faulty = Deadline.objects.filter(miner=miner, faulty__gt=0).values_list("index", flat=True)
    return near | {height % count} | {index for index in young if index is not None} | set(faulty)


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
    if not is_new and not changed and facts is None:
        return
    for name, value in values.items():
        setattr(row, name, value)
    if facts is not None:
        row.refreshed_height = height
    if is_new:
        row.save()
    elif changed:
        row.save(update_fields=[*values, "refreshed_height"])
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
