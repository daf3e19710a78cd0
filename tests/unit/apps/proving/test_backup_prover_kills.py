"""A kill between any two writes while a second host is asked costs no proof and sends no second message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import models, transaction

from apps.core.transitions import update_returning
from apps.messages.models import Message
from apps.proving.services.posts import posts_advance
from tests.unit.apps.proving.attempts import job_of
from tests.unit.apps.proving.hanging import (
    STALLED,
    Scene,
    fresh,
    hands_in,
)
from tests.unit.apps.proving.test_rescues import look
from tests.unit.apps.proving.test_retries import done

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_proof_is_right", "time_stands_still")]


class Killed(KeyboardInterrupt):
    """As `kill -9`: nothing catches it."""


def run(scene: Scene, height: int, *, after: int) -> bool:
    """A pass that is killed after so many writes; False if it ended before."""
    return killed_writes(lambda: posts_advance(look(scene.chain, height)), after=after)


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


def test_a_kill_anywhere_while_another_host_is_asked_costs_nothing() -> None:
    def play(kills: int) -> bool:
        scene = Scene("well")
        was_killed = run(scene, STALLED, after=kills)
        hands_in(scene.relieved())
        scene.lands()
        return was_killed

    assert killed_everywhere(play) >= 4


@pytest.mark.parametrize("who", ["first", "second", "both"])
def test_a_kill_anywhere_while_a_proof_is_taken_sends_one_message(who: str) -> None:
    def play(kills: int) -> bool:
        scene = Scene("well")
        second = scene.relieved()
        if who != "second":
            hands_in(scene.first, b"first")
        if who != "first":
            hands_in(second, b"second")
        was_killed = run(scene, 962, after=kills)
        row = scene.lands()
        message = Message.objects.get(kind="window_post")
        assert bytes(row.proof or b"") in bytes(message.params)
        return was_killed

    assert killed_everywhere(play) >= 6


def test_a_kill_anywhere_while_a_lone_host_is_asked_anew_costs_nothing() -> None:
    def play(kills: int) -> bool:
        scene = Scene()
        was_killed = run(scene, 963, after=kills)
        scene.passes(963)
        done(job_of(fresh(scene.row)))
        scene.lands(964)
        return was_killed

    assert killed_everywhere(play) >= 5
