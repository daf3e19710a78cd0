"""The follower's turn: heads become rows, and the steps of each epoch are handed out once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kombu.exceptions import OperationalError as BrokerAway

from apps.chain.errors import NodeUnavailable, WrongNetwork
from apps.chain.heads.follow import ChainFollower
from apps.chain.heads.steps import Steps, head_steps
from apps.chain.models import Follower, Head, Network, Node
from apps.chain.node.addresses import node_address
from apps.chain.node.client import ChainClient
from apps.chain.node.link import link_to
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.chain.services.networks import network_bind
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.chain.states import NodeCondition
from tests.fake_node import NETWORK, FakeNode, served

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
STEPS = [step.task for step in head_steps()]


class Site:
    """A node, a follower without its listener, and what it sent."""

    def __init__(self, node: FakeNode, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node = node
        self.url = url
        self.now = NOW
        self.sent: list[tuple[str, int, str]] = []
        self.fails_at = -1
        monkeypatch.setattr("apps.core.clock.now", lambda: self.now)
        nodes_sync([url])
        self.follower = self.new_follower()

    def new_follower(self) -> ChainFollower:
        """Start anew, as after a kill."""
        follower = ChainFollower(steps=Steps(send=self.send))
        follower._listener = Silent()  # type: ignore[assignment]  # the test itself says what is heard
        return follower

    def send(self, task: str, *, kwargs: dict[str, Any], queue: str, expires: float) -> None:
        """Stand where Celery's broker is."""
        if len(self.sent) == self.fails_at:
            raise KeyboardInterrupt  # a kill leaves by no handler of ours
        assert queue in {"head", "messages", "proving", "blocks", "io"}
        assert expires > 0
        self.sent.append((task, kwargs["height"], kwargs["key"]))

    def hear(self) -> None:
        """Let the node's head be heard, and take one turn."""
        self.node.clock = int(self.now.timestamp())
        self.follower.box.put(network_client(self.url).chain_head(), node_address(self.url))
        self.follower.turn()

    def heights(self) -> list[int]:
        """Return the epochs whose first step was sent."""
        return [height for task, height, _ in self.sent if task == STEPS[0]]


GRACE = timedelta(seconds=0.25)
"""A quarter of the network's epoch of one second."""


class Silent:
    """A listener that hears nothing."""

    connected_to = ""

    def stop(self) -> None:
        """Nothing runs."""


def network_client(url: str) -> ChainClient:
    return ChainClient([link_to(url, "")])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("apps.chain.heads.follow.WAIT_S", 0.0)
    node = FakeNode()
    node.clock = int(NOW.timestamp())
    node.head.timestamp = node.clock
    with served(node) as url:
        yield Site(node, url, monkeypatch)


def test_a_head_becomes_a_row_and_every_step_is_sent_in_order(site: Site) -> None:
    site.hear()

    assert Head.objects.get().height == 0
    assert [task for task, _, _ in site.sent] == STEPS
    assert {key for _, _, key in site.sent} == {site.node.head.cid}


def test_the_same_head_again_sends_nothing(site: Site) -> None:
    site.hear()
    site.hear()

    assert site.heights() == [0]


def test_a_head_that_a_further_block_joined_needs_no_steps_of_its_own(site: Site) -> None:
    site.hear()
    site.now += timedelta(seconds=1)
    site.node.clock = int(site.now.timestamp())
    site.node.mine()
    site.hear()
    site.node.rewind(1)
    site.node.mine(salt="further")
    site.hear()
    restarted = site.new_follower()
    restarted.turn()

    assert Head.objects.get(is_canonical=True, height=1).cids == [site.node.head.cid]
    assert Head.objects.filter(height=1).count() == 2
    assert site.heights() == [0, 1]
    assert Follower.objects.get().steps_key == site.node.head.cid


