"""Reading which sectors are faulty or lack good files, and what was declared about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from apps.core.compiled import Compiled
from apps.proving.models import Deadline, FaultDeclaration, Partition, SectorCheck
from apps.proving.selectors.posts import NOTES_SHOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from apps.miners.models import Miner


def sectors_faulty(miners: Iterable[Miner | int]) -> dict[tuple[int, int], bool]:
    """Return faulty sectors by the miner's key and the number; True for those declared recovered."""
    rows = Partition.objects.filter(deadline__miner__in=miners, deadline__faulty__gt=0)
    return {
        (miner, number): number in recovering
        for miner, faulty, recovering in rows.values_list("deadline__miner_id", "faulty", "recovering")
        for number in faulty
    }


class Fault(NamedTuple):
    """A faulty sector."""

    miner_id: int
    deadline_index: int
    number: int
    since: int
    """Epoch of the head at which it was first seen faulty."""
    is_recovering: bool
    """Whether it is declared recovered."""


def faults_of(deadlines: Collection[Deadline]) -> list[Fault]:
    """Return the faulty sectors of these deadlines."""
    rows = {row.pk: row for row in deadlines}
    parts = Partition.objects.filter(deadline__in=list(rows)).exclude(faulty=[]).order_by("deadline", "index")
    fields = parts.values_list("deadline_id", "faulty", "faulty_since", "recovering")
    return [
        Fault(row.miner_id, row.index, number, seen, number in back)
        for pk, faulty, since, recovering in fields
        for row, back in [(rows[pk], set(recovering))]
        for number in faulty
        # a fault from before heights were stored counts from the deadline's oldest
        for seen in [since.get(str(number), row.faulty_since or 0)]
    ]


def sectors_bad(miners: Collection[int], *, with_faulty: bool = False) -> list[SectorCheck]:
    """Return the sectors of these miners whose files were found missing or damaged, if not faulty yet."""
    rows = list(SectorCheck.objects.filter(is_good=False, miner__in=miners).order_by("miner_id", "number"))
    if not rows or with_faulty:
        return rows
    faulty = sectors_faulty({row.miner_id for row in rows})
    return [row for row in rows if (row.miner_id, row.number) not in faulty]


def declarations_latest(miners: Iterable[Miner], *, since_epoch: int) -> list[FaultDeclaration]:
    """Return the declarations of faults for windows that open after an epoch, newest first."""
    rows = FaultDeclaration.objects.filter(miner__in=miners, open_epoch__gt=since_epoch)
    return list(rows.select_related("miner").order_by("-pk")[:NOTES_SHOWN])


def miners_faulty(miners: Sequence[Miner]) -> list[Miner]:
    """Return those of the miners that have faulty sectors."""
    found = set(FAULTY.rows(miners=[miner.pk for miner in miners]))
    return [miner for miner in miners if miner.pk in found]


FAULTY: Final[Compiled[int]] = Compiled(
    "miners_faulty",
    lambda miners: (
        Deadline.objects.filter(miner_id__any=miners, faulty__gt=0).order_by().values_list("miner", flat=True)
    ),
    miners="bigint[]",
)
