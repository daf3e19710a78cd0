"""The way back: what lotus-miner needs to go on, and in what order the pool lets go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.moves.selectors.move_out.height import height_steps
from apps.moves.selectors.move_out.old_program import old_program_steps
from apps.moves.selectors.move_out.sealing import sealing_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apps.moves.rules.steps import Step
    from apps.moves.selectors.readings import MoveReadings


def steps_out(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps in their order.  Raises NodeRefused, NodeUnavailable."""
    yield from sealing_steps(read)
    yield from height_steps(read)
    yield from old_program_steps(read)
