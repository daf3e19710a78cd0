"""The follower's company: probes beside its turns, and changing over from a node that is not well."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from apps.chain.heads.follow import ChainFollower
from apps.chain.heads.steps import Steps
from apps.chain.models import Head, Node
from apps.chain.services.branches import BRANCH_DEPTH
from apps.chain.states import NodeCondition
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.django_db(transaction=True)
LONGEST_S = 60.0


def turn_until(follower: ChainFollower, is_so: Callable[[], bool]) -> None:
    """Let the follower work until something is so."""
    end = time.monotonic() + LONGEST_S
    while not is_so():
        assert time.monotonic() < end
        follower.turn()


def test_heads_go_on_from_another_node_when_the_followed_one_lies_behind(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.watch.PROBE_EVERY_S", 0.05)
    monkeypatch.setattr("apps.chain.heads.notify.POLL_S", 0.02)
    stuck, good = FakeNode(), FakeNode()
    sent: list[Any] = []
    follower = ChainFollower(steps=Steps(send=lambda task, **_: sent.append(task)))
    with served(stuck) as first, served(good) as second:
        settings.CHAIN_URLS = [first, second]
        try:
            turn_until(follower, lambda: Head.objects.filter(height=0).exists())
            for _ in range(6):
                good.mine()
            turn_until(follower, lambda: Head.objects.filter(height=6).exists())
        finally:
            follower.rest()

    assert Node.objects.get(url=first).condition == NodeCondition.LAGGING
    assert sent


def test_a_running_follower_leaves_a_node_that_missed_an_upgrade(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.watch.PROBE_EVERY_S", 0.05)
    monkeypatch.setattr("apps.chain.heads.notify.POLL_S", 0.02)
    old, *upgraded = nodes = [FakeNode(), FakeNode(), FakeNode()]
    sent: list[Any] = []
    follower = ChainFollower(steps=Steps(send=lambda task, **_: sent.append(task)))
    with served(old) as first, served(upgraded[0]) as second, served(upgraded[1]) as third:
        settings.CHAIN_URLS = [first, second, third]
        try:
            for node in nodes:
                node.mine()
            turn_until(follower, lambda: Head.objects.filter(height=1).exists())
            for _ in range(BRANCH_DEPTH + 2):
                old.mine(salt="old")
                for node in upgraded:
                    node.mine(salt="upgraded", weight=5)
            last = Head.objects.filter(key=upgraded[0].head.cid, is_canonical=True)
            turn_until(
                follower,  # until it is known to be forked, the old node may be followed once more
                lambda: Node.objects.get(url=first).condition == NodeCondition.FORKED and last.exists(),
            )
        finally:
            follower.rest()

    branch = [tipset.cid for tipset in upgraded[0].chain(upgraded[0].head.cid)][1:]
    canonical = Head.objects.filter(is_canonical=True, height__gt=0).order_by("height")
    assert list(canonical.values_list("key", flat=True)) == branch


def test_another_chain_at_the_same_address_is_not_followed(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.watch.PROBE_EVERY_S", 0.05)
    monkeypatch.setattr("apps.chain.heads.notify.POLL_S", 0.02)
    ours, other = FakeNode(), FakeNode(salt="another genesis")
    for _ in range(3):
        ours.mine()
    for _ in range(9):
        other.mine()
    follower = ChainFollower(steps=Steps(send=lambda *_args, **_kwargs: None))
    with served(ours) as url:
        settings.CHAIN_URLS = [url]
        turn_until(follower, lambda: Head.objects.filter(height=3).exists())
    try:
        with served(other, port=urlsplit(url).port or 0):
            turn_until(follower, lambda: Node.objects.get().condition == NodeCondition.WRONG_NETWORK)
            for _ in range(5):
                follower.turn()
            assert follower._listener is not None
            assert not follower._listener.connected_to
            assert "genesis block of" in Node.objects.get().error
        assert Head.objects.filter(is_canonical=True).count() == 4
        assert not Head.objects.filter(key=other.head.cid).exists()
        with served(ours, port=urlsplit(url).port or 0):
            ours.mine()
            turn_until(follower, lambda: Head.objects.filter(height=4, is_canonical=True).exists())
    finally:
        follower.rest()


def test_a_head_of_another_chain_is_refused_before_any_probe_saw_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.heads.watch.PROBE_EVERY_S", 3600.0)
    monkeypatch.setattr("apps.chain.heads.notify.POLL_S", 0.02)
    ours, other = FakeNode(), FakeNode(salt="another genesis")
    other.mine()
    follower = ChainFollower(steps=Steps(send=lambda *_args, **_kwargs: None))
    try:
        with served(ours) as url:
            settings.CHAIN_URLS = [url]
            turn_until(follower, lambda: Head.objects.filter(height=0).exists())
        with served(other, port=urlsplit(url).port or 0):
            turn_until(follower, lambda: Node.objects.get().condition == NodeCondition.WRONG_NETWORK)
        assert Head.objects.get().key == ours.head.cid
    finally:
        follower.rest()
