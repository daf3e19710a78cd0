"""The acts of a move: one whose earlier steps are unfinished is refused, unless forced.

Pages, REST and commands all call this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.core import clock
from apps.core.languages import clauses_text, colon_text
from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.moves.errors import MoveRefused
from apps.moves.rules.steps import Direction
from apps.moves.selectors.moves import move_of
from apps.moves.services.heights import head_require, height_check, miner_move_in, miner_move_out
from apps.sectors.services.reservations import sectorid_export, sectorid_import
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

HEIGHT: Final = "height"
NUMBERS: Final = "numbers"
"""Keys of the steps that `move_step_do` does."""


def move_step_do(
    miner: Miner,
    *,
    direction: Direction,
    step: str,
    number: int,
    by: Principal,
    allocated: Sequence[range] = (),
    is_forced: bool = False,
) -> Miner:
    """Set the height of a move, or take over or hand back sector numbers.

    `number` is that height, or for a move in the highest sector number that was assigned.  Refused while
    earlier steps are unfinished; if forced, it is done, and the audit log names them.
    Raises NotAllowed, BadValue, MoveRefused, NetworkUnknown, NodeRefused, NodeUnavailable.
    """
    head = head_require(by)
    unfinished = _unfinished(miner, direction=direction, step=step, by=by, is_forced=is_forced)
    if unfinished and not is_forced:
        if step == HEIGHT:
            height_check(number, head=head, direction=direction)
        raise MoveRefused(
            gettext("these steps come first: {steps}").format(
                steps=clauses_text(colon_text(title, figure) for title, figure in unfinished.values())
            ),
            field=step if step == HEIGHT else "sectorid",
        )
    with transaction.atomic():
        if unfinished:
            after = {"step": step, "unfinished": ", ".join(unfinished)}
            audit_record(
                principal=by, action="miner.move-force", target=miner.address, before=None, after=after
            )
        if direction == Direction.IN and step == HEIGHT:
            return miner_move_in(miner, height=number, by=by)
        if direction == Direction.IN:
            sectorid_import(miner, number=number, principal=by)
        elif step == HEIGHT:
            return miner_move_out(miner, height=number, by=by, allocated=allocated)
        else:
            sectorid_export(miner, principal=by, now=clock.now(), allocated=allocated)
    return miner


def _unfinished(
    miner: Miner, *, direction: Direction, step: str, by: Principal, is_forced: bool
) -> dict[str, tuple[str, str]]:
    """Return title and figure of the unfinished steps before `step`, by their keys.

    If no node answers they are not known: the error is raised, unless the act is forced.
    """
    try:
        move = move_of(miner, by, direction=direction)
    except (NodeRefused, NodeUnavailable):
        if not is_forced:
            raise
        return {"unknown": ("", "")}
    return {one.key: (one.title, one.figure) for one in move.unfinished_before(step)}
