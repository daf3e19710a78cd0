"""The stages' figures and the sectors in progress, as rows of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.dashboard.pages.sealing.lanes import sector_href
from apps.dashboard.pages.sealing.verdict import stage_name

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.sectors.selectors.bottleneck import StageFigures
    from apps.sectors.selectors.sealing_report import SealingReport
    from apps.sectors.selectors.sector_etas import SectorEta

SECTORS_SHOWN: Final = 50


def stage_row(row: StageFigures, report: SealingReport) -> dict[str, Any]:
    """Lay out one stage's figures."""
    limits = report.bottleneck
    is_limit = limits.kind in ("growing", "full", "missing") and limits.figures is row
    return {
        "name": stage_name(row.stage),
        "is_limit": is_limit,
        "slots": f"{row.running} / {row.slots}",
        "waiting": row.waiting,
        "before": row.waiting_before,
        "grows": row.waiting > row.waiting_before,
        "oldest": ""
        if row.oldest is None
        else formatting.time_left((report.at - row.oldest).total_seconds()),
        "use": row.use,
        "tone": "warn" if is_limit else "run",
        "runs": row.runs,
        "failed": row.failed,
        "p50": formatting.duration(row.p50_s),
        "p90": formatting.duration(row.p90_s),
        "history": row.history,
    }


def sector_word(one: SectorEta) -> StrOrPromise:
    """Return what holds a sector up."""
    if one.sector.is_paused:
        return _("paused")
    if one.waits_for_host:
        return _("host offline") if one.sector.is_host_away else _("host paused")
    return _("late") if one.is_late else ""


def sector_rows(report: SealingReport) -> list[dict[str, Any]]:
    """Lay out the sectors in progress."""
    return [
        {
            "name": f"{one.sector.miner} / {one.sector.number}",
            "href": sector_href(one.sector.uuid),
            "stage": stage_name(one.stage),
            "host": one.sector.host or formatting.NOTHING,
            "here": formatting.time_left((report.at - one.sector.since).total_seconds()),
            "left": formatting.NOTHING
            if one.eta is None
            else formatting.time_left((one.eta - report.at).total_seconds()),
            "eta": one.eta,
            "tone": "bad" if one.sector.is_paused else "warn" if one.is_late or one.waits_for_host else "",
            "word": sector_word(one),
        }
        for one in report.sectors[:SECTORS_SHOWN]
    ]
