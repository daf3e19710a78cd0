"""A sector as the pages show it: one line in a list, or the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from apps.dashboard import numbers
from apps.dashboard.lines.acts import Act
from apps.dashboard.words import STAGES, WAITING, Word
from apps.sectors.selectors import sector_wait
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import Owner, Stage

if TYPE_CHECKING:
    from apps.chain.chain_status import EpochClock
    from apps.dashboard.regions.scene import Scene
    from apps.proving.models import Deadline
    from apps.sectors.models import Sector

PROVING: Final = Word("ok", "proving")
NOT_PROVEN: Final = Word("run", "waits for its first proof", "wait")
FAULTY: Final = Word("bad", "faulty")
RECOVERING: Final = Word("warn", "recovering", "retry")


@dataclass(frozen=True, slots=True)
class Countdown:
    """What a sector waits for, with the moment at which it goes on where that is known."""

    say: str
    until: int | None = None
    """Seconds since 1970."""
    left: str = ""
    tone: str = "idle"


@dataclass(frozen=True, slots=True)
class SectorLine:
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
    acts: tuple[Act, ...]


def sector_word(sector: Sector, scene: Scene) -> Word:
    """Say in words where a sector is."""
    if sector.paused_at is not None:
        return Word("bad", f"failed in {STAGES[sector.stage]}")
    if sector.stage == Stage.PROVING:
        if sector.active:
            return PROVING
        is_recovering = scene.faults.get((sector.miner_id, sector.number))
        if is_recovering is None:
            return NOT_PROVEN
        return RECOVERING if is_recovering else FAULTY
    if sector.stage in WAITING:
        return WAITING[sector.stage]
    stage = STAGES[sector.stage]
    if sector.job.state == JobState.LEASED:
        return Word("run", stage)
    return Word("idle", f"waiting for {stage}")


def sector_countdown(sector: Sector, scene: Scene) -> Countdown:
    """Say what comes next for a sector, and when."""
    clock, network = scene.clock, scene.network
    if clock is None or network is None:
        return Countdown("")
    if (
        sector.paused_at is None
        and sector.stage in (Stage.PROVING, Stage.FINALIZE)
        and sector.deadline is not None
    ):
        deadline = scene.deadlines.get((sector.miner_id, sector.deadline))
        return deadline_countdown(deadline, clock) if deadline is not None else Countdown("")
    wait = sector_wait(
        sector,
        height=clock.epoch,
        challenge_delay=network.pre_commit_challenge_delay,
        seed_confidence=network.confidences.seed,
        now=scene.at,
    )
    if wait is None:
        return Countdown("")
    if is_without_host(sector, scene):
        tenant = sector.miner.tenant.name
        return Countdown(f"waits for a sealing host of {tenant}: none has registered", tone="warn")
    if wait.until_epoch is None or wait.until_epoch <= clock.epoch:
        usual = "warn" if wait.is_odd else "idle"
        return Countdown(f"waiting for {wait.what}", tone="bad" if sector.paused_at is not None else usual)
    until = clock.starts_at(wait.until_epoch)
    return Countdown(
        f"waiting for {wait.what}, at most", until, numbers.time_left(clock.left_s(wait.until_epoch))
    )


def is_without_host(sector: Sector, scene: Scene) -> bool:
    """Tell whether a sector waits for a host and its tenant has none: hosts seal for their own tenant."""
    if sector.step.owner is not Owner.WORKER or sector.paused_at is not None:
        return False
    own = (worker for worker in scene.workers if worker.tenant_id == sector.tenant_id)
    return sector.job.state == JobState.READY and not any(JobKind.SEAL in worker.kinds for worker in own)


def deadline_countdown(deadline: Deadline, clock: EpochClock) -> Countdown:
    """Count down to a deadline's opening, or to its close while it is open."""
    if deadline.open_epoch > clock.epoch:
        left = clock.left_s(deadline.open_epoch)
        return Countdown(
            f"deadline {deadline.index} opens in",
            clock.starts_at(deadline.open_epoch),
            numbers.time_left(left),
        )
    left = clock.left_s(deadline.close_epoch)
    if left <= 0:
        return Countdown(f"deadline {deadline.index} is closed until the next proving period")
    return Countdown(
        f"deadline {deadline.index} closes in",
        clock.starts_at(deadline.close_epoch),
        numbers.time_left(left),
    )


def place_words(sector: Sector) -> str:
    """Where the miner proves it: `5 / 0`, deadline and partition."""
    return numbers.NOTHING if sector.deadline is None else f"{sector.deadline} / {sector.partition}"


def expires_in(sector: Sector, scene: Scene) -> str:
    """How long a sealed sector still lives."""
    if sector.expiration is None or scene.clock is None or sector.stage != Stage.PROVING:
        return numbers.NOTHING
    left = scene.clock.left_s(sector.expiration)
    return numbers.time_left(left) if left > 0 else "expired"


def sector_acts(sector: Sector) -> tuple[Act, ...]:
    """What a person can do about a sector now."""
    if sector.paused_at is None:
        return ()
    return (Act(key="retry", label="Retry", href=reverse("sector-retry", args=[sector.uuid]), icon="retry"),)


def sector_line(sector: Sector, *, scene: Scene) -> SectorLine:
    """Lay out one sector of `sectors_visible`."""
    word = sector_word(sector, scene)
    count = sector_countdown(sector, scene)
    progress = sector.progress if sector.step.owner is Owner.WORKER and sector.paused_at is None else None
    worker = sector.job.worker or sector.job.sticky_worker
    return SectorLine(
        key=str(sector.uuid),
        name=f"{sector.miner.address or sector.miner} / {sector.number}",
        number=sector.number,
        href=reverse("sector", args=[sector.uuid]),
        state=sector.state,
        tone=word.tone,
        word=word.word,
        icon=word.sign,
        pct=None if progress is None else round(100 * progress),
        pct_text="" if progress is None else numbers.percent(progress, 1),
        bar_tone="run",
        say=sector.error if sector.paused_at is not None else "",
        clock=count.say,
        clock_until=count.until,
        clock_left=count.left,
        clock_tone=count.tone,
        host=worker.name if worker is not None else numbers.NOTHING,
        attempt=sector.attempts + 1,
        deadline=place_words(sector),
        expires=expires_in(sector, scene),
        made=numbers.moment(sector.created_at),
        acts=sector_acts(sector) if scene.viewer.may("sign") else (),
    )
