"""How fast a host is, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.labels import STAGES
from apps.dashboard.pages.hosts.job_text import kind_text

if TYPE_CHECKING:
    from apps.sectors.selectors.host_speed import HostSpeed

STAGES_NAMED: Final = 2
"""Stages of a host's pace that a list has room for."""


def pace_text(pace: HostSpeed | None) -> str:
    """`PC1 3:39:58, C2 31:10`: the longest stages of a sector, or the proof."""
    if pace is None or not pace.stages:
        return formatting.NOTHING
    return list_text(
        f"{STAGES.get(stage.stage) or kind_text(stage.stage)} {formatting.duration(stage.ms / 1000)}"
        for stage in pace.stages[:STAGES_NAMED]
    )


def record_text(pace: HostSpeed | None) -> str:
    """`median of 12 runs, 1 failed`; of a slow host, how far it lags behind."""
    if pace is None or not pace.stages:
        return ""
    slow = pace.slow
    if slow is not None and slow.ratio is not None:
        stage = STAGES.get(slow.stage) or kind_text(slow.stage)
        return gettext("{stage} takes {ratio:.1f} times as long as on other hosts").format(
            stage=stage, ratio=slow.ratio
        )
    failed = (
        gettext(", {failures} failed").format(failures=formatting.whole(pace.failures))
        if pace.failures
        else ""
    )
    return gettext("median of {runs}{failed}").format(runs=plural(pace.stages[0].runs, "run"), failed=failed)
