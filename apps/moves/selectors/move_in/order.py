"""The way into the pool: what lotus-miner, or another program, hands over, and in what order.

Source: docs/operations/moving.md
"""

from __future__ import annotations

from collections.abc import Iterator

from apps.moves.rules.steps import Step
from apps.moves.selectors.move_in.blocks import blocks_steps
from apps.moves.selectors.move_in.height import height_steps
from apps.moves.selectors.move_in.sealing import sealing_steps
from apps.moves.selectors.move_in.sectors import sectors_steps
from apps.moves.selectors.move_in.signing import signing_steps
from apps.moves.selectors.readings import MoveReadings


def steps_in(read: MoveReadings) -> Iterator[Step]:
    """Yield the steps in their order.  Raises NodeRefused, NodeUnavailable."""
    ready = read.readiness()
    files = read.files(ready)
    yield from signing_steps(read, ready)
    yield from sectors_steps(read, ready, files)
    yield from sealing_steps(read)
    yield from height_steps(read)
    yield from blocks_steps(read)
