"""A process that is killed: at a function of its own, or after so many writes to the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from django.db import models

from apps.core.transitions import advance_many, update_returning


class Killed(KeyboardInterrupt):
    """As `kill -9`: nothing catches it."""


def kill(*_: object, **__: object) -> NoReturn:
    """End the process, in place of what a test sets it for."""
    raise Killed


def killed_writes(play: Callable[[], object], *, after: int) -> bool:
    """Do something that is killed after so many writes; return whether it was, else it ended before."""
    writes = after
    update, save, create = models.QuerySet.update, models.Model.save_base, models.QuerySet.bulk_create

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
        patch.setattr(models.QuerySet, "bulk_create", counted(create))
        patch.setattr("apps.core.transitions.update_returning", counted(update_returning))
        patch.setattr("apps.proving.services.post_updates.update_returning", counted(update_returning))
        for module in ("attempts", "proofs", "submissions"):
            patch.setattr(f"apps.proving.services.{module}.advance_many", counted(advance_many))
        try:
            play()
        except Killed:
            return True
    return False


def killed_until_done(play: Callable[[], object]) -> int:
    """Kill something at each of its writes in turn, until it comes to its end; return how often."""
    after = 0
    while killed_writes(play, after=after):
        after += 1
    return after
