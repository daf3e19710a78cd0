"""What the database has of the deadlines of miners whose state moved or whose windows closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import F

from apps.core.compiled import Compiled
from apps.miners.models import ChainRoots
from apps.proving.models import Deadline, Partition
from apps.proving.rules.proving_context import ProvingContext


@dataclass(slots=True)
class StoredWindows:
    """What the database has of one miner's deadlines, by index."""

    moved: list[int] = field(default_factory=list)
    """Deadlines whose root is another now, or that have no row."""
    ends: dict[int, int] = field(default_factory=dict)
    """Epoch at which each window closes."""
    rows: dict[int, Deadline] = field(default_factory=dict)
    """Of the windows that closed or moved."""
    partitions: dict[int, list[Partition]] = field(default_factory=lambda: defaultdict(list))
    """Of the deadlines that moved."""


def stored_windows_read(due: Sequence[ChainRoots], *, context: ProvingContext) -> dict[int, StoredWindows]:
    """Return what is stored of these miners, read at once."""
    found = {row.miner_id: StoredWindows() for row in due}
    numbers: dict[int, dict[int, int]] = defaultdict(dict)
    same: set[int] = set()
    roots = {row.miner_id: row for row in due}
    for pk, miner_id, index, root, close in DEADLINE_ROOTS.rows(miners=list(found)) if found else ():
        numbers[miner_id][index] = pk
        found[miner_id].ends[index] = close
        if root == roots[miner_id].of_deadline(index):
            same.add(pk)
    wanted: list[int] = []
    for miner_id, one in found.items():
        of_miner = numbers[miner_id]
        one.moved = [at for at in range(context.network.proving.deadlines) if of_miner.get(at) not in same]
        closed = {at for at, close in one.ends.items() if close <= context.head.height}
        wanted += [of_miner[at] for at in closed.union(one.moved) if at in of_miner]
    for deadline in DEADLINES.rows(keys=wanted) if wanted else ():
        found[deadline.miner_id].rows[deadline.index] = deadline
    moved = [numbers[key][at] for key, one in found.items() for at in one.moved if at in numbers[key]]
    for part in PARTITIONS.rows(deadlines=moved) if moved else ():
        found[part.miner].partitions[part.at].append(part)
    return found


DEADLINE_ROOTS: Final[Compiled[tuple[int, int, int, str, int]]] = Compiled(
    "deadline_places",
    lambda miners: Deadline.objects.filter(miner_id__any=miners).values_list(
        "pk", "miner_id", "index", "root", "close_epoch"
    ),
    miners="bigint[]",
)
DEADLINES: Final[Compiled[Deadline]] = Compiled(
    "deadlines_by_key", lambda keys: Deadline.objects.filter(pk__any=keys), keys="bigint[]"
)
PARTITIONS: Final[Compiled[Any]] = Compiled(
    "partitions_of_deadlines",
    lambda deadlines: Partition.objects.filter(deadline_id__any=deadlines).annotate(
        miner=F("deadline__miner"), at=F("deadline__index")
    ),
    deadlines="bigint[]",
)
