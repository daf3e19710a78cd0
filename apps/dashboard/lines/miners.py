"""A miner as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.deadlines import NextDeadline, deadline_next, deadline_strip
from apps.dashboard.words import Word
from apps.miners.states import MinerState
from apps.proving.states import Forecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.dashboard.charts import Strip
    from apps.dashboard.regions.scene import Scene
    from apps.miners.models import Miner
    from apps.proving.models import Deadline


@dataclass(frozen=True, slots=True)
class MinerLine:
    """One miner in a list, with the strip of its period."""

    key: str
    href: str
    name: str
    tenant: str
    tone: str
    word: str
    icon: str
    power: str
    power_unit: str
    raw: str
    strip: Strip | None
    active: str
    in_work: str
    faults: int
    available: str
    next: NextDeadline | None


def miner_word(miner: Miner, deadlines: Sequence[Deadline]) -> Word:
    """Say in words how a miner stands; the worst of its deadlines decides."""
    if miner.state == MinerState.CREATING:
        return Word("run", "being created", "wait")
    if miner.state == MinerState.FAILED:
        return Word("bad", "not created")
    if miner.faulty_sectors:
        return Word("bad", f"{miner.faulty_sectors} faulty")
    if any(deadline.forecast == Forecast.MISSED and deadline.live for deadline in deadlines):
        return Word("bad", "deadline missed")
    if any(deadline.forecast == Forecast.AT_RISK for deadline in deadlines):
        return Word("bad", "deadline at risk")
    if miner.active_sectors:
        return Word("ok", "proving")
    return Word("idle", "no active sector")


def miner_line(miner: Miner, *, scene: Scene, in_work: int) -> MinerLine:
    """Lay out one miner of `miners_visible`."""
    deadlines, network = scene.deadlines_of(miner), scene.network
    word = miner_word(miner, deadlines)
    power, power_unit = numbers.size(miner.qa_power)
    name = miner.address or numbers.NOTHING
    return MinerLine(
        key=str(miner.pk),
        href=reverse("miner", args=[miner.address or miner.uuid]),
        name=f"{miner.name} {miner.address}".strip() or "new miner",
        tenant=miner.tenant.name,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        power=power,
        power_unit=power_unit,
        raw=" ".join(numbers.size(miner.raw_power)),
        strip=None
        if network is None
        else deadline_strip(
            deadlines,
            count=network.proving.deadlines,
            clock=scene.clock,
            posts=scene.posts_of(miner),
            name=name,
        ),
        active=numbers.whole(miner.active_sectors),
        in_work=numbers.whole(in_work),
        faults=miner.faulty_sectors,
        available=numbers.fil(miner.available),
        next=deadline_next(deadlines, scene.clock),
    )
