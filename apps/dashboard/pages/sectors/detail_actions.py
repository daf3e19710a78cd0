"""What a person can do on a sector's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.dashboard.cards import Action
from apps.dashboard.labels import STAGES
from apps.dashboard.pages.sectors.change_rows import change_actions
from poolsite.wire.pipeline import FINAL_STATES, NEXT_STAGE, SectorState

if TYPE_CHECKING:
    from apps.sectors.models import Sector, SectorChange


def detail_actions(
    sector: Sector, change: SectorChange | None, *, is_over: bool = False
) -> tuple[Action, ...]:
    """Return what a person can do on the sector's own page; `is_over`: its life has ended."""
    if sector.state == SectorState.TERMINATED or is_over:
        page = f"{reverse('sectors-remove-files')}?id={sector.uuid}"
        remove = Action(
            "remove-files", _("Remove files…"), page, icon="close", kind="danger", opens_page=True
        )
        acts = () if sector.removal_asked_at is not None else (remove,)
        return (*acts, restore_action(sector)) if sector.state == SectorState.TERMINATED else acts
    if sector.state == SectorState.PROVING:
        return change_actions(sector, change)
    here = sector.uuid
    if sector.state == SectorState.ABORTED:
        return (restore_action(sector),)
    if sector.paused_at is None:
        can_pause = sector.state not in FINAL_STATES
        page = reverse("sector-pause", args=[here])
        pause = Action("pause", _("Pause"), page, icon="pause", level="write")
        return (pause, *_end_stage_actions(sector)) if can_pause else ()
    return (
        Action(
            "retry",
            _("Retry"),
            reverse("sector-retry", args=[here]),
            icon="retry",
            kind="primary",
            level="write",
        ),
        *(
            Action(
                f"back-{state}",
                gettext("Back to {stages}").format(stages=STAGES[NEXT_STAGE[state].stage]),
                reverse("sector-back", args=[here, state]),
                icon="left",
                level="write",
            )
            for state in sector.step.resume_at
        ),
        Action("state-set", _("Set state…"), reverse("sector-state-set", args=[here]), opens_page=True),
        Action(
            "abort",
            _("Abort…"),
            reverse("sector-abort", args=[here]),
            icon="close",
            kind="danger",
            opens_page=True,
        ),
    )


def _end_stage_actions(sector: Sector) -> tuple[Action, ...]:
    """Return what ends a stage that a host computes, which may hang; nothing while no host does."""
    if sector.job.worker_id is None:
        return ()
    page = reverse("sector-end-stage", args=[sector.uuid])
    label = _("Pause and end the stage…")
    return (Action("end-stage", label, page, icon="close", level="write", opens_page=True),)


def restore_action(sector: Sector) -> Action:
    """Return what brings a sector back that was given up."""
    page = reverse("sector-restore", args=[sector.uuid])
    return Action("restore", _("Restore…"), page, opens_page=True, level="write")
