"""A month of landing margins: each deadline of each proving period, from one query over sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.core.formatting import plural
from apps.dashboard.html_time import time_html
from apps.dashboard.pages.miners.deadlines import unrecorded_text
from apps.proving.selectors.posts import margins_of

if TYPE_CHECKING:
    from apps.dashboard.page_data import PageData
    from apps.miners.models import Miner
    from apps.proving.selectors.posts import Margin

PERIODS: Final = 30
EARLY_SHARE: Final = 2
"""A proof that lands with this part of the window to spare is early."""
LATE_SHARE: Final = 6
"""One with less than this part is late."""


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One window."""

    tone: str
    """ok, run, warn, bad or idle."""
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One proving period."""

    label: str
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """All periods of one miner, the newest on top."""

    miner: str
    columns: tuple[int, ...]
    rows: tuple[HeatRow, ...]
    missed: int
    late: int


def heat_map(miner: Miner, data: PageData) -> HeatMap | None:
    """Lay out a miner's last periods; None before its first deadline is known."""
    deadlines = data.deadlines_of(miner)
    if data.network is None or data.clock is None or not deadlines:
        return None
    window, period = data.network.proving.window, data.network.proving_period
    count = data.network.proving.deadlines
    start = min(row.period_start for row in deadlines)
    sums = margins_of(miner, since_epoch=start - (PERIODS - 1) * period)
    by_index = {row.index: row for row in deadlines}
    rows = []
    for back in range(PERIODS):
        first = start - back * period
        cells = tuple(
            _cell(
                index,
                sums.get((index, opens)),
                window=window,
                unrecorded=unrecorded_text(miner, by_index.get(index), open_epoch=opens),
            )
            for index, opens in enumerate(range(first, first + count * window, window))
        )
        if back and all(cell.tone == "idle" for cell in cells):
            continue
        opened_at = datetime.fromtimestamp(data.clock.starts_at(first), tz=UTC)
        rows.append(HeatRow(time_html(opened_at), cells))
    drawn = [cell for row in rows for cell in row.cells]
    return HeatMap(
        miner=miner.name or miner.address,
        columns=tuple(range(count)),
        rows=tuple(rows),
        missed=sum(cell.tone == "bad" for cell in drawn),
        late=sum(cell.tone == "warn" for cell in drawn),
    )


def _cell(index: int, found: Margin | None, *, window: int, unrecorded: str) -> HeatCell:
    if found is None:
        title = gettext("deadline {index}: {words}").format(index=index, words=unrecorded)
        return HeatCell("idle", "·", title)
    if found.missed:
        return HeatCell("bad", "×", gettext("deadline {index}: missed").format(index=index))
    if found.margin is None:
        return HeatCell("run", "…", gettext("deadline {index}: being proved").format(index=index))
    title = gettext("deadline {index}: landed {epochs} before its close").format(
        index=index, epochs=plural(found.margin, "epoch")
    )
    if found.margin * LATE_SHARE < window:
        return HeatCell("warn", f"{found.margin}!", title)
    return HeatCell("ok" if found.margin * EARLY_SHARE >= window else "run", str(found.margin), title)
