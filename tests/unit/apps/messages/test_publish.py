"""Publishing: to every node, repeatable, with the node's words on the right message."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from apps.chain.models import Node
from apps.chain.node.link import link_to
from apps.chain.states import NodeCondition
from apps.messages.models import ExtraNode, Message
from apps.messages.services.publish import messages_republish, publishing_nodes_list
from apps.messages.services.select import sender_select
from apps.messages.states import MessageState, Wait
from tests.fake_node import FakeNode, served
from tests.messaging import Pool


def test_what_was_signed_but_not_published_goes_out_on_the_next_head(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    sender_select(address=address, head=pool.head, client=pool.client, now=pool.now)
    assert not pool.node.pool

    messages_republish(now=pool.now)

    assert (address, 0) in pool.node.pool
    assert pool.row("one").published_at is not None


def test_a_lost_pool_is_filled_again(pool: Pool) -> None:
    address = pool.address()
    for name in "ab":
        pool.push(name, address)
    pool.choose()
    pool.node.pool.clear()

    messages_republish(now=pool.now)

    assert sorted(pool.node.pool) == [(address, 0), (address, 1)]


def test_only_what_is_missing_is_sent_again(pool: Pool) -> None:
    address = pool.address()
    for name in "abc":
        pool.push(name, address)
    pool.choose()
    del pool.node.pool[(address, 2)]
    pool.node.calls.clear()

    messages_republish(now=pool.now)

    assert pool.node.calls.count("MpoolPush") == 1
    assert len(pool.node.pool) == 3


def test_every_node_gets_it_and_a_dead_one_stops_nobody(pool: Pool) -> None:
    address = pool.address()
    second = FakeNode()
    second.balances[address] = 10**20
    Node.objects.create(url="http://127.0.0.1:9/rpc/v1", position=1)
    with served(second) as url:
        ExtraNode.objects.create(name="second", url=url)
        pool.push("one", address)
        pool.choose()

    assert (address, 0) in pool.node.pool
    assert (address, 0) in second.pool
    assert pool.row("one").wait == Wait.IN_POOL


@pytest.mark.parametrize("is_extra", [False, True])
def test_a_node_that_hangs_is_waited_for_two_seconds(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, is_extra: bool
) -> None:
    monkeypatch.setattr("apps.messages.services.publish.AWAY_S", 0.2)
    address = pool.address()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/rpc/v1"
        if is_extra:
            ExtraNode.objects.create(name="silent", url=url)
            link_to(url, "").failed("it did not answer just now")
        else:
            Node.objects.create(url=url, position=1, condition=NodeCondition.AWAY)
        pool.push("one", address)
        started = time.monotonic()

        pool.choose()

        assert time.monotonic() - started < 10
    assert pool.row("one").wait == Wait.IN_POOL


@pytest.mark.parametrize("url", ["127.0.0.1:3453", "http://127.0.0.1:99999", "http://[::1"])
def test_an_extra_node_that_cannot_be_read_stops_nobody(pool: Pool, url: str) -> None:
    address = pool.address()
    ExtraNode.objects.create(name="typo", url=url)
    pool.push("one", address)

    pool.choose()

    assert (address, 0) in pool.node.pool


def test_an_extra_node_may_have_any_token(pool: Pool) -> None:
    ExtraNode.objects.create(name="second", url="http://127.0.0.1:9", token="plain")

    links = publishing_nodes_list()

    assert [(link.url, link.token) for link, _ in links[1:]] == [("http://127.0.0.1:9/rpc/v1", "plain")]


def test_an_extra_node_that_answers_nonsense_stops_nobody(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    pool.node.pool.clear()
    second = FakeNode()
    second.balances[address] = 10**20
    monkeypatch.setattr(second, "do_MpoolGetNonce", lambda _address: None)
    with served(second) as url:
        ExtraNode.objects.create(name="second", url=url)

        messages_republish(now=pool.now)

    assert (address, 0) in pool.node.pool


@pytest.mark.parametrize("kind", ["bls", "secp256k1"])
def test_a_refusal_is_written_on_the_message_it_meant(pool: Pool, kind: str) -> None:
    address = pool.address(kind=kind)

    def refuse(method: str, params: list[Any]) -> str | None:
        is_second = method == "MpoolPush" and params[0]["Message"]["Nonce"] == 1
        return "too many pending messages for actor" if is_second else None

    pool.node.refuses = refuse
    pool.push("a", address)
    pool.push("b", address)

    pool.choose()

    assert (pool.row("a").wait, pool.row("a").error) == (Wait.IN_POOL, "")
    assert (pool.row("b").wait, pool.row("b").error) == (
        Wait.NODE_REFUSES,
        "too many pending messages for actor",
    )
    pool.node.refuses = lambda _method, _params: None
    messages_republish(now=pool.now)
    assert (pool.row("b").wait, pool.row("b").error) == (Wait.IN_POOL, "")


def test_publishing_again_is_harmless(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.choose()
    Message.objects.update(published_at=None)

    messages_republish(now=pool.now)

    assert pool.row("one").error == ""
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED
