"""The list of sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.dashboard.lines.cards import Verdict, plural
from apps.dashboard.lines.sectors import SectorLine, sector_line
from apps.dashboard.regions.place import Place, Regions, fragment
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
    """Say in one sentence how sealing stands."""
    counts = dict(scene.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    if paused:
        verb = "waits" if paused == 1 else "wait"
        return Verdict(
            f"{plural(paused, 'failed sector')} {verb} for a decision.", f"{under_way} more in work."
        )
    if under_way:
        stages = ", ".join(f"{count} in {STAGES[stage]}" for stage, count in counts.items() if count)
        return Verdict(f"{plural(under_way, 'sector')} in work:", f"{stages}.")
    return Verdict("", "Nothing is being sealed.")


def list_verdict(place: Place) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(place.scene))


def rows(place: Place, keys: list[str]) -> Iterable[str]:
    """Render the changed rows; a page shows those that it has."""
    wanted = sectors_visible(place.viewer).filter(uuid__in=[key for key in keys if is_uuid(key)])
    for line in list_context(wanted, place.scene):
        yield fragment("sectors/_row.html", sector=line)


REGIONS: Final[Regions] = {"sector": (list_verdict,)}
