"""What a node says of a message that would fail, in one line, and the end of trying it again."""

from __future__ import annotations

import pytest

from apps.messages.models import Message, Sender
from apps.messages.services.estimate_failures import ATTEMPTS_MAX, PRESSING_ATTEMPTS_MAX, failure_read
from apps.messages.services.retry import message_retry
from apps.messages.states import MessageState, Priority, Wait
from tests.messaging import Pool
from tests.unit.apps.messages.push import REFUSED

LACKING = (
    "message execution failed (exit=[SysErrInsufficientFunds(6)], vm error=[message failed with backtrace:\n"
    "--> caused by: send::send -- sender does not have funds to transfer\n (RetCode=6)])"
)


def test_backtrace_becomes_one_line_with_its_cause() -> None:
    failure = failure_read(REFUSED)

    text = "ErrIllegalArgument (16), a parameter is invalid: unable to resolve worker address f3abc"
    assert (failure.code, failure.text, failure.is_final) == (16, text, True)


def test_forest_names_the_exit_code_of_an_actor_in_its_own_words() -> None:
    failure = failure_read(
        "message execution failed: exit code: 16, reason: message failed with backtrace:\n"
        "00: f04 (method 2) -- send aborted (16)\n (RetCode=16)"
    )

    text = "exit code (16), a parameter is invalid: send aborted"
    assert (failure.code, failure.text, failure.is_final) == (16, text, True)


def test_machine_error_is_not_final() -> None:
    failure = failure_read(LACKING)

    assert (failure.code, failure.is_final) == (6, False)
    assert failure.text.endswith(": send::send -- sender does not have funds to transfer")


def test_unknown_words_are_kept() -> None:
    assert failure_read("no\n  such thing").text == "no such thing"


def tried(pool: Pool, *, heads: int) -> None:
    for _ in range(heads):
        pool.choose()
        pool.node.mine(nulls=61)
        pool.follow()


def test_message_that_an_actor_refuses_fails_in_the_end(pool: Pool) -> None:
    pool.node.fails["7"] = REFUSED
    address = pool.address()
    pool.push("one", address, method=7)

    tried(pool, heads=ATTEMPTS_MAX - 1)
    assert (pool.row("one").state, pool.row("one").wait) == (MessageState.UNFILLED, Wait.ESTIMATE)
    assert "backtrace" not in pool.row("one").error
    tried(pool, heads=1)

    row = pool.row("one")
    assert (row.state, row.nonce) == (MessageState.FAILED, None)
    assert row.error.startswith("failed after 8 attempts: gas estimate: ErrIllegalArgument (16)")
    assert Sender.objects.get(address=address).next_nonce == 0


@pytest.mark.parametrize(
    ("priority", "most"), [(Priority.PRE_COMMIT, ATTEMPTS_MAX), (Priority.PROOF, PRESSING_ATTEMPTS_MAX)]
)
def test_pre_commits_and_proofs_from_outside_fail_too(pool: Pool, priority: Priority, most: int) -> None:
    pool.node.fails["7"] = REFUSED
    pool.push("one", pool.address(), method=7)
    Message.objects.update(priority=priority, attempts=most - 2)

    tried(pool, heads=1)
    assert pool.row("one").state == MessageState.UNFILLED
    tried(pool, heads=1)

    assert pool.row("one").state == MessageState.FAILED
    assert pool.row("one").error.startswith(f"failed after {most} attempts")


def test_failed_message_can_be_tried_again(pool: Pool) -> None:
    pool.node.fails["7"] = REFUSED
    pool.push("one", pool.address(), method=7)
    tried(pool, heads=ATTEMPTS_MAX)
    pool.node.fails.clear()

    message_retry(message=pool.row("one"), now=pool.now)
    tried(pool, heads=1)

    assert pool.row("one").nonce == 0


@pytest.mark.parametrize(("kind", "error"), [("commit", REFUSED), ("", LACKING), ("", "node is syncing")])
def test_what_others_judge_or_may_pass_is_tried_on(pool: Pool, kind: str, error: str) -> None:
    pool.node.fails["7"] = error
    pool.push("one", pool.address(), method=7, kind=kind)

    tried(pool, heads=ATTEMPTS_MAX + 2)

    assert pool.row("one").state == MessageState.UNFILLED
