"""Reading what miners held as days began."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Subquery

from apps.miners.models import Miner, MinerDay

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from django.db.models import QuerySet


def miner_days_since(miners: Sequence[Miner], *, since: date) -> dict[int, list[MinerDay]]:
    """Return the days from `since` on by the miner's pk, oldest first."""
    found: defaultdict[int, list[MinerDay]] = defaultdict(list)
    for row in MinerDay.objects.filter(miner__in=miners, day__gte=since).order_by("day"):
        found[row.miner_id].append(row)
    return found


def miner_days_newest(miners: Sequence[Miner]) -> dict[int, MinerDay]:
    """Return the newest day of each miner by its pk."""
    newest = MinerDay.objects.filter(miner=OuterRef("pk")).order_by("-day").values("pk")[:1]
    found = Miner.objects.filter(pk__in=[miner.pk for miner in miners]).values(newest=Subquery(newest))
    return {row.miner_id: row for row in MinerDay.objects.filter(pk__in=found)}


def with_days(miners: QuerySet[Miner], *, since: date) -> QuerySet[Miner]:
    """Return those of the miners that have a day from `since` on."""
    return miners.filter(Exists(MinerDay.objects.filter(miner=OuterRef("pk"), day__gte=since)))
