"""Whether a machine reaches what leading needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ConnectionError as RedisAway

from apps.chain.models import Node
from apps.chain.node.link import link_to
from apps.chain.node.reach import Reach
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from tests.fake_node import FakeNode, served

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("pool_redis")]
AWAY = "http://127.0.0.1:9/rpc/v1"


def test_one_node_of_several_is_enough() -> None:
    with served(FakeNode()) as url:
        nodes_sync([AWAY, url])
        assert Reach()() == ""


def test_a_node_that_a_leader_has_found_away_is_asked_all_the_same() -> None:
    """The leader's cable may be the one that is cut."""
    with served(FakeNode()) as url:
        nodes_sync([url])
        Node.objects.update(condition=NodeCondition.AWAY)
        assert Reach()() == ""


def test_the_node_that_is_not_reached_is_named() -> None:
    nodes_sync([AWAY])
    assert AWAY in Reach()()


def test_a_look_that_fails_says_nothing_to_the_work() -> None:
    """Messages would be published with little patience for a minute after it."""
    link = link_to(AWAY, "")
    before = link.tired_until
    nodes_sync([AWAY])

    assert Reach()()

    assert link.tired_until == before


def test_a_node_that_refuses_is_reached() -> None:
    node = FakeNode()
    node.refuses = lambda _method, _params: "not now"
    with served(node) as url:
        nodes_sync([url])
        assert Reach()() == ""


def test_redis_is_needed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def ping(self) -> None:
            raise RedisAway("cut")

    monkeypatch.setattr("apps.chain.node.reach.redis_client", Gone)
    assert Reach()() == "Redis: cut"


def test_a_look_asks_the_database_once_in_a_while(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with served(FakeNode()) as url:
        nodes_sync([url])
        reach = Reach()
        reach()
        with django_assert_num_queries(0):
            assert reach() == ""
