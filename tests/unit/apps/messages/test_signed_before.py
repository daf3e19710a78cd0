"""A message that the signer signed before keeps its nonce, lands where it is, or waits: it is paid once."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import Message, Sender
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.retry import message_retry
from apps.messages.services.sign import DEAD_EPOCHS
from apps.messages.states import MessageState, Wait
from tests.messaging import Pool
from tests.unit.apps.messages.kills import Kill, heads, killed


def forgotten(pool: Pool, *ids: str) -> None:
    """Put rows back as a backup from before their selection has them."""
    for row in Message.objects.filter(push_id__in=ids):
        Message.objects.filter(pk=row.pk).update(
            state=MessageState.UNFILLED,
            nonce=None,
            signed=b"",
            cid="",
            unsigned_cid="",
            filled_at=None,
            published_at=None,
            tipset_key="",
            executed_key="",
            landed_cid="",
            landed_at=None,
            height=0,
        )
    Sender.objects.update(next_nonce=0, version=0, foreign_at=None)


def paid(pool: Pool, address: str) -> list[int]:
    return [int(one.message.value) for one in pool.node.landed(address)]


def test_what_landed_is_not_paid_again_when_its_row_is_forgotten(pool: Pool) -> None:
    address = pool.address()
    for at, text in enumerate("abc"):
        pool.push(text, address, value=at + 1)
    heads(pool, 3)
    forgotten(pool, "a", "b", "c")

    heads(pool, 3)

    assert paid(pool, address) == [1, 2, 3]
    assert [pool.row(text).state for text in "abc"] == [MessageState.LANDED] * 3
    assert [pool.row(text).nonce for text in "abc"] == [0, 1, 2]


def test_what_is_in_the_nodes_pool_is_taken_as_it_was_signed(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    cid = pool.row("one").cid
    forgotten(pool, "one")

    pool.choose()
    assert (pool.row("one").cid, pool.row("one").nonce) == (cid, 0)
    heads(pool, 2)
    assert len(paid(pool, address)) == 1


def test_an_id_whose_row_is_gone_is_paid_once_when_it_is_pushed_again(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, value=5)
    heads(pool, 3)
    Message.objects.all().delete()

    pool.push("one", address, value=5)
    heads(pool, 3)

    assert paid(pool, address) == [5]
    assert pool.row("one").state == MessageState.LANDED


def test_a_signature_that_was_thrown_away_keeps_its_nonce(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.messages.services.select.filled_store", killed(print))
        with pytest.raises(Kill):
            pool.choose()
    pool.push("proof", address, kind="window_post", time_sensitive=True)

    heads(pool, 3)

    assert pool.nonces_on_chain(address) == [0, 1]
    assert {row.state for row in Message.objects.all()} == {MessageState.LANDED}
    assert pool.row("one").nonce == 0


def test_a_nonce_that_another_message_used_is_given_up_after_some_epochs(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.messages.services.select.filled_store", killed(print))
        with pytest.raises(Kill):
            pool.choose()
    foreign = pool.foreign(address, nonce=0)
    pool.node.pool[(address, 0)] = foreign

    pool.choose()
    assert "which another message (" in pool.row("one").error
    heads(pool, 3)
    row = pool.row("one")
    assert (row.state, row.wait) == (MessageState.UNFILLED, Wait.SIGNED_BEFORE)
    assert "since used by another message" in row.error

    heads(pool, DEAD_EPOCHS + 3)
    assert (pool.row("one").state, pool.row("one").nonce) == (MessageState.LANDED, 1)
    assert len(paid(pool, address)) == 2


def test_the_round_goes_around_nonces_that_the_signer_knows(pool: Pool) -> None:
    address = pool.address()
    for text in "abc":
        pool.push(text, address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.messages.services.select.filled_store", killed(print))
        with pytest.raises(Kill):
            pool.choose()
    message_mark_bad(message=pool.row("a"), now=pool.now)
    pool.push("d", address)

    heads(pool, 3)

    assert {text: pool.row(text).nonce for text in "bcd"} == {"b": 1, "c": 2, "d": 0}
    assert {pool.row(text).state for text in "bcd"} == {MessageState.LANDED}


def test_another_message_under_a_signed_id_is_not_signed(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address, value=5)
    heads(pool, 3)
    Message.objects.all().delete()

    pool.push("one", address, value=6)
    heads(pool, 3)

    assert paid(pool, address) == [5]
    assert (pool.row("one").wait, "push it under another id" in pool.row("one").error) == (Wait.POLICY, True)


def test_a_refused_message_lets_those_behind_it_move_up(pool: Pool) -> None:
    address = pool.address()
    rows: dict[str, Any] = {text: pool.push(text, address, value=at + 1) for at, text in enumerate("abc")}
    pool.keyring.refused.add(bytes([1, 0, 2]))  # no part of any message
    pool.keyring.refused = {b"\x42\x00\x02"}  # the value 2 in CBOR

    heads(pool, 3)

    assert [pool.row(text).nonce for text in "ac"] == [0, 1]
    assert rows["b"].nonce is None


def test_two_that_were_signed_with_one_nonce_are_paid_one_after_the_other(pool: Pool) -> None:
    address = pool.address()
    pool.push("a", address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.messages.services.select.filled_store", killed(print))
        with pytest.raises(Kill):
            pool.choose()
        message_mark_bad(message=pool.row("a"), now=pool.now)
        pool.push("b", address, value=2)
        with pytest.raises(Kill):
            pool.choose()
    message_retry(message=pool.row("a"), now=pool.now)
    pool.push("proof", address, kind="window_post", time_sensitive=True)  # takes nonce 0 from both at first

    heads(pool, 3)
    states = {text: (pool.row(text).state, pool.row(text).nonce) for text in ("a", "b", "proof")}
    assert states == {
        "a": (MessageState.LANDED, 0),
        "b": (MessageState.UNFILLED, None),
        "proof": (MessageState.LANDED, 1),
    }
    assert (pool.row("b").wait, "nonce 0" in pool.row("b").error) == (Wait.SIGNED_BEFORE, True)

    heads(pool, DEAD_EPOCHS + 3)
    assert (pool.row("b").state, pool.row("b").nonce) == (MessageState.LANDED, 2)
    assert sorted(paid(pool, address)) == [1, 1, 2]
