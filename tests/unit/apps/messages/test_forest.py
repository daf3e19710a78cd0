"""The way of a message where the pool's node is forest, alone or beside lotus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from apps.chain.errors import NodeRefused
from apps.messages.models import Message, Sender
from apps.messages.services.publish import messages_republish
from apps.messages.services.recovery.chain_history import History
from apps.messages.services.select import sender_select
from apps.messages.states import MessageState, Wait
from tests.forest_node import ForestNode
from tests.messaging import Pool, pool_world


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """A pool whose node is forest."""
    with pool_world(monkeypatch, node=ForestNode()) as pool:
        yield pool


def test_forest_takes_a_message_from_push_to_receipt(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)

    pool.choose()
    pool.step()
    pool.step()

    assert pool.row("one").state == MessageState.LANDED


def test_a_nonce_in_two_blocks_of_a_tipset_stops_no_tracking(pool: Pool) -> None:
    address = pool.address()
    pool.step()
    pool.push("one", address)
    pool.choose()
    pool.step()
    cast("ForestNode", pool.node).beside.append(pool.foreign(address, nonce=0))

    pool.step()

    assert pool.row("one").state == MessageState.LANDED


def test_what_forest_has_already_counts_as_accepted(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    for has_landed in (False, True):  # "already in mempool", then "sequence too low"
        Message.objects.update(published_at=None)  # its first answer was lost
        if has_landed:
            pool.node.mine()

        messages_republish(now=pool.now)

        row = pool.row("one")
        assert (row.wait, row.error, row.published_at) == (Wait.IN_POOL, "", pool.now)


def test_an_address_without_an_actor_waits_for_funds_on_forest(pool: Pool) -> None:
    address = pool.address(fil=0)
    pool.push("one", address)

    pool.choose()

    assert Sender.objects.get(address=address).wait == Wait.NO_ACTOR


def test_a_tipset_that_forest_lacks_makes_no_sender_unfunded(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.step()
    pool.step()
    pool.push("two", address)
    lag(pool)

    with pytest.raises(NodeRefused, match="Key for header not found"):
        sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)

    sender = Sender.objects.get(address=address)
    assert (sender.chain_nonce, sender.wait) == (1, "")


def test_history_takes_no_missing_tipset_for_a_nonce_of_zero(pool: Pool) -> None:
    address = pool.address()
    lag(pool)

    with pytest.raises(NodeRefused, match="Key for header not found"):
        History(address, pool.client, pool.head).nonce_at(pool.head.height)


def lag(pool: Pool) -> None:
    """Let the node lack the tipset that is asked about: another one has told of it."""
    text = "Key for header not found"
    pool.node.refuses = lambda method, _params: text if method == "StateGetActor" else None
