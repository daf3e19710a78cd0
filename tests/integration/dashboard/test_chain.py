"""The page Chain: nodes for the operator, tipsets for everybody, and what can be done to a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.chain.models import Network, Node
from apps.chain.node.client import chain_client
from apps.chain.node.link import link_to
from apps.chain.services.nodes import nodes_sync
from apps.chain.services.probes import nodes_probe
from apps.chain.states import NodeCondition, NodeRole
from apps.core.clock import now
from apps.dashboard.live_fragments import fragments_render
from apps.users.rules.principals import SYSTEM
from tests import factories
from tests.fake_node import FakeNode, served
from tests.page_client import signed_in
from tests.people import operator_person, person, principal

pytestmark = pytest.mark.django_db


@pytest.fixture
def url() -> Iterator[str]:
    with served(FakeNode()) as url:
        nodes_sync([url])
        nodes_probe(now=now())
        yield url


@pytest.fixture
def operator() -> Client:
    operator_person("olga")
    return signed_in("olga")


@pytest.fixture
def tenant() -> Client:
    person("ann")
    return signed_in("ann")


def test_the_operator_sees_the_nodes(operator, url):
    html = operator.get("/chain/").content.decode()

    assert url in html
    assert "1 of 1 node healthy." in html
    assert "healthy" in html


def test_a_tenant_sees_tipsets_and_no_node(tenant, url):
    Network.objects.all().delete()
    factories.head(1000)
    html = tenant.get("/chain/").content.decode()

    assert url not in html
    assert "/chain/1000/" in html
    assert "Add a node" not in html


def test_an_empty_pool_has_a_page(operator):
    assert "The pool has no node." in operator.get("/chain/").content.decode()


def test_a_tipset_that_nobody_has_is_not_found(operator):
    assert operator.get("/chain/7/").status_code == 404


def test_tipset_is_found_by_height_with_links_to_its_neighbours(operator):
    for height in (1000, 1001, 1004):
        factories.head(height)

    assert operator.get("/chain/", {"height": "1001"}).url == "/chain/1001/"
    assert operator.get("/chain/", {"height": " 1003 "}).url == "/chain/1001/", "1003 was a null round"
    assert operator.get("/chain/", {"height": "9999"}).url == "/chain/1004/"
    html = operator.get("/chain/1001/").content.decode()
    assert 'rel="prev" href="/chain/1000/"' in html
    assert 'rel="next" href="/chain/1004/"' in html
    html = operator.get("/chain/1000/").content.decode()
    assert 'rel="prev"' not in html


@pytest.mark.parametrize("text", ["999", "-1", "head", "9" * 40, "²"])
def test_a_height_without_a_tipset_is_said_so_where_it_was_typed(operator, text):
    factories.head(1000)

    answer = operator.get("/chain/", {"height": text})

    assert answer.status_code == 404
    assert "No tipset stored at or before" in answer.content.decode()
    assert 'href="/chain/1000/"' in answer.content.decode()


def test_a_tipset_shows_its_blocks_even_without_a_node(operator):
    head = factories.head(1000, miners=["f01000"])
    factories.head(1001, parent_key=head.key)

    html = operator.get("/chain/1000/").content.decode()

    assert head.cids[0] in html
    assert "f01000" in html
    assert "no readable node" in html


def test_a_node_is_tested_then_added(operator, url):
    with served(FakeNode()) as spare:
        form = {"url": spare, "name": "spare", "role": "BACKUP", "weight": "3"}
        assert (
            "Node is reachable." in operator.post("/chain/nodes/add/", form | {"test": "1"}).content.decode()
        )
        assert Node.objects.count() == 1

        assert operator.post("/chain/nodes/add/", form).status_code == 302

    row = Node.objects.get(url=spare)
    assert (row.name, row.role, row.weight, row.condition) == (
        "spare",
        NodeRole.BACKUP,
        3,
        NodeCondition.HEALTHY,
    )


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"url": "http://127.0.0.1:9/rpc/v1"}, "127.0.0.1:9"),
        ({"url": "nonsense"}, "is not a node address"),
        ({"url": "http://127.0.0.1:9", "weight": "many"}, "whole number"),
        ({"url": "http://127.0.0.1:9", "role": "READ"}, "choose one of the options"),
    ],
)
def test_what_does_not_serve_is_refused_with_the_reason(operator, url, form, words):
    answer = operator.post("/chain/nodes/add/", {"role": "MAIN", **form})

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Node.objects.count() == 1


def test_a_node_of_another_network_is_refused(operator, url):
    with served(FakeNode(network="mainnet")) as other:
        answer = operator.post("/chain/nodes/add/", {"url": other, "role": "MAIN"})

    assert answer.status_code == 422
    assert "mainnet" in answer.content.decode()


def test_nodes_are_switched_and_promoted(operator, url):
    other = Node.objects.create(url="http://other/rpc/v1", role=NodeRole.BACKUP, is_configured=False)

    operator.post(f"/chain/nodes/{other.pk}/promote/")
    other.refresh_from_db()
    assert (other.role, other.weight) == (NodeRole.MAIN, 2)
    operator.post(f"/chain/nodes/{other.pk}/disable/")
    other.refresh_from_db()
    assert not other.is_enabled
    operator.post(f"/chain/nodes/{other.pk}/enable/")
    other.refresh_from_db()
    assert other.is_enabled


def test_the_last_node_stays_on(operator, url):
    node = Node.objects.get()
    answer = operator.post(f"/chain/nodes/{node.pk}/disable/", headers={"HX-Request": "true"})

    assert answer.status_code == 422
    assert "last node" in answer.content.decode()


def test_a_tenant_can_do_nothing_to_nodes(tenant, url):
    node = Node.objects.get()

    assert tenant.get("/chain/nodes/add/").status_code == 404
    assert tenant.post("/chain/nodes/add/", {"url": url}).status_code == 404
    assert tenant.post(f"/chain/nodes/{node.pk}/disable/").status_code == 404
    assert Node.objects.get().is_enabled


def test_a_change_of_a_node_is_pushed_to_the_operator_alone(url):
    changes = {("node", str(Node.objects.get().pk))}

    assert url in fragments_render(changes, viewer=SYSTEM, page="chain")
    assert url not in fragments_render(changes, viewer=principal(), page="chain")


def goes_behind(_bad: FakeNode, good: FakeNode) -> None:
    for _ in range(4):
        good.mine()


def answers_garbage(bad: LyingNode, _good: FakeNode) -> None:
    bad.garbage = True


def changes_network(bad: FakeNode, _good: FakeNode) -> None:
    bad.network = "mainnet"


class LyingNode(FakeNode):
    """A node that can be made to answer what nobody can read."""

    garbage = False

    def do_ChainHead(self) -> Any:
        return {"Cids": []} if self.garbage else super().do_ChainHead()


@pytest.mark.parametrize(
    ("trouble", "word", "reason"),
    [
        (None, "not responding", "http"),
        (answers_garbage, "not responding", "could not be parsed"),
        (goes_behind, "behind", "4 epochs behind the newest head"),
        (changes_network, "another network", "mainnet"),
    ],
    ids=["dies", "garbage", "behind", "network"],
)
def test_the_page_says_what_happened_to_a_node_while_reads_go_on(operator, trouble, word, reason):
    first, second = LyingNode(), FakeNode()
    with served(second) as good:
        with served(first) as bad:
            nodes_sync([bad, good])
            nodes_probe(now=now())
            assert [link.url for link in chain_client().links] == [bad, good]
            if trouble is not None:
                trouble(first, second)
                nodes_probe(now=now())
        if trouble is None:
            link_to.cache_clear()  # the test's server ends its open connections only with the process
            nodes_probe(now=now())

        assert chain_client().links[0].url == good
        assert chain_client().chain_head().height == second.head.height
    html = operator.get("/chain/").content.decode()
    row = html.partition(bad)[2].partition("</tbody>")[0]
    assert word in row
    assert reason in row
    assert "1 of 2 nodes healthy" in html


@pytest.fixture
def unready(operator):
    """A head 60 epochs before an upgrade that one of two nodes does not know."""
    factories.head(1000)
    return Node.objects.create(
        url="http://old.example/rpc/v1", name="old", version="lotus 1.30", upgrades={"GoldenWeek": 5}
    )


def test_the_page_says_which_node_is_ready_for_the_upgrade(operator, unready):
    Node.objects.create(url="http://new.example/rpc/v1", name="new", upgrades={"FireHorse": 1060})

    html = operator.get("/chain/").content.decode()

    row = html.partition(f'id="f-node-{unready.pk}"')[2].partition("</tbody>")[0]
    assert "nv28: not ready" in row
    assert "nv28: ready" in html
    facts = html.partition('id="f-network"')[2].partition("</section>")[0]
    assert "old: its release does not support it: install a newer one" in facts
    assert "1 of 2 nodes" in facts
    assert "Upgrade FireHorse (nv28)" in facts


def test_today_warns_the_operator_of_a_node_that_is_not_ready(operator, unready):
    Node.objects.create(url="http://new.example/rpc/v1", name="new", upgrades={"FireHorse": 1060})

    words = operator.get("/").content.decode()

    assert "node old is not ready for upgrade FireHorse (nv28) in " in words
    unready.upgrades = {"FireHorse": 1060}
    unready.save()
    assert "is not ready" not in operator.get("/").content.decode()
