"""A miner's deadlines as the pages show them: the strip of a period, and one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apps.dashboard import numbers
from apps.dashboard.charts import Strip, StripEntry, strip
from apps.dashboard.words import Word
from apps.proving.states import Outlook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.dashboard.frame import EpochClock
    from apps.proving.models import Deadline

OUTLOOKS: Final[dict[str, Word]] = {
    Outlook.NOTHING: Word("idle", "nothing to prove"),
    Outlook.LATER: Word("idle", "to come"),
    Outlook.WILL_LAND: Word("run", "will land"),
    Outlook.AT_RISK: Word("bad", "at risk"),
    Outlook.LANDED: Word("ok", "landed"),
    Outlook.MISSED: Word("bad", "missed"),
}
STRIP_TONES: Final[dict[str, str]] = {
    Outlook.NOTHING: "idle",
    Outlook.LATER: "none",
    Outlook.WILL_LAND: "run",
    Outlook.AT_RISK: "warn",
    Outlook.LANDED: "ok",
    Outlook.MISSED: "bad",
}


@dataclass(frozen=True, slots=True)
class DeadlineLine:
    """One deadline with sectors."""

    key: str
    index: int
    tone: str
    word: str
    icon: str
    opens: str
    opens_until: int | None
    opens_left: str
    closes: str
    closes_until: int | None
    closes_left: str
    sectors: int
    faults: int
    why: str


def deadline_line(deadline: Deadline, clock: EpochClock | None) -> DeadlineLine:
    """Lay out one deadline."""
    word = OUTLOOKS[deadline.outlook]
    to_open = clock is not None and deadline.open_epoch > clock.epoch
    to_close = clock is not None and deadline.close_epoch > clock.epoch
    return DeadlineLine(
        key=f"{deadline.miner_id}-{deadline.index}",
        index=deadline.index,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        opens="open" if to_close else f"epoch {numbers.whole(deadline.open_epoch)}",
        opens_until=clock.starts_at(deadline.open_epoch) if clock is not None and to_open else None,
        opens_left=numbers.time_left(clock.left_s(deadline.open_epoch))
        if clock is not None and to_open
        else "",
        closes="closed" if clock is not None else f"epoch {numbers.whole(deadline.close_epoch)}",
        closes_until=clock.starts_at(deadline.close_epoch) if clock is not None and to_close else None,
        closes_left=numbers.time_left(clock.left_s(deadline.close_epoch))
        if clock is not None and to_close
        else "",
        sectors=deadline.live,
        faults=deadline.faulty,
        why=deadline.reason,
    )


def deadline_strip(
    deadlines: Sequence[Deadline], *, count: int, clock: EpochClock | None, name: str
) -> Strip | None:
    """Draw a period's `count` deadlines side by side; None while the miner has none."""
    if not deadlines:
        return None
    rows = {deadline.index: deadline for deadline in deadlines}
    entries = [_entry(index, rows.get(index)) for index in range(count)]
    told = [deadline for deadline in deadlines if deadline.live]
    label = f"{name}: {len(told)} of {count} deadlines have sectors" + "".join(
        f"; {deadline.index}: {OUTLOOKS[deadline.outlook].word}" for deadline in told[:12]
    )
    return strip(entries, now=_now(deadlines, clock), label=label)


def _entry(index: int, deadline: Deadline | None) -> StripEntry:
    if deadline is None or not deadline.live:
        return StripEntry(tone="idle", share=0.0, title=f"deadline {index}: no sectors")
    title = f"deadline {index}: {deadline.live} sectors, {OUTLOOKS[deadline.outlook].word}"
    return StripEntry(tone=STRIP_TONES[deadline.outlook], share=0.8, title=title)


def _now(deadlines: Sequence[Deadline], clock: EpochClock | None) -> float:
    """Where the present stands in the period that runs."""
    window = max(deadlines[0].close_epoch - deadlines[0].open_epoch, 1)
    if clock is None:
        return 0.0
    # Each row tells of its next window, so the period that runs is the earliest of theirs.
    first = min(deadline.period_start for deadline in deadlines)
    span = window * (max(deadline.index for deadline in deadlines) + 1)
    return min(max((clock.epoch - first) / span, 0.0), 1.0)
