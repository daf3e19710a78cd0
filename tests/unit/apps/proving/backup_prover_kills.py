"""Scenes that are played again with a kill at each write."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction


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
