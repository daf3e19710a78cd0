"""What tests of backup prover kills share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import models, transaction

from apps.core.transitions import update_returning

if TYPE_CHECKING:
    from collections.abc import Callable


class Killed(KeyboardInterrupt):
    """As `kill -9`: nothing catches it."""


def killed_writes(play: Callable[[], object], *, after: int) -> bool:
    """Do something that is killed after so many writes; False if it ended before."""
    writes = after
    update, save = models.QuerySet.update, models.Model.save_base

    def counted(write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **data: Any) -> Any:
            nonlocal writes
            if writes == 0:
                raise Killed
            writes -= 1
            return write(*args, **data)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.QuerySet, "update", counted(update))
        patch.setattr(models.Model, "save_base", counted(save))
        patch.setattr("apps.core.transitions.update_returning", counted(update_returning))
        patch.setattr("apps.proving.services.post_updates.update_returning", counted(update_returning))
        try:
            play()
        except Killed:
            return True
    return False


class Undone(Exception):
    """Takes back what one run wrote."""


def killed_everywhere(play: Callable[[int], bool]) -> int:
    """Play a scene again and again, with a kill one write later each time; gives how many there were."""
    for kills in range(100):
        was_killed = False
        try:
            with transaction.atomic():
                was_killed = play(kills)
                raise Undone
        except Undone:
            pass
        if not was_killed:
            return kills
    raise AssertionError("it writes without end")
