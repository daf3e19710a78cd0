"""Tracking: landed, taken back, displaced, found after days offline."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from apps.chain.errors import NodeUnavailable
from apps.chain.models import Head
from apps.chain.selectors.network import network_current
from apps.chain.services.heads import head_follow
from apps.messages.models import Message, Sender, Tracker
from apps.messages.rules.push_items import Gas
from apps.messages.services.cancel import message_mark_bad
from apps.messages.services.track import messages_track
from apps.messages.states import MessageState
from apps.wallets.models import Wallet
from poolsite.filecoin.message import SignedMessage
from tests import factories
from tests.fake_node import GAS
from tests.messaging import Pool


def test_a_message_lands_with_its_receipt(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()

    pool.step()
    including = pool.head
    pool.step()

    row = pool.row("one")
    assert (row.state, row.exit_code, row.gas_used, row.return_) == (MessageState.LANDED, 0, GAS, b"\x80")
    assert (row.height, row.tipset_key) == (including.height, including.key)
    assert row.executed_key == pool.head.key
    assert row.landed_cid == row.cid


def test_an_exit_code_is_kept_and_the_state_is_landed_all_the_same(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.node.exit_code = 16

    for _ in range(3):
        pool.step()

    row = pool.row("one")
    assert (row.state, row.exit_code, row.has_succeeded) == (MessageState.LANDED, 16, False)


def test_landing_and_reorganisation_mark_the_wallets_that_moved(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.step()
    factories.wallet(address)

    pool.step()
    landed = Wallet.objects.get(address=address).moved_at
    Wallet.objects.update(moved_at=None)
    pool.node.rewind(2)
    for _ in range(3):
        pool.node.mine(salt="branch", only=lambda _signed: False)
    pool.settle()

    assert landed is not None
    assert Wallet.objects.get(address=address).moved_at is not None


@pytest.mark.parametrize(("depth", "is_read_again"), [(1, False), (2, True)])
def test_wallets_that_were_read_on_a_lost_branch_are_read_again(
    pool: Pool, depth: int, is_read_again: bool
) -> None:
    """The first tipset of a branch executes the messages of the last one that both have."""
    pool.step()
    pool.step()
    read = pool.head.arrived_at
    earlier = read - timedelta(days=1)
    factories.wallet(factories.bls(8), checked_at=read)
    factories.wallet(factories.bls(9), checked_at=earlier)

    pool.node.rewind(depth)
    for _ in range(depth + 1):
        pool.node.mine(salt="branch")
    pool.settle()

    assert dict(Wallet.objects.values_list("address", "checked_at")) == {
        factories.bls(8): None if is_read_again else read,
        factories.bls(9): earlier,
    }


def test_a_reverted_landing_is_back_in_flight_and_lands_again(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED

    pool.node.rewind(2)
    pool.node.mine(salt="branch", only=lambda _signed: False)
    pool.node.mine(salt="branch", only=lambda _signed: False)
    pool.node.mine(salt="branch", only=lambda _signed: False)
    pool.settle()

    row = pool.row("one")
    assert (row.state, row.height, row.exit_code, row.tipset_key) == (MessageState.FILLED, 0, -1, "")
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED
    assert pool.nonces_on_chain(address) == [0]


def test_a_reorganisation_to_a_lower_head_reverts_too(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.step()
    pool.step()

    pool.node.rewind(2)
    pool.settle()

    assert pool.row("one").state == MessageState.FILLED


def test_what_the_chain_wants_next_follows_landings_reverts_and_strangers(pool: Pool) -> None:
    address = pool.address()
    quiet = pool.address()
    pool.push("one", address)
    pool.push("two", address)
    pool.choose()
    assert Sender.objects.get(address=address).chain_nonce == 0

    pool.step()
    pool.step()
    assert pool.row("two").state == MessageState.LANDED
    assert Sender.objects.get(address=address).chain_nonce == 2, "nothing was chosen since"
    assert not Sender.objects.filter(address=quiet).exists()

    pool.node.rewind(2)
    pool.settle()
    assert pool.row("one").state == MessageState.FILLED
    assert Sender.objects.get(address=address).chain_nonce == 0

    pool.node.pool[(address, 2)] = pool.foreign(address, nonce=2)
    for _ in range(3):
        pool.step()
    assert Sender.objects.get(address=address).chain_nonce == 3


def test_a_foreign_message_with_our_nonce_displaces_ours(pool: Pool) -> None:
    address = pool.address()
    pool.push("ours", address)
    pool.choose()
    foreign = pool.foreign(address, nonce=0)
    pool.node.pool[(address, 0)] = foreign

    pool.step()
    pool.step()

    row = pool.row("ours")
    assert (row.state, row.landed_cid) == (MessageState.REPLACED, str(foreign.cid))
    assert (row.exit_code, row.gas_used, row.landed_at) == (-1, 0, None), "the receipt is not ours"
    assert row.tipset_key
    assert Sender.objects.get(address=address).foreign_cid == str(foreign.cid)


def test_displaced_message_is_in_flight_after_the_foreign_revert(pool: Pool) -> None:
    address = pool.address()
    pool.push("ours", address)
    pool.choose()
    ours = pool.node.pool[(address, 0)]
    pool.node.pool[(address, 0)] = pool.foreign(address, nonce=0)
    pool.step()
    pool.step()

    pool.node.rewind(2)
    pool.node.pool[(address, 0)] = ours
    for _ in range(3):
        pool.node.mine(salt="branch")
    pool.settle()

    row = pool.row("ours")
    assert (row.state, row.landed_cid) == (MessageState.LANDED, row.cid)


def test_a_foreign_message_beside_ours_moves_the_next_nonce(pool: Pool) -> None:
    address, other = pool.address(), pool.address()
    pool.push("ours", address)
    for name in "abc":
        pool.push(name, other)
    pool.choose()
    pool.step()
    pool.node.pool[(address, 1)] = pool.foreign(address, nonce=1)
    pool.step()
    pool.step()

    assert dict(Sender.objects.values_list("address", "next_nonce")) == {address: 2, other: 3}


def back_after_days(pool: Pool) -> None:
    Head.objects.all().delete()
    pool.follow()
    Head.objects.filter(height__lt=pool.head.height - 5).delete()
    Head.objects.filter(height=pool.head.height - 5).update(is_after_gap=True)
    assert messages_track(head=pool.head, client=pool.client, now=pool.now).has_searched


def test_one_message_of_two_rows_has_landed_as_the_one_in_flight(pool: Pool) -> None:
    """Given up, its nonce went to one with the same content and fees: on chain both are one."""
    address, fees = pool.address(), Gas(limit=2_000_000, fee_cap=10_000, premium=1_000)
    pool.push("given-up", address, gas=fees)
    pool.push("behind", address)
    pool.choose()
    message_mark_bad(message=pool.row("given-up"), now=pool.now)
    del pool.node.pool[(address, 0)]
    pool.step(only=lambda _signed: False)
    pool.push("again", address, gas=fees)
    pool.step(only=lambda _signed: False)
    assert pool.row("again").cid == pool.row("given-up").cid
    for _ in range(20):
        pool.node.mine()

    back_after_days(pool)

    states = {name: pool.row(name).state for name in ("given-up", "again", "behind")}
    assert states == {
        "given-up": MessageState.FAILED,
        "again": MessageState.LANDED,
        "behind": MessageState.LANDED,
    }


def test_after_days_offline_the_node_is_asked(pool: Pool) -> None:
    address = pool.address()
    pool.push("landed", address)
    pool.push("lost", address)
    pool.push("waiting", address)
    pool.choose()
    pool.node.mine(only=lambda signed: signed.message.nonce == 0)
    pool.node.pool[(address, 1)] = pool.foreign(address, nonce=1)
    pool.node.mine(only=lambda signed: signed.message.nonce == 1)
    waiting = pool.node.pool.pop((address, 2))
    for _ in range(30):
        pool.node.mine()
    pool.node.pool[(address, 2)] = waiting

    back_after_days(pool)

    states = {name: pool.row(name).state for name in ("landed", "lost", "waiting")}
    assert states == {
        "landed": MessageState.LANDED,
        "lost": MessageState.REPLACED,
        "waiting": MessageState.FILLED,
    }
    assert pool.row("landed").height == pool.head.height - 31


def test_fork_longer_than_finality_takes_back_all_its_landings(pool: Pool) -> None:
    """As where a node that missed an upgrade is set up anew from a snapshot of the right chain."""
    address, finality = pool.address(), network_current().chain_finality
    for name, epochs in (("before", 4), ("first", finality + 5), ("last", 3)):
        pool.push(name, address)
        pool.choose()
        for _ in range(epochs):
            pool.node.mine()
        pool.settle()

    pool.node.rewind(pool.head.height - 3)
    for _ in range(2 * finality + 10):
        pool.node.mine(salt="branch", only=lambda _signed: False)
    facts = pool.client.chain_head()
    followed = head_follow(client=pool.client, facts=facts, now=pool.now, finality=finality)
    assert followed is not None
    assert followed.has_gap
    done = messages_track(head=followed.head, client=pool.client, now=pool.now)

    assert (done.has_searched, done.reverted) == (True, 2)
    states = [pool.row(name).state for name in ("before", "first", "last")]
    assert states == [MessageState.LANDED, MessageState.FILLED, MessageState.FILLED]


def has_nonce(nonce: int, signed: SignedMessage) -> bool:
    return signed.message.nonce == nonce


def test_a_node_that_goes_away_half_way_leaves_whole_heads(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    for name in "abc":
        pool.push(name, address)
    pool.choose()
    place = Tracker.objects.get(pk=1).key if Tracker.objects.exists() else ""
    for nonce in range(3):
        pool.node.mine(only=partial(has_nonce, nonce))
    pool.node.mine()
    pool.follow()
    real = type(pool.client).chain_get_parent_messages
    left = [3]

    def failing(client: Any, block: str) -> Any:
        if not left[0]:
            raise NodeUnavailable("gone")
        left[0] -= 1
        return real(client, block)

    Tracker.objects.update_or_create(pk=1, defaults={"key": place or Head.objects.get(height=0).key})
    monkeypatch.setattr(type(pool.client), "chain_get_parent_messages", failing)
    with pytest.raises(NodeUnavailable):
        messages_track(head=pool.head, client=pool.client, now=pool.now)
    assert Message.objects.filter(state=MessageState.LANDED).count() == 2

    left[0] = 9
    messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert Message.objects.filter(state=MessageState.LANDED).count() == 3


def test_tracking_the_same_head_again_changes_nothing(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    for _ in range(3):
        pool.step()
    before = Message.objects.values_list("updated_at", flat=True).get()
    Tracker.objects.update(key=pool.head.parent_key)

    messages_track(head=pool.head, client=pool.client, now=pool.now)

    assert Message.objects.values_list("updated_at", flat=True).get() == before
