"""Network upgrades: what the nodes announce, and which node is ready."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.chain.models import Node
from apps.chain.selectors.upgrades import (
    FAR_EPOCHS,
    Upgrade,
    nodes_unready,
    readiness,
    upgrades_after,
    upgrades_among,
)
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from poolsite.filecoin.upgrades import UPGRADES, heights_read
from tests.fake_node import FakeNode, served

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
FIRE = Upgrade("FireHorse", 1060)
UNDATED = 999_999_999_999_999


def forks(**heights: Any) -> dict[str, Any]:
    return {"ForkUpgradeParams": {f"Upgrade{name}Height": at for name, at in heights.items()}}


class Announcing(FakeNode):
    """A node whose release knows some upgrades."""

    def __init__(self, **heights: int) -> None:
        super().__init__()
        self.heights = heights

    def do_StateGetNetworkParams(self) -> Any:
        return {**super().do_StateGetNetworkParams(), **forks(**self.heights)}


def test_epochs_are_read_from_a_nodes_parameters():
    params = forks(FireHorse=1060, Smoke=-1, Odd="soon", Flag=True)
    params["ForkUpgradeParams"]["BreezeGasTampingDuration"] = 120

    assert heights_read(params) == {"FireHorse": 1060, "Smoke": -1}
    assert heights_read(None) == heights_read({}) == heights_read({"ForkUpgradeParams": 5}) == {}


def test_the_next_upgrade_comes_first_and_most_nodes_are_right():
    told = [
        {"FireHorse": 1060, "Smoke": -1, "Later": UNDATED},
        {"FireHorse": 1060, "Next": 1010},
        {"FireHorse": 1090},
        {},
    ]

    assert upgrades_among(told, 1000) == [Upgrade("Next", 1010), FIRE]
    assert upgrades_among(told, 1060) == [Upgrade("FireHorse", 1090)]
    assert upgrades_among([], 1000) == []


@pytest.mark.parametrize(
    ("heights", "is_ready", "words"),
    [
        ({"FireHorse": 1060}, True, "its release supports it"),
        ({"GoldenWeek": 5}, False, "its release does not support it: install a newer one"),
        ({"FireHorse": UNDATED}, False, "its release has no epoch for it: install a newer one"),
        ({"FireHorse": 1090}, False, "it expects it at epoch 1,090, not 1,060"),
        ({}, None, "it does not report which upgrades it supports"),
    ],
)
def test_a_node_is_ready_if_its_release_knows_the_upgrade(heights, is_ready, words):
    node = Node(url="http://node/rpc/v1", version="lotus 1.36", upgrades=heights)

    found = readiness(node, FIRE)

    assert (found.is_ready, found.reason) == (is_ready, words)


def test_versions_are_known_by_the_upgrades_names():
    assert FIRE.network_version == 28
    assert Upgrade("Unheard", 5).title == "Unheard"
    assert UPGRADES[-1].name == "FireHorse"
    assert FAR_EPOCHS > 1_000_000


@pytest.mark.django_db
def test_probes_find_the_node_that_will_leave_the_chain():
    new, old = Announcing(FireHorse=1060, GoldenWeek=1), Announcing(GoldenWeek=1)
    for chain in (new, old):
        chain.mine()
    with served(new) as first, served(old) as second:
        nodes_sync([first, second])
        nodes_probe(now=NOW)

        assert upgrades_after(1) == [FIRE]
        [(node, found)] = nodes_unready(1)
        assert node.url == second
        assert found.is_ready is False
        assert "does not support it" in found.reason
        Node.objects.filter(url=second).update(is_enabled=False)
        assert nodes_unready(1) == []
        assert nodes_unready(1060) == []


@pytest.mark.django_db
def test_a_node_without_parameters_is_unknown_not_unready():
    node = FakeNode()
    node.mine()
    node.lacks.add("StateGetNetworkParams")
    other = Announcing(FireHorse=1060)
    other.mine()
    with served(other) as first, served(node) as second:
        nodes_sync([first, second])
        nodes_probe(now=NOW)

        assert Node.objects.get(url=second).upgrades == {}
        assert nodes_unready(1) == []
