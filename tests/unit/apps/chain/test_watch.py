"""The follower's company: probes beside its turns, and changing over from a node that is not well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from apps.chain.follow import ChainFollower, Steps
from apps.chain.models import Head, Node
from apps.chain.states import NodeState
from tests.tinynode import TinyNode, served

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)
LONGEST_S = 15.0


def turn_until(follower: ChainFollower, is_so: Callable[[], bool]) -> None:
    """Let the follower work until something is so."""
    end = time.monotonic() + LONGEST_S
    while not is_so():
        assert time.monotonic() < end
        follower.turn()


def test_heads_go_on_from_another_node_when_the_followed_one_lies_behind(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chain.watch.PROBE_EVERY_S", 0.05)
    monkeypatch.setattr("apps.chain.notify.POLL_S", 0.02)
    stuck, good = TinyNode(), TinyNode()
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

    assert Node.objects.get(url=first).state == NodeState.LAGGING
    assert sent
