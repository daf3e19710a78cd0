"""Each miner's block production: its rounds as a strip, its luck, why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse
from django.utils.translation import gettext

from apps.blocks.selectors.luck import Luck, lucks_shared
from apps.blocks.selectors.mining_miners import miners_on
from apps.blocks.selectors.mining_status import MiningStatus, mining_status_of
from apps.blocks.selectors.rounds import LatestRound, rounds_latest
from apps.blocks.states import RoundState
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.reasons import shown_text
from apps.dashboard.charts import Strip, StripEntry, strip
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.blocks.states import STATES

if TYPE_CHECKING:
    from apps.miners.models import Miner


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


STRIP_EPOCHS: Final = 120
STRIPS_MAX: Final = 12
"""Miners with a strip on the page, those with most power."""
LUCK_SHOWN: Final = 30
"""Days."""


@dataclass(frozen=True, slots=True)
class MinerMining:
    """Whether blocks are made for a miner, why it takes no part in the election, and the acts for that."""

    key: str
    name: str
    href: str
    why_not: str
    """Why its rounds are not drawn, in words."""
    is_on: bool
    may_set: bool
    """Whether *Start* or *Stop* is offered; no *Start* while another program makes its blocks."""
    may_warm_up: bool
    set_href: str
    warm_up_href: str


@dataclass(frozen=True, slots=True)
class MinerBlocks:
    """One miner's block production."""

    mining: MinerMining
    strip: Strip
    luck: LuckBand
    to_win: str
    """Mean time to the next win."""


@dataclass(frozen=True, slots=True)
class OtherMiners:
    """Miners without a strip: those without power, and those with less of it than the ones that have one."""

    rows: tuple[MinerMining, ...]
    is_open: bool
    """Whether the list is unfolded: one that moved in waits to be started, or no miner has a strip."""

    @property
    def title(self) -> str:
        return plural(len(self.rows), "other miner")


@dataclass(frozen=True, slots=True)
class RoundTexts:
    """Words for thousands of rounds alike, looked up once."""

    say: str
    unrecorded: str
    words: dict[str, str]
    """By the round's state."""

    @classmethod
    def now(cls) -> RoundTexts:
        """Return the texts in the page's language."""
        return cls(
            say=gettext("epoch {epoch}: {label}"),
            unrecorded=gettext("epoch {epoch}: no record"),
            words={state: str(label.word) for state, label in STATES.items()},
        )

    def entry(self, epoch: int, row: LatestRound | None) -> StripEntry:
        """Lay out one epoch on the strip."""
        if row is None:
            return StripEntry("none", 0.0, self.unrecorded.format(epoch=epoch))
        text = self.say.format(epoch=epoch, label=self.words[row.state])
        if row.reason:
            text += f": {shown_text(row.reason)}"
        tone = "none" if row.state == RoundState.NOT_ELIGIBLE else STATES[row.state].tone
        return StripEntry(tone, 1.0, text)


def rounds_strip(rows: Sequence[LatestRound], *, last: int, texts: RoundTexts) -> Strip:
    """Lay out the latest epochs of a miner; one without a row is told apart from one without a win."""
    found = {row.epoch: row for row in rows}
    epochs = range(max(last - STRIP_EPOCHS + 1, 0), last + 1)
    entries = [texts.entry(epoch, found.get(epoch)) for epoch in epochs]
    won = sum(row.win_count > 0 for row in rows)
    return strip(
        entries,
        now=1.0,
        label=gettext("the last {entries} epochs: {wins}").format(
            entries=len(entries), wins=plural(won, "win")
        ),
    )


def miner_mining(miner: Miner, status: MiningStatus, *, data: PageData) -> MinerMining:
    """Lay out a miner's part in the election."""
    may = data.viewer.may("write")
    is_ours = data.head is None or miner.works_at(data.head.height + 1)
    return MinerMining(
        key=str(miner.uuid),
        name=miner.name or miner.address,
        href=reverse("miner", args=[miner.address]),
        why_not=status.reason,
        is_on=status.is_on,
        may_set=may and (status.is_on or is_ours),
        may_warm_up=may,
        set_href=reverse("blocks-mining", args=[miner.uuid]),
        warm_up_href=reverse("blocks-warm-up", args=[miner.uuid]),
    )


def miners_of_rounds(data: PageData) -> dict[str, Any]:
    """Lay out the miners with most power, with a strip each, and the others."""
    miners = [miner for miner in data.miners if miner.actor_id is not None]
    drawn = [miner for miner in miners if miner.qa_power][:STRIPS_MAX]
    rows = rounds_latest(drawn, epochs=STRIP_EPOCHS)
    last = max((row.epoch for of_miner in rows.values() for row in of_miner), default=0)
    lucks = lucks_shared(drawn, now=data.at)
    is_on = miners_on(miners)

    def status_of(miner: Miner) -> MiningStatus:
        return mining_status_of(
            miner,
            is_on=miner.pk in is_on,
            latest=next(iter(reversed(rows.get(miner.pk, ()))), None),
            is_unbegun=miner in data.miners_without_rounds,
            reward=data.reward,
            epoch_s=30.0 if data.network is None else data.network.epoch_s,
            height=data.head.height if data.head else None,
        )

    shown, texts = [], RoundTexts.now()
    for miner in drawn:
        status = status_of(miner)
        shown.append(
            MinerBlocks(
                mining=miner_mining(miner, status, data=data),
                strip=rounds_strip(rows.get(miner.pk, ()), last=last, texts=texts),
                luck=luck_band(lucks[miner.pk][LUCK_SHOWN]),
                to_win=formatting.time_left(status.to_win_s),
            )
        )
    left = [miner for miner in miners if miner not in drawn]
    others = tuple(miner_mining(miner, status_of(miner), data=data) for miner in left)
    waits = any(
        miner.works_from is not None and not row.is_on and row.may_set
        for miner, row in zip(left, others, strict=True)
    )
    return {"miners": shown, "others": OtherMiners(others, is_open=waits or not shown)}
