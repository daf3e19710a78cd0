"""Reading which sectors are faulty or lack good files, and what was declared about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from apps.core.compiled import Compiled
from apps.miners.models import Miner
from apps.proving.models import Deadline, FaultDeclaration, Partition, SectorCheck
from apps.proving.selectors.posts import NOTES_SHOWN
from apps.sectors.models import Sector


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


def checks_outdated(rows: Sequence[SectorCheck]) -> list[SectorCheck]:
    """Return which of these findings say nothing of a sector any more, as no later check can say so.

    The sector is no longer live in its deadline, or another store has it, and a later check found it good.
    """
    miners = {row.miner_id for row in rows}
    if not rows:
        return []
    live: dict[tuple[int, int], set[int]] = defaultdict(set)
    parts = Partition.objects.filter(
        deadline__miner__in=miners, deadline__index__in={row.deadline_index for row in rows}
    )
    for miner, index, found in parts.values_list("deadline__miner_id", "deadline__index", "live"):
        live[miner, index].update(found)
    bad = SectorCheck.objects.filter(miner__in=miners, is_good=False).values("number")
    places = Sector.objects.filter(miner__in=miners, number__in=bad).exclude(store="")
    stores = {
        (miner, number): store for miner, number, store in places.values_list("miner", "number", "store")
    }
    good = SectorCheck.objects.filter(miner__in=miners, number__in=bad, is_good=True).order_by("height")
    good_at = {(miner, number): at for miner, number, at in good.values_list("miner", "number", "height")}
    return [
        row
        for row in rows
        for key in [(row.miner_id, row.number)]
        if row.number not in live[row.miner_id, row.deadline_index]
        or (row.store != stores.get(key) and good_at.get(key, row.height) > row.height)
    ]


def sectors_bad(
    miners: Collection[int], *, with_faulty: bool = False, most: int | None = None
) -> list[SectorCheck]:
    """Return the sectors of these miners whose files were found missing or damaged, if not faulty yet.

    `most`: of so many findings, the first ones.
    """
    bad = SectorCheck.objects.filter(is_good=False, miner__in=miners).order_by("miner_id", "number")
    found = list(bad[:most])
    outdated = {row.pk for row in checks_outdated(found)}
    rows = [row for row in found if row.pk not in outdated]
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
