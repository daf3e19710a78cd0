"""A miner's deadlines: the strip of the running period, and one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.reasons import shown_text
from apps.dashboard.charts import Strip, StripEntry, strip
from apps.dashboard.labels import StateLabel
from apps.proving.states import Forecast, PostState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django_stubs_ext import StrOrPromise

    from apps.chain.selectors.status import EpochClock
    from apps.miners.models import Miner
    from apps.proving.models import Deadline, WindowPost
    from poolsite.filecoin.deadlines import ProvingParams

    Posts = Mapping[tuple[int, int], Sequence[WindowPost]]
    """A miner's proofs by deadline index and opening epoch."""


FORECASTS: Final[dict[str, StateLabel]] = {
    Forecast.NOTHING: StateLabel("idle", _("nothing to prove")),
    Forecast.LATER: StateLabel("idle", _("upcoming")),
    Forecast.ELSEWHERE: StateLabel("idle", _("proven elsewhere")),
    Forecast.WILL_LAND: StateLabel("run", _("will land")),
    Forecast.AT_RISK: StateLabel("bad", _("at risk")),
    Forecast.LANDED: StateLabel("ok", _("landed")),
    Forecast.MISSED: StateLabel("bad", _("missed")),
}
STRIP_TONES: Final[dict[str, str]] = {
    Forecast.NOTHING: "idle",
    Forecast.LATER: "none",
    Forecast.ELSEWHERE: "none",
    Forecast.WILL_LAND: "run",
    Forecast.AT_RISK: "warn",
    Forecast.LANDED: "ok",
    Forecast.MISSED: "bad",
}
NAMED_MAX: Final = 12
"""Deadlines that a strip's words name; a reader would not listen to more."""


@dataclass(frozen=True, slots=True)
class NextDeadline:
    """The deadline with sectors that opens or closes next."""

    index: int
    is_open: bool
    word: StrOrPromise
    """What the forecast says of it."""
    until: int
    """When it opens, or closes if it is open; seconds since 1970."""
    left: str
    epoch: int

    @property
    def say(self) -> str:
        """The words before the time that is left."""
        return gettext("deadline {index} {word} in").format(
            index=self.index, word=gettext("closes") if self.is_open else gettext("opens")
        )

    @property
    def foot(self) -> str:
        """The words below the time that is left."""
        if self.is_open:
            return gettext("until deadline {index} closes, {word}").format(index=self.index, word=self.word)
        return gettext("until deadline {index} opens").format(index=self.index)


def deadline_next(deadlines: Sequence[Deadline], clock: EpochClock | None) -> NextDeadline | None:
    """Find what comes first of deadlines with sectors: the close of an open one, else the next opening."""
    if clock is None:
        return None
    opened = [deadline for deadline in deadlines if deadline.open_epoch <= clock.epoch < deadline.close_epoch]
    ahead = [deadline for deadline in deadlines if deadline.open_epoch > clock.epoch]
    if not opened and not ahead:
        return None
    soon = min(opened or ahead, key=lambda deadline: deadline.open_epoch)
    epoch = soon.close_epoch if opened else soon.open_epoch
    return NextDeadline(
        index=soon.index,
        is_open=bool(opened),
        word=FORECASTS[soon.forecast].word,
        until=clock.starts_at(epoch),
        left=formatting.time_left(clock.left_s(epoch)),
        epoch=epoch,
    )


@dataclass(frozen=True, slots=True)
class DeadlineRow:
    """One deadline with sectors."""

    key: str
    index: int
    tone: str
    word: StrOrPromise
    icon: str
    opens: str
    opens_until: int | None
    opens_left: str
    closes: str
    closes_until: int | None
    closes_left: str
    sectors: int
    faults: int
    last: str
    """What became of the window before."""
    last_tone: str
    why: str


