"""The list of sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.checks.results import Topic
from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.sectors import SectorLine, sector_line
from apps.dashboard.regions.place import Place, Regions, fragment
from apps.dashboard.regions.todo import verdict_by
from apps.dashboard.words import STAGES
from apps.sectors.selectors import is_uuid, sectors_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.regions.scene import Scene
    from apps.sectors.models import Sector


def list_context(rows: Iterable[Sector], scene: Scene) -> list[SectorLine]:
    """Lay out one page of the list."""
    return [sector_line(row, scene=scene) for row in rows]


def list_verdict_of(scene: Scene) -> Verdict:
    """Say in one sentence how sealing stands, and what ends soon."""
    return verdict_by(scene.report_of(Topic.SECTORS), sealing_verdict(scene))


def sealing_verdict(scene: Scene) -> Verdict:
    """Say in one sentence how sealing stands."""
    counts = dict(scene.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    if paused:
        return Verdict("", f"{under_way} more in work.")
    if under_way:
        stages = ", ".join(f"{count} in {STAGES[stage]}" for stage, count in counts.items() if count)
        return Verdict(f"{plural(under_way, 'sector')} in work:", f"{stages}.")
    active = sum(miner.active_sectors for miner in scene.miners)
    unproven = sum(miner.live_sectors - miner.active_sectors - miner.faulty_sectors for miner in scene.miners)
    waits = f", {unproven} {'waits' if unproven == 1 else 'wait'} for the first proof" if unproven > 0 else ""
    return Verdict("Nothing is being sealed:", f"{plural(active, 'sector')} active{waits}.")


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    wanted = sectors_visible(place.viewer).filter(uuid__in=[key for key in keys if is_uuid(key)])
    for line in list_context(wanted, place.scene):
        yield fragment("sectors/_row.html", sector=line)


REGIONS: Final[Regions] = {
    "sector": (list_verdict,),
    "miner": (list_verdict,),
    "deadline": (list_verdict,),
    "head": (list_verdict,),
}
