"""Reading deadlines and which sectors they have."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from django.db.models import Min, Prefetch, QuerySet

from apps.core.compiled import Compiled
from apps.miners.models import Miner
from apps.proving.models import Deadline, Partition


def deadlines_of(miner: Miner) -> QuerySet[Deadline]:
    """Return a miner's deadlines by index, with partitions."""
    partitions = Prefetch("partitions", queryset=Partition.objects.order_by("index"))
    return Deadline.objects.filter(miner=miner).prefetch_related(partitions).order_by("index")


def deadlines_by_key(miners: Iterable[Miner]) -> dict[tuple[int, int], Deadline]:
    """Return all deadlines of some miners, by the miner's key and the index."""
    rows = Deadline.objects.filter(miner__in=[miner.pk for miner in miners]).order_by("miner_id", "index")
    return {(row.miner_id, row.index): row for row in rows}


def deadlines_filled(miners: Iterable[Miner]) -> dict[tuple[int, int], Deadline]:
    """Return those of them that have sectors: most of a small miner have none."""
    rows = Deadline.objects.filter(miner__in=[miner.pk for miner in miners], live__gt=0)
    return {(row.miner_id, row.index): row for row in rows.order_by("miner_id", "index")}


def period_starts(miners: Iterable[Miner]) -> dict[int, int]:
    """Return where the running proving period of each of some miners begins, by its key."""
    rows = Deadline.objects.filter(miner__in=[miner.pk for miner in miners]).order_by()
    return dict(rows.values_list("miner_id").annotate(Min("period_start")))


def deadline_keys(miner_id: int, *, index: int) -> list[int]:
    """Return the key of a miner's deadline; empty before it is known."""
    return list(Deadline.objects.filter(miner_id=miner_id, index=index).values_list("pk", flat=True))


def deadlines_known(miners: Collection[int], *, indexes: Collection[int]) -> dict[tuple[int, int], int]:
    """Return the keys of the known deadlines of some miners with these indexes, by miner and index."""
    found = DEADLINES_KNOWN.rows(miners=list(miners), indexes=list(indexes))
    return {(miner, index): key for miner, index, key in found}


DEADLINES_KNOWN: Final[Compiled[tuple[int, int, int]]] = Compiled(
    "deadlines_known",
    lambda miners, indexes: (
        Deadline.objects.filter(miner_id__any=miners, index__any=indexes)
        .order_by()
        .values_list("miner_id", "index", "pk")
    ),
    miners="bigint[]",
    indexes="int[]",
)


def miners_of_deadlines(keys: Collection[str]) -> QuerySet[Deadline, int]:
    """Return the keys of the miners whose deadlines these are."""
    return Deadline.objects.filter(pk__in=keys).values_list("miner_id", flat=True).distinct()


def deadline_of(miner: Miner, index: int) -> Deadline | None:
    """Return one deadline of a miner with its partitions; None before it is known."""
    return deadlines_of(miner).filter(index=index).first()


def deadline_index_of(miner: Miner, number: int) -> int | None:
    """Return the deadline in which a live sector of a miner is proved."""
    rows = Partition.objects.filter(deadline__miner=miner, live__contains=[number])
    return rows.values_list("deadline__index", flat=True).first()
