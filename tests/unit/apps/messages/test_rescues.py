"""What must not stop a queue: odd words of a node, one bad sender, forks while the pool was away."""

from __future__ import annotations

from typing import Any

import pytest

from apps.chain.errors import NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from apps.core import clock
from apps.messages import tasks
from apps.messages.models import Message, Sender, Tracker
from apps.messages.services.cancel import message_withdraw
from apps.messages.services.search import messages_search
from apps.messages.services.track import messages_track
from apps.messages.states import MessageState
from poolsite.filecoin.amounts import FIL
from tests import factories
from tests.fake_node import FakeNode, served
from tests.messaging import Pool
from tests.unit.apps.messages.tasks import run_head, sent

__all__ = ["sent"]


def landed_then_away(pool: Pool, address: str) -> None:
    """A message lands, and the follower loses its memory of what lies below the newest head."""
    pool.push("one", address)
    pool.choose()
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED


def come_back(pool: Pool) -> Any:
    """Follow and track after a long time: the way from the tracker's place is not known any more."""
    pool.follow()
    Head.objects.exclude(key=pool.head.key).delete()
    Head.objects.update(is_after_gap=True)
    return messages_track(head=pool.head, client=pool.client, now=pool.now)


def test_the_words_of_a_contract_do_not_stop_its_senders_queue(pool: Pool) -> None:
    address = pool.address()
    pool.node.fails["f01001"] = "revert reason=[Error(\x00\ud800)]"
    pool.push("odd", address, to="f01001")
    pool.push("plain", address)

    pool.choose()

    assert pool.row("plain").state == MessageState.FILLED
    assert "revert reason=[Error(\u2400?)]" in pool.row("odd").error


