"""A miner's wins against what its power lets it expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural

if TYPE_CHECKING:
    from apps.blocks.selectors.luck import Luck


@dataclass(frozen=True, slots=True)
class LuckBand:
    """Wins against expectation, in percent of the chart's width."""

    wins: float
    expected: float
    half: tuple[float, float]
    """Where the band of half of all spans begins, and its width."""
    most: tuple[float, float]
    text: str
    label: str


def luck_band(luck: Luck) -> LuckBand:
    """Lay out one miner's luck."""
    most = max(luck.wins, luck.most[1], 1) * 1.1

    def band(low: int, high: int) -> tuple[float, float]:
        return round(100 * low / most, 2), round(100 * (high - low) / most, 2)

    label = gettext(
        "{wins}, {expected:.1f} expected; 50 % of such periods have {half_low} to {half_high}, 90 % "
        "{most_low} to {most_high}"
    ).format(
        wins=plural(luck.wins, "win"),
        expected=luck.expected,
        half_low=luck.half[0],
        half_high=luck.half[1],
        most_low=luck.most[0],
        most_high=luck.most[1],
    )
    share = luck.share
    return LuckBand(
        wins=round(100 * luck.wins / most, 2),
        expected=round(100 * luck.expected / most, 2),
        half=band(*luck.half),
        most=band(*luck.most),
        text=formatting.NOTHING if share is None else f"{100 * share:.0f} %",
        label=label,
    )
