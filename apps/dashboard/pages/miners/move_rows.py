"""The steps and windows of a move as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from apps.core.formatting import time_left, whole
from apps.dashboard.labels import StateLabel
from apps.moves.rules.steps import Move, MoveWindow, Step, StepState, first_text

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

STATES: Final = {
    StepState.DONE: StateLabel("ok", _("done")),
    StepState.TO_DO: StateLabel("warn", _("to do")),
    StepState.BLOCKED: StateLabel("idle", _("blocked")),
}
WINDOWS_SHOWN: Final = 6
"""Windows that a review names on each side of the height, those nearest to it."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step as the page shows it."""

    key: str
    title: str
    label: StateLabel
    figure: str
    first: str
    risk: str
    command: str
    href: str
    button: str


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window with sectors."""

    deadline: str
    opens: str
    closes: str
    left: str
    sectors: str
    who: StrOrPromise
    label: StateLabel


def step_row(step: Step) -> StepRow:
    """Lay out one step."""
    return StepRow(
        key=step.key,
        title=step.title,
        label=STATES[step.state],
        figure=step.figure,
        first=first_text(step),
        risk="" if step.state == StepState.DONE else step.risk,
        command="" if step.state == StepState.DONE else step.command,
        href="" if step.link is None else step.link.address,
        button=step.button,
    )


def window_row(window: MoveWindow, move: Move, *, epoch_s: float) -> WindowRow:
    """Lay out one window."""
    if window.is_proven is None:
        label = StateLabel("idle", _("upcoming"))
    else:
        label = StateLabel("ok", _("proven")) if window.is_proven else StateLabel("run", _("open"))
    until = window.open if window.is_proven is None else window.close
    return WindowRow(
        deadline=str(window.deadline),
        opens=whole(window.open),
        closes=whole(window.close),
        left=time_left((until - move.height) * epoch_s),
        sectors=whole(window.sectors),
        who=_("the pool") if window.is_ours else _("the other program"),
        label=label,
    )