def test_a_refused_search_does_not_mean_that_another_message_landed(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.node.mine()
    pool.node.mine()
    pool.node.refuses = lambda method, _params: (
        "failed to load tipset during msg wait searchback: ipld: could not find bafy"
        if method == "StateSearchMsg"
        else None
    )

    done = come_back(pool)

    assert done.has_searched
    assert pool.row("one").state == MessageState.FILLED


def test_a_node_without_the_method_does_not_mean_it_either(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.node.mine()
    pool.node.mine()
    pool.node.lacks.add("StateSearchMsg")

    come_back(pool)

    assert pool.row("one").state == MessageState.FILLED


def test_a_search_speaks_of_one_tipset_whatever_the_node_does_meanwhile(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    key = pool.head.key
    pool.node.mine()
    pool.node.mine()

    assert messages_search(client=pool.client, key=key, now=pool.now) == (0, 0)
    assert pool.row("one").state == MessageState.FILLED
    assert messages_search(client=pool.client, key=pool.node.head.cid, now=pool.now) == (1, 0)


def test_a_search_that_fails_amid_many_messages_keeps_what_it_found(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    pool.push_many(12, address)
    pool.choose()
    pool.node.mine()
    pool.node.mine()
    answer = pool.link.call_many

    def slow(calls: Any, *, timeout_s: float | None = None) -> list[Any]:
        if calls[0][0] == "StateSearchMsg" and Message.objects.filter(state=MessageState.LANDED).exists():
            raise NodeUnavailable("no response within 120 s")
        return answer(calls, timeout_s=timeout_s)

    monkeypatch.setattr(pool.link, "call_many", slow)
    with pytest.raises(NodeUnavailable):
        come_back(pool)
    assert Message.objects.filter(state=MessageState.LANDED).count() == 5

    monkeypatch.undo()
    assert messages_search(client=pool.client, key=pool.node.head.cid, now=pool.now) == (7, 0)


def test_a_search_looks_for_all_messages_of_a_nonce_at_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    pool.push("ours", address)
    pool.choose()
    pool.node.mine()
    pool.node.mine()
    other = pool.push("other", address)
    Message.objects.filter(push_id="ours").update(state=MessageState.FAILED)  # and its nonce went on
    Message.objects.filter(pk=other.pk).update(
        state=MessageState.FILLED, nonce=0, signed=b"other", cid=factories.cid("other")
    )
    monkeypatch.setattr("apps.messages.services.search.SEARCHED_AT_ONCE", 1)
    Sender.objects.update(chain_nonce=0)

    assert messages_search(client=pool.client, key=pool.node.head.cid, now=pool.now) == (1, 1)
    assert (pool.row("ours").state, pool.row("other").state) == (MessageState.LANDED, MessageState.REPLACED)


def test_what_a_fork_took_back_while_the_pool_was_away_is_in_flight_again(pool: Pool) -> None:
    address = pool.address()
    landed_then_away(pool, address)
    pool.node.rewind(2)
    for _ in range(4):
        pool.node.mine(salt="branch", only=lambda _signed: False)

    done = come_back(pool)

    assert (done.has_searched, done.reverted) == (True, 1)
    assert pool.row("one").state == MessageState.FILLED
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED
    assert pool.nonces_on_chain(address) == [0]


def test_what_stayed_on_the_chain_while_the_pool_was_away_stays_landed(pool: Pool) -> None:
    landed_then_away(pool, pool.address())
    before = pool.row("one").updated_at
    pool.node.mine()
    pool.node.mine()

    done = come_back(pool)

    assert (done.has_searched, done.reverted) == (True, 0)
    assert (pool.row("one").state, pool.row("one").updated_at) == (MessageState.LANDED, before)


def test_tracker_survives_displaced_message_with_a_taken_nonce(pool: Pool) -> None:
    address = pool.address()
    pool.push("ours", address)
    pool.choose()
    pool.node.pool[(address, 0)] = pool.foreign(address, nonce=0)
    pool.step()
    pool.step()
    ours = pool.row("ours")
    assert ours.state == MessageState.REPLACED
    other = pool.push("other", address)
    Message.objects.filter(pk=other.pk).update(
        state=MessageState.FILLED, nonce=0, signed=bytes(ours.signed), cid=factories.cid("other")
    )

    pool.node.rewind(2)
    pool.node.pool.clear()
    for _ in range(3):
        pool.node.mine(salt="branch")
    pool.follow()
    messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert Tracker.objects.get().key == pool.head.key
    assert (pool.row("ours").state, pool.row("other").state) == (MessageState.REPLACED, MessageState.FILLED)


@pytest.mark.parametrize(
    "text",
    [
        "checking for message execution during lookback: message was replaced: found message with equal "
        "nonce as the one we are looking for that is NOT a valid replacement message",
        "found message with equal nonce and call params but different CID. wanted a, found: b, nonce: 0",
    ],
)
def test_a_search_ends_a_message_whose_nonce_another_one_used(pool: Pool, text: str) -> None:
    address = pool.address()
    pool.push("ours", address)
    pool.choose()
    pool.node.pool[(address, 0)] = pool.foreign(address, nonce=0)
    pool.node.mine()
    key = pool.node.mine()
    pool.node.refuses = lambda method, _params: text if method == "StateSearchMsg" else None

    assert messages_search(client=pool.client, key=key, now=pool.now) == (0, 1)
    assert pool.row("ours").state == MessageState.REPLACED


def test_missing_receipts_stop_the_tracker_for_a_while(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.settle()
    Tracker.objects.update(key=pool.head.key)
    pool.node.mine()
    for _ in range(70):
        pool.node.mine()
    pool.node.refuses = lambda method, _params: (
        "block not found" if method == "ChainGetParentReceipts" else None
    )
    pool.follow()

    done = messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert done.has_searched
    assert pool.row("one").state == MessageState.LANDED


NO_RECEIPTS = "amt load: failed to load adt: ipld: could not find bafy2bzacereceipts"
SNAPSHOT = {
    "StateSearchMsg": f"checking for message execution during lookback: {NO_RECEIPTS}",
    "ChainGetParentReceipts": NO_RECEIPTS,
}
"""What lotus answers about the time before the snapshot that it was restored from."""


def land_at_a_restored_node(pool: Pool, refusals: dict[str, str]) -> list[str]:
    """A message lands while nobody tracks it; then its node has lost what it refuses from now on."""
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    for _ in range(70):
        pool.node.mine()
    pool.node.refuses = lambda method, _params: refusals.get(method)
    pool.follow()
    return [str(signed.cid) for signed in pool.node.landed(address)]


def test_missing_receipts_of_a_snapshot_replace_no_message(pool: Pool) -> None:
    landed = land_at_a_restored_node(pool, SNAPSHOT)

    done = messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert landed == [pool.row("one").cid]
    assert (done.has_searched, pool.row("one").state) == (True, MessageState.FILLED)


def test_missing_block_messages_of_a_snapshot_replace_no_message(pool: Pool) -> None:
    refusals = dict(SNAPSHOT, ChainGetBlockMessages="ipld: could not find bafy2bzacemeta")
    land_at_a_restored_node(pool, refusals)
    refusals["StateSearchMsg"] = f"failed to load message: ipld: could not find {pool.row('one').cid}"

    messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert pool.row("one").state == MessageState.FILLED


def test_a_message_no_node_has_seen_is_replaced_once_its_nonce_is_used(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.node.pool = {(address, 0): pool.foreign(address, nonce=0)}
    for _ in range(3):
        pool.node.mine()

    come_back(pool)

    assert pool.row("one").state == MessageState.REPLACED


def test_the_next_node_is_asked_what_a_restored_one_cannot_say(pool: Pool) -> None:
    land_at_a_restored_node(pool, SNAPSHOT)
    other = FakeNode()
    other.tipsets, other.head, other.balances = pool.node.tipsets, pool.node.head, pool.node.balances

    with served(other) as url:
        client = ChainClient([pool.link, NodeLink(url, "")])
        messages_track(head=pool.head, client=client, now=pool.now)
        client.links[1].close()

    assert pool.row("one").state == MessageState.LANDED


def test_a_sender_set_back_by_hand_gives_no_nonce_twice(pool: Pool) -> None:
    address = pool.address()
    for name in "abc":
        pool.push(name, address)
    pool.choose()
    pool.node.pool.clear()
    Sender.objects.filter(address=address).update(next_nonce=0)
    pool.node.refuses = lambda method, _params: "mpool is full" if method == "MpoolPush" else None
    pool.push("d", address)

    pool.choose()

    assert [pool.row(name).nonce for name in "abcd"] == [0, 1, 2, 3]


def test_one_sender_that_the_node_cannot_read_holds_up_no_other(pool: Pool, sent: list[str]) -> None:
    bad, good = pool.address(), pool.address()
    pool.push("bad", bad)
    run_head(pool, sent)
    pool.node.refuses = lambda method, params: (
        "address is broken" if method == "StateGetActor" and params[0] == bad else None
    )
    pool.push("good", good)

    run_head(pool, sent)

    assert pool.row("good").state == MessageState.FILLED


def test_a_failing_look_at_what_is_in_flight_holds_up_no_choice(
    pool: Pool, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried: list[int] = []

    def broken(**_how: object) -> None:
        raise ValueError("a row that cannot be read")

    monkeypatch.setattr(tasks, "messages_republish", broken)
    monkeypatch.setattr(tasks, "proofs_bump", lambda **_how: hurried.append(1))
    address = pool.address()
    pool.push("one", address)

    tasks.select(height=0, key="")

    assert (sent, hurried) == ([address], [1])


def test_only_what_has_no_nonce_can_be_dropped(pool: Pool) -> None:
    address = pool.address()
    row = pool.push("one", address)
    pool.choose()

    with pytest.raises(Exception, match="changed by another process"):
        message_withdraw(row, reason="too late", now=clock.now())

    assert pool.row("one").state == MessageState.FILLED


def test_an_exit_code_of_32_bits_does_not_stop_the_tracker(pool: Pool) -> None:
    pool.push("one", pool.address())
    pool.node.exit_code = (1 << 32) - 1

    for _ in range(3):
        pool.step()

    assert (pool.row("one").state, pool.row("one").exit_code) == (MessageState.LANDED, (1 << 31) - 1)


def test_unreadable_foreign_messages_stop_the_tracker_for_a_while(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.push("one", pool.address())
    pool.choose()
    pool.settle()
    pool.node.mine()
    answer = pool.node.do_ChainGetParentMessages
    monkeypatch.setattr(
        pool.node, "do_ChainGetParentMessages", lambda cid: [{**row, "Message": None} for row in answer(cid)]
    )
    pool.node.mine()
    pool.follow()
    with pytest.raises(NodeUnavailable):
        messages_track(head=pool.head, client=pool.client, now=pool.now)

    for _ in range(61):
        pool.node.mine()
    pool.link.tired_until = 0.0
    pool.follow()
    done = messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert done.has_searched
    assert pool.row("one").state == MessageState.LANDED


def test_what_the_node_says_of_a_sender_is_not_stored_for_others(pool: Pool) -> None:
    rich, poor = pool.address(), pool.address(fil=7)
    pool.push("one", rich)
    pool.push("two", poor)

    pool.choose()

    assert dict(Sender.objects.values_list("address", "balance")) == {rich: 100 * FIL, poor: 7 * FIL}
