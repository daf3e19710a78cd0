"""Moving rows along their state tables: the only code that writes a `state` column."""

from __future__ import annotations

from typing import Any

from apps.core.errors import LostRace, WrongState


def advance(row: Any, event: str, /, **data: Any) -> None:
    """Take `row` one step along its table and store the data that came with the event.

    The step and the data are one UPDATE that holds only if the row is still in the state we read;
    so two reports of the same event cannot both win.  Publishing is the caller's business.

    Raises WrongState if the table has no such step, LostRace if another process moved the row.
    """
    try:
        state = row.TRANSITIONS[row.state][event]
    except KeyError:
        raise WrongState(row, event) from None
    here = type(row).objects.filter(pk=row.pk, state=row.state)
    if not here.update(state=state, **data):
        raise LostRace(row, event)
    row.refresh_from_db()
