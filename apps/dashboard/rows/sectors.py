"""A sector as the pages show it: one line in a list, or the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.core import formatting
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import STAGES, WAITING, StateLabel
from apps.dashboard.rows.actions import Action
from apps.sectors.selectors import sector_wait
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Owner, Stage

if TYPE_CHECKING:
    from apps.chain.chain_status import EpochClock
    from apps.dashboard.page_data import PageData
    from apps.proving.models import Deadline
    from apps.sectors.models import Sector

PROVING: Final = StateLabel("ok", "proving")
NOT_PROVEN: Final = StateLabel("run", "waits for its first proof", "wait")
FAULTY: Final = StateLabel("bad", "faulty")
RECOVERING: Final = StateLabel("warn", "recovering", "retry")


@dataclass(frozen=True, slots=True)
class Countdown:
    """What a sector waits for, with the moment at which it goes on where that is known."""

    say: str
    until: int | None = None
    """Seconds since 1970."""
    left: str = ""
    tone: str = "idle"


@dataclass(frozen=True, slots=True)
class SectorRow:
    """One sector in a list."""

    key: str
    name: str
    number: int
    href: str
    state: str
    tone: str
    word: str
    icon: str
    pct: int | None
    pct_text: str
    bar_tone: str
    say: str
    clock: str
    clock_until: int | None
    clock_left: str
    clock_tone: str
    host: str
    attempt: int
    deadline: str
    expires: str
    """Time that is left of its life."""
    made: str
    actions: tuple[Action, ...]


def sector_label(sector: Sector, data: PageData) -> StateLabel:
    """Return in words where a sector is."""
    if sector.paused_at is not None:
        return StateLabel("bad", f"failed in {STAGES[sector.stage]}")
    if sector.stage == Stage.PROVING:
        if sector.active:
            return PROVING
        is_recovering = data.faults.get((sector.miner_id, sector.number))
        if is_recovering is None:
            return NOT_PROVEN
        return RECOVERING if is_recovering else FAULTY
    if sector.stage in WAITING:
        return WAITING[sector.stage]
    stage = STAGES[sector.stage]
    if sector.job.state == JobState.LEASED:
        return StateLabel("run", stage)
    return StateLabel("idle", f"waiting for {stage}")


def sector_countdown(sector: Sector, data: PageData) -> Countdown:
    """Return what comes next for a sector, and when."""
    clock, network = data.clock, data.network
    if clock is None or network is None:
        return Countdown("")
    if (
        sector.paused_at is None
        and sector.stage in (Stage.PROVING, Stage.FINALIZE)
        and sector.deadline is not None
    ):
        deadline = data.deadlines.get((sector.miner_id, sector.deadline))
        return deadline_countdown(deadline, clock) if deadline is not None else Countdown("")
    wait = sector_wait(
        sector,
        height=clock.epoch,
        challenge_delay=network.pre_commit_challenge_delay,
        seed_confidence=network.confidences.seed,
        now=data.at,
    )
    if wait is None:
        return Countdown("")
    if is_without_host(sector, data):
        tenant = sector.miner.tenant.name
        return Countdown(f"waits for a sealing host of {tenant}: none has registered", tone="warn")
    if wait.until_epoch is None or wait.until_epoch <= clock.epoch:
        usual = "warn" if wait.is_odd else "idle"
        return Countdown(f"waiting for {wait.what}", tone="bad" if sector.paused_at is not None else usual)
    until = clock.starts_at(wait.until_epoch)
    return Countdown(
        f"waiting for {wait.what}, at most", until, formatting.time_left(clock.left_s(wait.until_epoch))
    )


def is_without_host(sector: Sector, data: PageData) -> bool:
    """Return whether a sector waits for a host and its tenant has none: hosts seal for their own tenant."""
    if sector.step.owner is not Owner.WORKER or sector.paused_at is not None:
        return False
    own = (worker for worker in data.workers if worker.tenant_id == sector.tenant_id)
    return sector.job.state == JobState.READY and not any(JobKind.SEAL in worker.kinds for worker in own)


def deadline_countdown(deadline: Deadline, clock: EpochClock) -> Countdown:
    """Count down to a deadline's opening, or to its close while it is open."""
    if deadline.open_epoch > clock.epoch:
        left = clock.left_s(deadline.open_epoch)
        return Countdown(
            f"deadline {deadline.index} opens in",
            clock.starts_at(deadline.open_epoch),
            formatting.time_left(left),
        )
    left = clock.left_s(deadline.close_epoch)
    if left <= 0:
        return Countdown(f"deadline {deadline.index} is closed until the next proving period")
    return Countdown(
        f"deadline {deadline.index} closes in",
        clock.starts_at(deadline.close_epoch),
        formatting.time_left(left),
    )


def place_text(sector: Sector) -> str:
    """Where the miner proves it: `5 / 0`, deadline and partition."""
    return formatting.NOTHING if sector.deadline is None else f"{sector.deadline} / {sector.partition}"


def expires_in(sector: Sector, data: PageData) -> str:
    """How long a sealed sector still lives."""
    if sector.expiration is None or data.clock is None or sector.stage != Stage.PROVING:
        return formatting.NOTHING
    left = data.clock.left_s(sector.expiration)
    return formatting.time_left(left) if left > 0 else "expired"


def sector_actions(sector: Sector) -> tuple[Action, ...]:
    """What a person can do about a sector now."""
    if sector.paused_at is None:
        return ()
    return (
        Action(key="retry", label="Retry", href=reverse("sector-retry", args=[sector.uuid]), icon="retry"),
    )


def sector_row(sector: Sector, *, data: PageData) -> SectorRow:
    """Lay out one sector of `sectors_visible`."""
    word = sector_label(sector, data)
    count = sector_countdown(sector, data)
    progress = sector.progress if sector.step.owner is Owner.WORKER and sector.paused_at is None else None
    worker = sector.job.worker or sector.job.sticky_worker
    return SectorRow(
        key=str(sector.uuid),
        name=f"{sector.miner.address or sector.miner} / {sector.number}",
        number=sector.number,
        href=reverse("sector", args=[sector.uuid]),
        state=sector.state,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        pct=None if progress is None else round(100 * progress),
        pct_text="" if progress is None else formatting.percent(progress, 1),
        bar_tone="run",
        say=sector.error if sector.paused_at is not None else "",
        clock=count.say,
        clock_until=count.until,
        clock_left=count.left,
        clock_tone=count.tone,
        host=worker.name if worker is not None else formatting.NOTHING,
        attempt=sector.attempts + 1,
        deadline=place_text(sector),
        expires=expires_in(sector, data),
        made=time_html(sector.created_at),
        actions=sector_actions(sector) if data.viewer.may("sign") else (),
    )
