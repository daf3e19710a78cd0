"""What an actor said of a message that landed and failed is asked of the node once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.messages import tasks
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.services.refusals import LATELY, refusals_explain, unexplained_refusals_list
from apps.messages.states import MessageState
from tests.messaging import Pool

SAID = "message failed with backtrace: invalid proof for sector 1 (RetCode=16)"


@pytest.fixture
def refused(pool: Pool) -> Pool:
    """A pool whose message `one` landed with exit code 16."""
    pool.node.exit_code, pool.node.actor_says = 16, SAID
    pool.push("one", pool.address())
    pool.choose()
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED
    return pool


def explained(pool: Pool) -> int:
    return refusals_explain(client=pool.client, now=pool.now)


def replays(pool: Pool) -> int:
    return pool.node.calls.count("StateReplay")


def test_what_the_actor_said_stands_with_the_message(refused: Pool) -> None:
    assert explained(refused) == 1

    row = refused.row("one")
    assert (row.state, row.exit_code, row.error) == (MessageState.LANDED, 16, SAID)
    assert message_diagnose(row, head=refused.head).text.endswith(f"; the actor said: {SAID}")
    assert explained(refused) == 0
    assert replays(refused) == 1


def test_nobody_asks_about_what_succeeded_or_is_long_over(pool: Pool) -> None:
    pool.push("one", pool.address())
    pool.choose()
    pool.step()
    pool.step()
    pool.node.exit_code = 16
    pool.push("old", pool.address())
    pool.choose()
    pool.step()
    pool.step()

    assert not unexplained_refusals_list(now=pool.now + LATELY + timedelta(seconds=1))
    assert [row.push_id for row in unexplained_refusals_list(now=pool.now)] == ["old"]


def test_a_node_that_does_not_tell_changes_nothing(refused: Pool) -> None:
    refused.node.lacks.add("StateReplay")

    assert explained(refused) == 0

    assert refused.row("one").error == ""
    words = message_diagnose(refused.row("one"), head=refused.head).text
    assert words == "it failed on chain with exit code 16: a parameter is invalid"


def test_a_reverted_landing_forgets_what_was_said(refused: Pool) -> None:
    explained(refused)

    refused.node.rewind(2)
    refused.settle()

    row = refused.row("one")
    assert (row.state, row.error) == (MessageState.FILLED, "")


def test_a_landing_that_failed_has_the_question_asked(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "apps.messages.tasks.current_app.send_task", lambda name, **_options: asked.append(name)
    )
    pool.node.exit_code, pool.node.actor_says = 16, SAID
    pool.push("one", pool.address())
    pool.choose()
    for _ in range(2):
        pool.node.mine()
        pool.follow()
        tasks.track(height=0, key="")

    assert asked == ["messages.explain"]
    tasks.explain()
    assert pool.row("one").error == SAID
