"""Nonces that another program's messages have: passed over, and never read as ours."""

from __future__ import annotations

import pytest

from apps.chain.errors import NodeUnavailable
from apps.chain.node.client import ChainClient
from apps.messages.errors import BadMessage
from apps.messages.models import GasSpend, Message, Sender
from apps.messages.selectors.replaced import messages_replaced
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.search import messages_search
from apps.messages.services.sign import DEAD_EPOCHS
from apps.messages.services.taken_nonces import message_push_again
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.message import SignedMessage
from tests.messaging import Pool
from tests.people import principal
from tests.unit.apps.messages.recovery import heads, paid


def stranger(pool: Pool, address: str, *, nonce: int) -> SignedMessage:
    """Put another program's message into the node's pool."""
    signed = pool.foreign(address, nonce=nonce)
    pool.node.pool[(address, nonce)] = signed
    return signed


def test_a_nonce_above_a_gap_that_a_stranger_holds_is_passed_over(pool: Pool) -> None:
    address = pool.address()
    stranger(pool, address, nonce=2)
    for name in ("one", "two", "three", "four"):
        pool.push(name, address)
    for _ in range(4):
        pool.step()

    assert [pool.row(name).nonce for name in ("one", "two", "three", "four")] == [0, 1, 3, 4]
    assert {row.state for row in Message.objects.all()} == {MessageState.LANDED}
    assert pool.nonces_on_chain(address) == [0, 1, 2, 3, 4]


def test_a_filler_closes_the_gap_below_ours_and_leaves_the_strangers_nonce(pool: Pool) -> None:
    address = pool.address()
    pool.push("lost", address)
    pool.choose()
    message_mark_bad(message=pool.row("lost"), now=pool.now)
    del pool.node.pool[(address, 0)]
    stranger(pool, address, nonce=2)
    pool.push("b", address, value=2)
    pool.choose()  # the gap is seen for the first time
    pool.push("c", address, value=3)
    for _ in range(5):
        pool.step()

    used = {row.push_id: row.nonce for row in Message.objects.exclude(push_id="lost")}
    assert 2 not in used.values(), used
    assert {row.state for row in Message.objects.exclude(push_id="lost")} == {MessageState.LANDED}
    assert Sender.objects.get(address=address).foreign_at is not None


