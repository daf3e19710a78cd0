"""One sector in a list: its state in words, its host, its time left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action
from apps.dashboard.labels import STAGES, WAITING, StateLabel
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.countdown import Countdown, expires_in, has_expired, sector_countdown
from apps.sectors.states import JobState
from poolsite.wire.pipeline import Owner, SectorState, Stage

if TYPE_CHECKING:
    from apps.sectors.models import Sector

PROVING: Final = StateLabel("ok", _("proving"))
NOT_PROVEN: Final = StateLabel("run", _("awaiting first proof"), "wait")
FAULTY: Final = StateLabel("bad", _("faulty"))
WITHOUT_FILES: Final = StateLabel("bad", _("files lost"))
EXPIRED: Final = StateLabel("idle", _("expired"))
RECOVERING: Final = StateLabel("warn", _("recovering"), "retry")


@dataclass(frozen=True, slots=True)
class SectorRow:
    """One sector in a list."""

    row: Sector
    label: StateLabel
    progress: float | None
    """Share of the stage that is done; None where no host computes."""
    countdown: Countdown
    host: str
    expires: str
    """Time that is left of its life."""
    actions: tuple[Action, ...]
    may_pick: bool = False
    """Whether the viewer picks rows of the list."""

    @property
    def can_pick(self) -> bool:
        """Return whether something can be done for this one together with others."""
        return self.may_pick and str(self.row.state) == SectorState.PROVING

    @property
    def name(self) -> str:
        return f"{self.row.miner.address or self.row.miner} / {self.row.number}"

    @property
    def say(self) -> str:
        """Return why it stands still; empty for one that goes on."""
        return shown_text(self.row.error) if self.row.paused_at is not None else ""

    @property
    def attempt(self) -> int:
        return int(self.row.attempts) + 1


def sector_label(sector: Sector, data: PageData) -> StateLabel:
    """Return in words where a sector is."""
    if sector.paused_at is not None and sector.paused_by:
        return StateLabel("warn", gettext("paused in {stages}").format(stages=STAGES[sector.stage]), "pause")
    if sector.paused_at is not None:
        return StateLabel("bad", gettext("failed in {stages}").format(stages=STAGES[sector.stage]))
    if sector.stage == Stage.PROVING:
        if has_expired(sector, data):
            return EXPIRED
        if sector.is_without_files:
            return WITHOUT_FILES
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
    return StateLabel("idle", gettext("waiting for {stage}").format(stage=stage))


def place_text(sector: Sector) -> str:
    """Return where the miner proves it: `5 / 0`, deadline and partition."""
    return formatting.NOTHING if sector.deadline is None else f"{sector.deadline} / {sector.partition}"


def sector_actions(sector: Sector) -> tuple[Action, ...]:
    """Return what a person can do about a sector now."""
    if sector.paused_at is None:
        return ()
    return (
        Action(key="retry", label=_("Retry"), href=reverse("sector-retry", args=[sector.uuid]), icon="retry"),
    )


def sector_row(sector: Sector, *, data: PageData) -> SectorRow:
    """Lay out one sector of `sectors_visible`."""
    is_computed = sector.step.owner is Owner.WORKER and sector.paused_at is None
    worker = sector.job.worker or sector.job.sticky_worker
    return SectorRow(
        row=sector,
        label=sector_label(sector, data),
        progress=sector.progress if is_computed else None,
        countdown=sector_countdown(sector, data),
        host=worker.name if worker is not None else formatting.NOTHING,
        expires=expires_in(sector, data),
        actions=sector_actions(sector) if data.viewer.may("write") else (),
        may_pick=data.viewer.may("sign"),
    )


def list_context(rows: Iterable[Sector], data: PageData) -> list[SectorRow]:
    """Lay out one page of the list."""
    return [sector_row(row, data=data) for row in rows]
