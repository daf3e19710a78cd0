"""What a sector's page says and offers about its snap-up or rebuild."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.languages import colon_text, sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action
from apps.dashboard.labels import RUNS, STAGES
from apps.sectors.rules.params import has_data
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    from apps.sectors.models import PipelineRun, Sector


def run_text(run: PipelineRun | None) -> str:
    """Return the sentence about a run that is under way; empty if none is."""
    if run is None:
        return ""
    stage = STAGES[run.step.stage]
    if run.paused_at is not None:
        return gettext("{runs} stopped at {stage}: {rstrip}.").format(
            runs=RUNS[run.kind], stage=stage, rstrip=shown_text(run.error).rstrip(".")
        )
    doing = gettext(run.step.status) if run.step.status else stage
    failed = (
        gettext(" Last failure: {rstrip}.").format(rstrip=shown_text(run.error).rstrip("."))
        if run.error
        else ""
    )
    return sentence_text(colon_text(RUNS[run.kind], doing)) + failed


def run_actions(sector: Sector, run: PipelineRun | None) -> tuple[Action, ...]:
    """Return what can be done about a proven sector."""
    if sector.state != SectorState.PROVING:
        return ()
    here = sector.uuid
    if run is None:
        rebuild = Action(
            "rebuild", _("Rebuild…"), reverse("sector-rebuild", args=[here]), icon="retry", opens_page=True
        )
        if not sector.active or has_data(sector) or sector.key_comm_r is not None:
            return (rebuild,)
        address = reverse("sector-snap-up", args=[here])
        return (Action("snap-up", _("Snap up…"), address, icon="plus", opens_page=True), rebuild)
    acts: list[Action] = []
    if run.paused_at is not None:
        address = reverse("sector-run-retry", args=[here, run.kind])
        acts.append(Action("run-retry", _("Retry"), address, icon="retry", kind="primary"))
    if "ABORT" in run.TRANSITIONS[run.state]:
        address = reverse("sector-run-abort", args=[here, run.kind])
        label = gettext("Abort {lower}…").format(lower=RUNS[run.kind].lower())
        acts.append(Action("run-abort", label, address, icon="close", kind="danger", opens_page=True))
    return tuple(acts)