def test_a_turn_without_news_asks_the_database_nothing(
    site: Site, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    site.hear()

    with django_assert_num_queries(0):
        site.follower.turn()


def test_an_epoch_without_a_head_has_its_steps_too(site: Site) -> None:
    site.hear()
    site.now += GRACE
    for _ in range(3):
        site.now += timedelta(seconds=1)
        site.follower.turn()

    assert site.heights() == [0, 1, 2, 3]
    assert Head.objects.count() == 1


def test_epoch_with_a_late_head_runs_its_steps_once(site: Site) -> None:
    site.hear()
    site.now += timedelta(seconds=1.2)
    site.follower.turn()
    site.node.mine()
    site.node.head.timestamp = int(NOW.timestamp()) + 1
    site.follower.box.put(network_client(site.url).chain_head(), node_address(site.url))
    site.follower.turn()

    assert site.heights() == [0, 1]


def test_a_head_of_an_epoch_that_already_passed_has_steps_all_the_same(site: Site) -> None:
    site.hear()
    site.now += timedelta(seconds=2) + GRACE
    site.follower.turn()
    site.node.clock = int(site.now.timestamp())
    site.node.mine(nulls=1)
    site.node.head.timestamp = int(site.now.timestamp())
    site.follower.box.put(network_client(site.url).chain_head(), node_address(site.url))
    site.follower.turn()

    assert site.heights() == [0, 2, 2]


def test_without_word_from_any_node_the_clock_stands(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.hear()
    site.follower.box.heard_at -= 60
    site.now += timedelta(seconds=5)

    site.follower.turn()

    assert site.heights() == [0]


def test_a_head_from_before_another_one_led_is_not_followed(site: Site) -> None:
    site.hear()
    stood_by = site.follower
    stood_by.box.put(network_client(site.url).chain_head(), node_address(site.url))
    stood_by.rest()
    site.follower = site.new_follower()
    site.now += timedelta(seconds=1)
    site.node.clock = int(site.now.timestamp())
    site.node.mine()
    site.hear()

    stood_by._listener = site.follower._listener
    stood_by.turn()

    head = head_current()
    assert head is not None
    assert head.height == 1


def test_steps_cut_short_by_a_kill_are_sent_again(site: Site) -> None:
    site.fails_at = 1
    with pytest.raises(KeyboardInterrupt):
        site.hear()
    assert Follower.objects.get().steps_key == ""

    site.fails_at = -1
    site.follower = site.new_follower()
    site.follower.turn()

    assert [task for task, _, _ in site.sent] == [STEPS[0], *STEPS]


def test_an_absent_node_is_survived(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any, **_kwargs: Any) -> None:
        raise NodeUnavailable("gone")

    monkeypatch.setattr("apps.chain.heads.follow.head_follow", away)
    site.hear()
    monkeypatch.undo()

    assert site.sent == []


def test_the_first_answer_binds_the_pool_to_its_network(site: Site) -> None:
    network_bind(network_client(site.url))

    assert Network.objects.get().name == NETWORK
    assert network_current().epoch_s == 1


@pytest.mark.parametrize("other", [FakeNode(network="mainnet"), FakeNode(salt="another genesis")])
def test_another_chain_is_refused_and_marked(site: Site, other: FakeNode) -> None:
    network_bind(network_client(site.url))
    with served(other) as url:
        with pytest.raises(WrongNetwork, match=NETWORK):
            network_bind(network_client(url))

        nodes_sync([site.url, url])
        nodes_probe(now=NOW)

    conditions = dict(Node.objects.values_list("url", "condition"))
    assert conditions == {site.url: NodeCondition.HEALTHY, url: NodeCondition.WRONG_NETWORK}


def test_a_probe_measures_height_lag_and_absence(site: Site) -> None:
    slow = FakeNode()
    for _ in range(6):
        site.node.mine()
    with served(slow) as url:
        nodes_sync([site.url, url, "http://127.0.0.1:9/rpc/v1"])
        nodes_probe(now=NOW)

    rows = {node.url: node for node in Node.objects.all()}
    assert (rows[site.url].head_height, rows[site.url].version) == (6, "tiny")
    assert (rows[url].condition, rows[url].lag_epochs) == (NodeCondition.LAGGING, 6)
    assert rows["http://127.0.0.1:9/rpc/v1"].condition == NodeCondition.AWAY


def behind(site: Site, *, epochs: int) -> FakeNode:
    """Grow the chain and follow it; returns another node that has it but for its newest epochs."""
    backup = FakeNode()
    for left in range(epochs + 2, -1, -1):
        site.node.mine()
        if left == epochs:
            backup.tipsets = dict(site.node.tipsets)
            backup.head = site.node.head
    site.hear()
    return backup


def test_a_backup_that_catches_up_is_behind_also_while_the_others_are_away(site: Site) -> None:
    backup = behind(site, epochs=40)
    with served(backup) as url:
        nodes_sync(["http://127.0.0.1:9/rpc/v1", url])
        nodes_probe(now=NOW)

        row = Node.objects.get(url=url)
        assert (row.condition, row.lag_epochs) == (NodeCondition.LAGGING, 40)


def hear_of(site: Site, node: FakeNode, url: str) -> int:
    """Hear another node's head; returns the height that is followed then."""
    site.follower.box.put(network_client(url).chain_head(), node_address(url))
    site.follower.turn()
    head = head_current()
    assert head is not None
    return head.height


def test_the_head_of_a_node_that_catches_up_is_not_followed(site: Site) -> None:
    backup = behind(site, epochs=40)
    with served(backup) as url:
        nodes_sync([url])
        assert hear_of(site, backup, url) == 43
        backup.tipsets = site.node.tipsets  # headers come first, from the newest down
        assert hear_of(site, backup, url) == 43
        backup.head = backup.tipsets[site.node.head.cid]
        backup.mine()
        assert hear_of(site, backup, url) == 44

    assert not Head.objects.filter(is_canonical=False).exists()


def test_a_head_of_another_branch_is_not_followed_by_a_node_without_ours(site: Site) -> None:
    backup = behind(site, epochs=40)
    backup.mine(salt="orphan")
    with served(backup) as url:
        nodes_sync([url])
        assert hear_of(site, backup, url) == 43
        for _ in range(34):
            backup.mine(salt="branch")
        assert hear_of(site, backup, url) == 38, "heights of branches differ by a few epochs"


def test_lower_head_of_a_heavier_branch_is_followed_without_ours(site: Site) -> None:
    """Its epochs had more blocks, ours were partly null: it is no node that catches up."""
    branch = behind(site, epochs=40)
    for _ in range(10):
        branch.mine(salt="heavier", weight=5)
    with served(branch) as url:
        nodes_sync([url])

        assert hear_of(site, branch, url) == 13


def test_a_deep_reorganisation_to_a_lower_head_is_followed(site: Site) -> None:
    behind(site, epochs=40)
    site.node.rewind(20)
    site.node.mine(salt="branch")

    assert hear_of(site, site.node, site.url) == 24


def test_a_node_that_left_the_settings_is_not_asked(site: Site) -> None:
    nodes_sync(["http://127.0.0.1:9/rpc/v1"])

    assert list(Node.objects.filter(is_enabled=True).values_list("url", flat=True)) == [
        "http://127.0.0.1:9/rpc/v1"
    ]


def test_steps_are_sent_when_the_broker_is_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.chain.heads.follow.WAIT_S", 0.01)
    send = site.send

    def away(*_args: Any, **_options: Any) -> None:
        raise BrokerAway("no socket")

    object.__setattr__(site.follower.steps, "send", away)
    site.node.mine()
    site.hear()
    assert Head.objects.filter(height=1).exists()

    object.__setattr__(site.follower.steps, "send", send)
    site.follower.turn()

    assert site.heights() == [1]
