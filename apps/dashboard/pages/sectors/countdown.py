"""What a sector's time runs towards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from apps.chain.selectors.status import EpochClock
from apps.core import formatting
from apps.dashboard.labels import CHANGES
from apps.dashboard.page_data import PageData
from apps.sectors.selectors.sector_waits import sector_wait
from apps.sectors.states import JobState
from poolsite.wire.pipeline import Owner, SectorState, Stage

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.proving.models import Deadline
    from apps.sectors.models import Sector


@dataclass(frozen=True, slots=True)
class Countdown:
    """What a sector waits for, with the moment at which it goes on where that is known."""

    say: StrOrPromise
    until: int | None = None
    """Seconds since 1970."""
    left: str = ""
    tone: str = "idle"


def sector_countdown(sector: Sector, data: PageData) -> Countdown:
    """Return what comes next for a sector, and when."""
    clock, network = data.clock, data.network
    if clock is None or network is None:
        return Countdown("")
    if (change := data.changes.get(sector.pk)) is not None:
        return Countdown(CHANGES[change.state], tone="warn")
    if has_expired(sector, data):
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
        return Countdown(
            gettext("waiting for a sealing host of {tenant}: none has registered").format(tenant=tenant),
            tone="warn",
        )
    if wait.until_epoch is None or wait.until_epoch <= clock.epoch:
        usual = "warn" if wait.is_odd else "idle"
        return Countdown(
            gettext("waiting for {what}").format(what=wait.what),
            tone="bad" if sector.paused_at is not None else usual,
        )
    until = clock.starts_at(wait.until_epoch)
    return Countdown(
        gettext("waiting for {what}, at most").format(what=wait.what),
        until,
        formatting.time_left(clock.left_s(wait.until_epoch)),
    )


def is_without_host(sector: Sector, data: PageData) -> bool:
    """Return whether a sector waits for a host and its tenant has none: hosts seal for their own tenant."""
    if sector.step.owner is not Owner.WORKER or sector.paused_at is not None:
        return False
    return sector.job.state == JobState.READY and not has_sealing_host(sector.tenant_id, data)


def has_sealing_host(tenant_id: int, data: PageData) -> bool:
    """Return whether a host that seals has registered for a tenant."""
    return tenant_id in data.tenants_sealing


def deadline_countdown(deadline: Deadline, clock: EpochClock) -> Countdown:
    """Count down to a deadline's opening, or to its close while it is open."""
    if deadline.open_epoch > clock.epoch:
        left = clock.left_s(deadline.open_epoch)
        return Countdown(
            gettext("deadline {index} opens in").format(index=deadline.index),
            clock.starts_at(deadline.open_epoch),
            formatting.time_left(left),
        )
    left = clock.left_s(deadline.close_epoch)
    if left <= 0:
        return Countdown(
            gettext("deadline {index} is closed until the next proving period").format(index=deadline.index)
        )
    return Countdown(
        gettext("deadline {index} closes in").format(index=deadline.index),
        clock.starts_at(deadline.close_epoch),
        formatting.time_left(left),
    )


def has_expired(sector: Sector, data: PageData) -> bool:
    """Return whether a proven sector's life is over."""
    is_late = data.clock is not None and (sector.expiration or data.clock.epoch) < data.clock.epoch
    return sector.state == SectorState.PROVING and not sector.active and is_late


def expires_in(sector: Sector, data: PageData) -> str:
    """Return how long a sealed sector still lives."""
    if sector.expiration is None or data.clock is None or sector.stage != Stage.PROVING:
        return formatting.NOTHING
    left = data.clock.left_s(sector.expiration)
    return formatting.time_left(left) if left > 0 else gettext("expired")