def deadline_row(
    deadline: Deadline, *, clock: EpochClock | None, before: Sequence[WindowPost]
) -> DeadlineRow:
    """Lay out one deadline; `before` are the proofs of its window one period ago."""
    word = FORECASTS[deadline.forecast]
    to_open = clock is not None and deadline.open_epoch > clock.epoch
    to_close = clock is not None and deadline.close_epoch > clock.epoch
    last_tone, last, _ = window_past(before)
    return DeadlineRow(
        key=f"{deadline.miner_id}-{deadline.index}",
        index=deadline.index,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        opens=gettext("open")
        if to_close
        else gettext("epoch {open_epoch}").format(open_epoch=formatting.whole(deadline.open_epoch)),
        opens_until=clock.starts_at(deadline.open_epoch) if clock is not None and to_open else None,
        opens_left=formatting.time_left(clock.left_s(deadline.open_epoch))
        if clock is not None and to_open
        else "",
        closes=gettext("closed")
        if clock is not None
        else gettext("epoch {close_epoch}").format(close_epoch=formatting.whole(deadline.close_epoch)),
        closes_until=clock.starts_at(deadline.close_epoch) if clock is not None and to_close else None,
        closes_left=formatting.time_left(clock.left_s(deadline.close_epoch))
        if clock is not None and to_close
        else "",
        sectors=deadline.live,
        faults=deadline.faulty,
        last=last,
        last_tone=last_tone,
        why=shown_text(deadline.reason),
    )


def window_past(posts: Sequence[WindowPost]) -> tuple[str, str, float]:
    """Return what became of a window that is over: tone, text, and the share of it that was left (0..1)."""
    if not posts:
        return "", "", 0.0
    if any(post.state != PostState.LANDED for post in posts):
        return "bad", gettext("missed"), 0.0
    spare = min(post.close_epoch - (post.landed_height or post.close_epoch) for post in posts)
    window = max(posts[0].close_epoch - posts[0].open_epoch, 1)
    return (
        "ok",
        gettext("landed, {epochs} to spare").format(epochs=plural(spare, "epoch")),
        min(max(spare / window, 0.0), 1.0),
    )


def unrecorded_text(miner: Miner, deadline: Deadline, *, open_epoch: int) -> str:
    """Return what is known of a window of which the pool has no proof."""
    if not deadline.live:
        return str(FORECASTS[Forecast.NOTHING].word)
    if deadline.open_epoch == open_epoch:
        return str(FORECASTS[deadline.forecast].word)
    return (
        gettext("no proof recorded")
        if miner.works_at(open_epoch)
        else str(FORECASTS[Forecast.ELSEWHERE].word)
    )


def deadline_strip(
    deadlines: Sequence[Deadline],
    *,
    start: int | None,
    proving: ProvingParams,
    clock: EpochClock | None,
    posts: Posts,
    miner: Miner,
) -> Strip | None:
    """Draw the deadlines of the running period, which begins at `start`, side by side; None before the first.

    Only those with sectors are given.  A row tells of the window that is open or comes next, so those whose
    row is in the next period are over in this one: their proofs tell what became of them.
    """
    if start is None:
        return None
    count, window = proving.deadlines, proving.window
    rows = {deadline.index: deadline for deadline in deadlines}
    opens = [start + index * window for index in range(count)]
    empty = gettext("deadline {index}: no sectors")  # looked up once: pages have thousands of them
    entries = [
        StripEntry("idle", 0.0, empty.format(index=index))
        if (row := rows.get(index)) is None
        else _entry(index, row, posts=posts.get((index, opens[index]), ()), miner=miner, opens=opens)
        for index in range(count)
    ]
    drawn = [entry for entry in entries if entry.tone != "idle"]
    label = gettext("{name}: {told} of {count} deadlines have sectors").format(
        name=miner.address or formatting.NOTHING,
        told=len(deadlines),
        count=count,
    ) + "".join(f"; {entry.title}" for entry in drawn[:NAMED_MAX])
    now = 0.0 if clock is None else min(max((clock.epoch - start) / (window * count), 0.0), 1.0)
    return strip(entries, now=now, label=label)


def _entry(
    index: int,
    deadline: Deadline,
    *,
    posts: Sequence[WindowPost],
    miner: Miner,
    opens: Sequence[int],
) -> StripEntry:
    if deadline.period_start > opens[0]:
        tone, text, share = window_past(posts)
        if not tone:
            tone = STRIP_TONES[Forecast.ELSEWHERE]
            text = unrecorded_text(miner, deadline, open_epoch=opens[index])
        title = gettext("deadline {index}: {words}").format(index=index, words=text)
        return StripEntry(tone=tone, share=share, title=title)
    _, _, share = window_past(posts)
    title = gettext("deadline {index}: {sectors}, {forecasts}").format(
        index=index, sectors=plural(deadline.live, "sector"), forecasts=FORECASTS[deadline.forecast].word
    )
    return StripEntry(tone=STRIP_TONES[deadline.forecast], share=share or 0.8, title=title)
