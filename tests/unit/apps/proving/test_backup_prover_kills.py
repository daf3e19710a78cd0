"""A kill between any two writes while a second host is asked costs no proof and sends no second message."""

from __future__ import annotations

import pytest

from apps.messages.models import Message
from apps.proving.services.posts import posts_advance
from tests.killed_writes import killed_writes
from tests.unit.apps.proving.attempts import job_of
from tests.unit.apps.proving.backup_prover_kills import killed_everywhere
from tests.unit.apps.proving.hanging import (
    STALLED,
    Scene,
    fresh,
    hands_in,
)
from tests.unit.apps.proving.rescues import look
from tests.unit.apps.proving.retries import done

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("every_proof_is_right", "time_stands_still")]


def run(scene: Scene, height: int, *, after: int) -> bool:
    """A pass that is killed after so many writes; False if it ended before."""
    return killed_writes(lambda: posts_advance(look(scene.chain, height)), after=after)


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
