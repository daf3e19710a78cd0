"""The console follows a real devnet through random forks: each change is counted once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from apps.chain.heads.notify import HeadListener, LatestHead
from apps.chain.models import Head
from apps.chain.node.addresses import NodeAddress
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.chain.services.heads import head_follow
from apps.core.clock import now
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.forks import reorg
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.devnet.service import Service
from poolsite.filecoin.amounts import FIL
from tests.unit.devnet.people import person, signed

pytestmark = pytest.mark.django_db

SENDERS = [person(f"storm {number}") for number in range(20)]
FEES = {"gas_fee_cap": 10**10, "gas_premium": 100_000, "gas_limit": 2_000_000}
CATCHES_UP_S = 60.0


class View:
    """A reader's chain, kept by what the follower says was taken back and what was added."""

    def __init__(self, url: str) -> None:
        self.client = ChainClient([link_to(url, "")])
        self.box = LatestHead()
        address = NodeAddress.of(url=url, token="")
        self.listener = HeadListener(
            addresses=lambda: [address], client=lambda _address: self.client, on_head=self.box.put
        )
        self.keys: list[str] = []
        self.changes = 0
        self.listener.start()

    def follow_to(self, key: str, *, finality: int) -> None:
        """Take heads as they are heard until this one is reached."""
        until = time.monotonic() + CATCHES_UP_S
        while not self.keys or self.keys[-1] != key:
            assert time.monotonic() < until, "the follower does not reach the head"
            facts, _ = self.box.take(0.5) or (None, None)
            if facts is None:
                continue
            result = head_follow(client=self.client, facts=facts, now=now(), finality=finality)
            if result is None:
                continue
            self.changes += 1
            assert not (set(result.applied) & set(result.reverted))
            for gone in result.reverted:
                assert self.keys.pop() == gone
            for joined in result.applied:
                parent = Head.objects.get(key=joined).parent_key
                assert not self.keys or parent == self.keys[-1]
                assert joined not in self.keys
                self.keys.append(joined)


@pytest.fixture
def node() -> Iterator[Devnet]:
    funds = {who.address: 10_000 * FIL for who in SENDERS}
    node = Devnet(
        ":memory:", network="test", clock=ManualClock(), funds=funds, profile=Profile(null_free=True)
    )
    node.faults.settings.hide_messages = True
    yield node
    node.close()


def fill(node: Devnet, pending: int, pushed: int) -> int:
    """Bring the pool up to so many messages; gives how many were ever pushed."""
    missing = pending - len(node.mempool.pending())
    for number in range(missing):
        who = SENDERS[(pushed + number) % len(SENDERS)]
        node.mempool.push(signed(node, who, SENDERS[0].address, value=1, **FEES))
    return pushed + max(missing, 0)


def key_of(node: Devnet) -> str:
    return " ".join(str(cid) for cid in node.head.tipset.key.cids)


def storm(node: Devnet, *, forks: int, deepest: int, pending: int, seed: int) -> None:
    rng = random.Random(seed)
    node.mine(deepest + 5)
    pushed = fill(node, pending, 0)
    with Service(node, mining="paused") as service:
        view = View(service.url)
        try:
            finality = 900
            view.follow_to(key_of(node), finality=finality)
            for _ in range(forks):
                if rng.random() < 0.3:
                    node.null_rounds(rng.randrange(1, 4))
                node.mine(rng.randrange(1, 3))
                reorg(
                    node,
                    rng.randrange(1, deepest + 1),
                    nulls=rng.randrange(3),
                    with_messages=rng.random() < 0.3,
                )
                view.follow_to(key_of(node), finality=finality)
                pushed = fill(node, pending, pushed)
        finally:
            view.listener.stop()
    chain = [" ".join(str(cid) for cid in one.key.cids) for one in node.chain.ancestors(node.head.tipset)]
    assert view.keys == chain[::-1]
    rows = Head.objects.filter(is_canonical=True).order_by("height").values_list("key", flat=True)
    assert list(rows) == view.keys
    assert view.changes >= forks

    node.faults.settings.hide_messages = False
    node.mine(4)
    assert node.mempool.pending() == []
    assert sum(node.mempool.next_nonce(who.address) for who in SENDERS) == pushed


def test_the_followers_view_is_the_chains_through_forks(node: Devnet) -> None:
    storm(node, forks=8, deepest=6, pending=100, seed=4)


@pytest.mark.slow
def test_fifty_forks_up_to_twenty_deep_under_a_thousand_pending_messages(node: Devnet) -> None:
    storm(node, forks=50, deepest=20, pending=1000, seed=20)
