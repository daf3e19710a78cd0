"""A miner as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.labels import StateLabel
from apps.dashboard.rows.deadlines import NextDeadline, deadline_next, deadline_strip
from apps.miners.states import MinerState
from apps.proving.states import Forecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.dashboard.charts import Strip
    from apps.dashboard.page_data import PageData
    from apps.miners.models import Miner
    from apps.proving.models import Deadline


@dataclass(frozen=True, slots=True)
class MinerRow:
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


def miner_label(miner: Miner, deadlines: Sequence[Deadline]) -> StateLabel:
    """Return in words how a miner stands; the worst of its deadlines decides."""
    if miner.state == MinerState.CREATING:
        return StateLabel("run", "being created", "wait")
    if miner.state == MinerState.FAILED:
        return StateLabel("bad", "not created")
    if miner.faulty_sectors:
        return StateLabel("bad", f"{miner.faulty_sectors} faulty")
    if any(deadline.forecast == Forecast.MISSED and deadline.live for deadline in deadlines):
        return StateLabel("bad", "deadline missed")
    if any(deadline.forecast == Forecast.AT_RISK for deadline in deadlines):
        return StateLabel("bad", "deadline at risk")
    if miner.active_sectors:
        return StateLabel("ok", "proving")
    return StateLabel("idle", "no active sector")


def miner_row(miner: Miner, *, data: PageData, in_work: int) -> MinerRow:
    """Lay out one miner of `miners_visible`."""
    deadlines, network = data.deadlines_of(miner), data.network
    word = miner_label(miner, deadlines)
    power, power_unit = formatting.size(miner.qa_power)
    name = miner.address or formatting.NOTHING
    return MinerRow(
        key=str(miner.pk),
        href=reverse("miner", args=[miner.address or miner.uuid]),
        name=f"{miner.name} {miner.address}".strip() or "new miner",
        tenant=miner.tenant.name,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        power=power,
        power_unit=power_unit,
        raw=" ".join(formatting.size(miner.raw_power)),
        strip=None
        if network is None
        else deadline_strip(
            deadlines,
            count=network.proving.deadlines,
            clock=data.clock,
            posts=data.posts_of(miner),
            name=name,
        ),
        active=formatting.whole(miner.active_sectors),
        in_work=formatting.whole(in_work),
        faults=miner.faulty_sectors,
        available=formatting.fil(miner.available),
        next=deadline_next(deadlines, data.clock),
    )
