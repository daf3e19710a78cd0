"""A miner's move as it stands: one computation for its page, REST and command."""

from __future__ import annotations

from apps.core.formatting import whole
from apps.core.marked_texts import gettext
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.moves.rules.steps import Direction, Move, steps_ordered
from apps.moves.selectors.move_in.order import steps_in
from apps.moves.selectors.move_out.order import steps_out
from apps.moves.selectors.readings import MoveReadings
from apps.users.rules.principals import Principal


def direction_of(miner: Miner) -> Direction:
    """Return which way a miner goes now: out once a height for that is set, in while it was imported."""
    if miner.works_until:
        return Direction.OUT
    return Direction.IN if miner.create_message_id is None else Direction.OUT


def move_of(miner: Miner, viewer: Principal, *, direction: Direction | None = None) -> Move:
    """Return the steps of a miner's move with their states.

    Raises MinerNotReady, NetworkUnknown, NodeRefused, NodeUnavailable.
    """
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(field="miner")
    direction, read = direction or direction_of(miner), MoveReadings(miner, viewer)
    return Move(
        miner=miner.address,
        direction=direction,
        height=read.height,
        works_from=miner.works_from,
        works_until=miner.works_until,
        is_pending=is_pending(miner, height=read.height),
        steps=steps_ordered(tuple((steps_in if direction == Direction.IN else steps_out)(read))),
        windows=tuple(read.windows()),
    )


def is_pending(miner: Miner, *, height: int) -> bool:
    """Return whether the height that was set last is still to come, so that it can be cancelled."""
    ahead = miner.works_from if miner.works_until is None else miner.works_until
    return ahead is not None and height < ahead


def height_refusal(miner: Miner, *, head: int, direction: Direction) -> str:
    """Return why no height can be set for a way now, whichever it is; empty if one can."""
    until = miner.works_until
    if until is not None and until > head:
        return gettext("it moves out at height {height}: cancel that first").format(height=whole(until))
    if direction == Direction.IN and until is None:
        return gettext("the pool proves this miner, or will from the height set: cancel that first")
    if direction == Direction.OUT and until is not None:
        return gettext("another program already proves this miner")
    if direction == Direction.OUT and is_pending(miner, height=head):
        return gettext("it moves in at height {height}: cancel that instead").format(
            height=whole(miner.works_from)
        )
    return ""
