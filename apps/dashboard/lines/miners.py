"""A miner as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.deadlines import OUTLOOKS, deadline_strip
from apps.dashboard.words import Word
from apps.miners.states import MinerState
from apps.proving.states import Outlook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.dashboard.charts import Strip
    from apps.dashboard.frame import EpochClock
    from apps.miners.models import Miner
    from apps.proving.models import Deadline
    from poolsite.filecoin.policy import Network

WORST_FIRST: Final = (Outlook.MISSED, Outlook.AT_RISK, Outlook.WILL_LAND, Outlook.LANDED, Outlook.LATER)


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
    next: str
    until: int | None
    left: str


def miner_word(miner: Miner, deadlines: Sequence[Deadline]) -> Word:
    """Say in words how a miner stands; the worst of its deadlines decides."""
    if miner.state == MinerState.CREATING:
        return Word("run", "being created", "wait")
    if miner.state == MinerState.FAILED:
        return Word("bad", "not created")
    if miner.faulty_sectors:
        return Word("bad", f"{miner.faulty_sectors} faulty")
    if any(deadline.outlook == Outlook.MISSED and deadline.live for deadline in deadlines):
        return Word("bad", "deadline missed")
    if any(deadline.outlook == Outlook.AT_RISK for deadline in deadlines):
        return Word("bad", "deadline at risk")
    if miner.active_sectors:
        return Word("ok", "proving")
    return Word("idle", "no active sector")


def next_deadline(deadlines: Sequence[Deadline], clock: EpochClock | None) -> tuple[str, int | None, str]:
    """Say which deadline with sectors comes next, when it opens or closes, and the time left."""
    told = [deadline for deadline in deadlines if deadline.live]
    if clock is None or not told:
        return numbers.NOTHING, None, ""
    opened = [deadline for deadline in told if deadline.open_epoch <= clock.epoch < deadline.close_epoch]
    if opened:
        soon = min(opened, key=lambda deadline: deadline.close_epoch)
        left = numbers.time_left(clock.left_s(soon.close_epoch))
        word = OUTLOOKS[soon.outlook].word
        return f"{soon.index} is open, {word}, closes in", clock.starts_at(soon.close_epoch), left
    ahead = [deadline for deadline in told if deadline.open_epoch > clock.epoch]
    if not ahead:
        return numbers.NOTHING, None, ""
    soon = min(ahead, key=lambda deadline: deadline.open_epoch)
    return (
        f"{soon.index} opens in",
        clock.starts_at(soon.open_epoch),
        numbers.time_left(clock.left_s(soon.open_epoch)),
    )


def miner_line(
    miner: Miner,
    *,
    deadlines: Sequence[Deadline],
    in_work: int,
    clock: EpochClock | None,
    network: Network | None,
) -> MinerLine:
    """Lay out one miner of `miners_visible`."""
    word = miner_word(miner, deadlines)
    power, power_unit = numbers.size(miner.qa_power)
    say, until, left = next_deadline(deadlines, clock)
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
        strip=deadline_strip(deadlines, count=network.proving.deadlines, clock=clock, name=name)
        if network is not None
        else None,
        active=numbers.whole(miner.active_sectors),
        in_work=numbers.whole(in_work),
        faults=miner.faulty_sectors,
        available=numbers.fil(miner.available),
        next=say,
        until=until,
        left=left,
    )
