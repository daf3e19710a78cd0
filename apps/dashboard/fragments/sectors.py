"""The list of sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.fragments.context import FragmentContext, FragmentsByKind, fragment
from apps.dashboard.fragments.todo import verdict_by
from apps.dashboard.labels import STAGES
from apps.dashboard.rows.cards import Verdict, plural
from apps.dashboard.rows.sectors import SectorRow, sector_row
from apps.sectors.selectors import is_uuid, sectors_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData
    from apps.sectors.models import Sector


def list_context(rows: Iterable[Sector], data: PageData) -> list[SectorRow]:
    """Lay out one page of the list."""
    return [sector_row(row, data=data) for row in rows]


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how sealing stands, and what ends soon."""
    return verdict_by(data.report_of(Topic.SECTORS), sealing_verdict(data))


def sealing_verdict(data: PageData) -> Verdict:
    """Return in one sentence how sealing stands."""
    counts = dict(data.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    if paused:
        return Verdict("", f"{under_way} more in progress.")
    if under_way:
        stages = ", ".join(f"{count} in {STAGES[stage]}" for stage, count in counts.items() if count)
        return Verdict(f"{plural(under_way, 'sector')} in progress:", f"{stages}.")
    active = sum(miner.active_sectors for miner in data.miners)
    unproven = sum(miner.live_sectors - miner.active_sectors - miner.faulty_sectors for miner in data.miners)
    waits = f", {unproven} {'waits' if unproven == 1 else 'wait'} for the first proof" if unproven > 0 else ""
    return Verdict("Nothing is being sealed:", f"{plural(active, 'sector')} active{waits}.")


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    wanted = sectors_visible(context.viewer).filter(uuid__in=[key for key in keys if is_uuid(key)])
    for row in list_context(wanted, context.data):
        yield fragment("sectors/_row.html", sector=row)


FRAGMENTS: Final[FragmentsByKind] = {
    "sector": (list_verdict,),
    "miner": (list_verdict,),
    "deadline": (list_verdict,),
    "head": (list_verdict,),
}
