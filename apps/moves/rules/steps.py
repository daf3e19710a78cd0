"""The steps of a move: what each needs, how it stands, what is lost by doing it at the wrong time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from apps.checks.findings.results import Link
from apps.core.marked_texts import gettext


class StepState(StrEnum):
    """How a step stands."""

    DONE = "done"
    TO_DO = "to_do"
    BLOCKED = "blocked"
    """Other steps come first."""


class Direction(StrEnum):
    """Where a miner goes."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a move."""

    key: str
    title: str
    is_done: bool
    figure: str
    """What the state rests on."""
    risk: str
    """What is lost where it is done at the wrong time, or not at all."""
    needs: tuple[str, ...] = ()
    """Keys of the steps that come first."""
    command: str = ""
    """What is run on a machine; lines of a shell."""
    link: Link | None = None
    """The page where it is done."""
    button: str = ""
    """Of that link."""
    state: StepState = StepState.TO_DO
    first: tuple[str, ...] = ()
    """Titles of the steps that block it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveWindow:
    """A window with sectors that is open or comes within a proving period, and who proves it."""

    deadline: int
    open: int
    close: int
    sectors: int
    is_ours: bool
    is_proven: bool | None
    """Whether the chain has proofs of all its partitions; None: it is not open."""


HEIGHT_DISTANCE: Final = {Direction.IN: 1, Direction.OUT: 3}
"""Epochs from the head to the first height that may be set: on the way out, the block of the next epoch, and
of one after an epoch without blocks, may be signed here while the height is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A miner's way into the pool or out of it, as it stands at a head."""

    miner: str
    direction: Direction
    height: int
    """Of the head."""
    works_from: int | None
    works_until: int | None
    is_pending: bool
    """A height is set and not reached: it can be cancelled."""
    steps: tuple[Step, ...]
    windows: tuple[MoveWindow, ...]

    @property
    def first_height(self) -> int:
        """The least height that may be set now."""
        return self.height + HEIGHT_DISTANCE[self.direction]

    @property
    def left(self) -> tuple[Step, ...]:
        """The steps that are not done."""
        return tuple(step for step in self.steps if step.state != StepState.DONE)

    def unfinished_before(self, key: str) -> tuple[Step, ...]:
        """Return the unfinished steps that block a step; none if it is done, or can be done now."""
        wanted = next((step for step in self.steps if step.key == key), None)
        if wanted is None or wanted.state != StepState.BLOCKED:
            return ()
        return tuple(step for step in self.left if step.key in wanted.needs)


def steps_ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps with their states: one that another comes before is blocked while that is not done."""
    missing = {step.key: step.title for step in steps if not step.is_done}
    found = []
    for step in steps:
        first = tuple(missing[key] for key in step.needs if key in missing)
        state = StepState.DONE if step.is_done else StepState.BLOCKED if first else StepState.TO_DO
        found.append(replace(step, state=state, first=first if state == StepState.BLOCKED else ()))
    return tuple(found)


def first_text(step: Step) -> str:
    """Return what comes before a blocked step."""
    return gettext("first: {steps}").format(steps=", ".join(step.first)) if step.first else ""