def test_a_node_that_does_not_tell_its_pool_is_waited_for_once_a_head(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def too_slow(_: ChainClient) -> None:
        asked.append(pool.head.key)
        raise NodeUnavailable("no answer in time")

    monkeypatch.setattr(ChainClient, "mpool_nonces", too_slow)
    addresses = [pool.address() for _ in range(3)]
    for at, address in enumerate(addresses):
        pool.push(f"m{at}", address)
    pool.choose()
    assert {row.state for row in Message.objects.all()} == {MessageState.FILLED}
    assert asked == [pool.head.key]
    pool.push("more", addresses[0])
    pool.step()
    assert asked[1:] == [pool.head.key], "the next head asks again"


def taken(pool: Pool) -> tuple[str, SignedMessage]:
    """Let a stranger's message land with the nonce of a payment of ours."""
    address = pool.address()
    pool.push("pay", address, value=9)
    pool.choose()
    signed = stranger(pool, address, nonce=0)
    pool.step()
    pool.step()
    return address, signed


def test_a_payment_whose_nonce_a_stranger_used_is_a_to_do(pool: Pool) -> None:
    _, signed = taken(pool)

    row = pool.row("pay")
    assert (row.state, row.wait, row.landed_cid) == (
        MessageState.REPLACED,
        Wait.NONCE_TAKEN,
        str(signed.cid),
    )
    assert (row.exit_code, row.gas_used, bytes(row.return_data), row.landed_at) == (-1, 0, b"", None)
    assert str(signed.cid) in row.error
    assert not GasSpend.objects.exists()
    assert list(messages_replaced(principal())) == [row]


def test_a_search_by_message_finds_the_same(pool: Pool) -> None:
    address = pool.address()
    pool.push("pay", address, value=9)
    pool.choose()
    stranger(pool, address, nonce=0)
    pool.node.mine()
    pool.node.mine()
    pool.follow()
    messages_search(client=pool.client, key=pool.head.key, now=pool.now)

    row = pool.row("pay")
    assert (row.state, row.wait) == (MessageState.REPLACED, Wait.NONCE_TAKEN)
    assert (row.exit_code, row.landed_at) == (-1, None)


def test_it_is_pushed_again_once_no_reorganisation_brings_its_nonce_back(pool: Pool) -> None:
    address, _ = taken(pool)
    row = pool.row("pay")
    with pytest.raises(BadMessage, match="epoch"):
        message_push_again(message=row, client=pool.client, head=pool.head, now=pool.now)
    assert pool.row("pay").state == MessageState.REPLACED
    for _ in range(DEAD_EPOCHS + 2):
        pool.step()

    message_push_again(message=pool.row("pay"), client=pool.client, head=pool.head, now=pool.now)
    with pytest.raises(BadMessage, match="not signed yet"):
        message_push_again(message=pool.row("pay"), client=pool.client, head=pool.head, now=pool.now)
    row = pool.row("pay")
    assert (row.state, row.nonce, row.cid, row.landed_cid) == (MessageState.UNFILLED, None, "", "")
    assert not messages_replaced(principal()).exists()
    for _ in range(3):
        pool.step()
    row = pool.row("pay")
    assert (row.state, row.nonce, row.exit_code) == (MessageState.LANDED, 1, 0)
    assert paid(pool, address).count(9) == 1


def test_what_the_chain_has_after_all_is_landed_and_not_pushed_again(pool: Pool) -> None:
    address = pool.address()
    pool.push("pay", address, value=9)
    pool.choose()
    pool.step()
    pool.step()
    Message.objects.update(state=MessageState.REPLACED, wait=Wait.NONCE_TAKEN)
    with pytest.raises(BadMessage, match="epoch"):
        message_push_again(message=pool.row("pay"), client=pool.client, head=pool.head, now=pool.now)
    assert pool.row("pay").state == MessageState.REPLACED
    heads(pool, DEAD_EPOCHS)
    message_push_again(message=pool.row("pay"), client=pool.client, head=pool.head, now=pool.now)
    assert (pool.row("pay").state, pool.row("pay").wait) == (MessageState.LANDED, "")
    heads(pool, 3)
    assert paid(pool, address) == [9]


def test_what_another_program_sent_with_other_fees_is_not_paid_again(pool: Pool) -> None:
    """As `lotus mpool replace` does; the pool was away, and the node names the equal message no answer."""
    address = pool.address()
    pool.push("pay", address, value=9)
    pool.choose()
    signed = pool.foreign(address, nonce=0, value=9)
    pool.node.pool[(address, 0)] = signed
    text = "found message with equal nonce and call params but different CID. wanted a, found: b, nonce: 0"
    pool.node.refuses = lambda method, _params: text if method == "StateSearchMsg" else None
    pool.node.mine()
    key = pool.node.mine()
    messages_search(client=pool.client, key=key, now=pool.now)
    assert pool.row("pay").wait == Wait.NONCE_TAKEN
    heads(pool, DEAD_EPOCHS)

    row = message_push_again(message=pool.row("pay"), client=pool.client, head=pool.head, now=pool.now)

    assert (row.state, row.exit_code, row.landed_cid) == (MessageState.LANDED, 0, str(signed.cid))
    assert (row.gas_used > 0, row.gas_cost > 0) == (True, True)
    assert not messages_replaced(principal()).exists()
    heads(pool, 3)
    assert paid(pool, address) == [9]


def test_a_payment_that_lost_its_nonce_to_one_marked_as_failed_is_a_to_do(pool: Pool) -> None:
    address = pool.address()
    pool.push("lost", address, value=5)
    pool.choose()
    message_mark_bad(message=pool.row("lost"), now=pool.now)
    lost = pool.node.pool.pop((address, 0))
    pool.push("b", address, value=2)
    pool.choose()
    pool.choose()  # the gap below it is seen for the first time
    pool.push("pay", address, value=9)
    pool.step()
    assert pool.row("pay").nonce == 0
    pool.node.pool[(address, 0)] = lost  # another node had it
    heads(pool, 2)

    row = pool.row("pay")
    assert (row.state, row.wait) == (MessageState.REPLACED, Wait.NONCE_TAKEN)
    assert list(messages_replaced(principal())) == [row]
    heads(pool, DEAD_EPOCHS)
    message_push_again(message=row, client=pool.client, head=pool.head, now=pool.now)
    heads(pool, 3)
    assert pool.row("pay").state == MessageState.LANDED
    assert paid(pool, address) == [2, 5, 9]


def test_one_that_was_replaced_before_this_was_a_to_do_is_pushed_again(pool: Pool) -> None:
    taken(pool)
    heads(pool, DEAD_EPOCHS)
    Message.objects.update(wait=Wait.NONE)
    message_push_again(message=pool.row("pay"), client=pool.client, head=pool.head, now=pool.now)
    assert pool.row("pay").state == MessageState.UNFILLED


def test_it_is_given_up_by_hand(pool: Pool) -> None:
    taken(pool)
    message_mark_bad(message=pool.row("pay"), now=pool.now)
    row = pool.row("pay")
    assert row.state == MessageState.FAILED
    assert "free" not in row.events.get(event="marked bad").text
    assert not messages_replaced(principal()).exists()


def test_a_compaction_is_done_by_nobody_else(pool: Pool) -> None:
    address = pool.address()
    pool.push("compact:1", address)
    pool.choose()
    Message.objects.update(kind="compact")
    stranger(pool, address, nonce=0)
    heads(pool, 2)
    assert pool.row("compact:1").wait == Wait.NONCE_TAKEN


def test_a_gap_filler_that_another_message_made_needless_is_no_to_do(pool: Pool) -> None:
    address = pool.address()
    pool.push("pay", address, value=9)
    pool.choose()
    Message.objects.update(kind="gap")
    stranger(pool, address, nonce=0)
    pool.step()
    pool.step()
    row = pool.row("pay")
    assert (row.state, row.wait) == (MessageState.REPLACED, Wait.NONE)
    with pytest.raises(BadMessage, match="another message for it"):
        message_push_again(message=row, client=pool.client, head=pool.head, now=pool.now)
