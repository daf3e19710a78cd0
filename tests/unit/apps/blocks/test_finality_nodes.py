"""Several nodes that run F3, some of which refuse, hang, or lose an answer: one at most votes for a miner."""

from __future__ import annotations

import base64
from datetime import timedelta
from importlib import import_module
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps

from apps.blocks.models import F3Lease
from apps.blocks.reasons import NOT_MINED
from apps.blocks.services import finality
from apps.blocks.services.finality import f3_stop
from apps.blocks.services.finality_tickets import REFUSAL_TEXTS, ticket_end
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.checks.findings import blocks
from apps.core import clock
from apps.core.live import Change
from poolsite.devnet.participation import Lease, ticket_of
from tests import factories
from tests.unit.apps.blocks.finality_nodes import (
    PROGRESS,
    TICKET,
    VOTE,
    Node,
    away,
    participate,
    participate_all,
)

pytestmark = pytest.mark.django_db


def test_a_node_that_refuses_is_followed_by_the_next() -> None:
    miner, first, second = factories.miner(2001), Node("http://a"), Node("http://b")
    first.fails[TICKET] = NodeRefused(1, "missing permission to invoke")

    lease = participate(miner, first, second)

    assert (lease.node, lease.reason, second.votes_for()) == ("http://b", "", [2001])


def test_a_node_that_does_not_vote_by_its_ticket_frees_the_miner() -> None:
    miner, first, second = factories.miner(2001), Node("http://a"), Node("http://b")
    first.fails[VOTE] = NodeRefused(REFUSAL_TEXTS["f3 isn't yet ready"], "f3 isn't yet ready to participate")

    assert participate(miner, first, second).node == "http://b"
    assert second.votes_for() == [2001]


def test_an_answer_that_is_lost_leaves_no_second_node_that_votes() -> None:
    miner, first, second = factories.miner(2001), Node("http://a"), Node("http://b")
    first.loses = {VOTE}
    lease = participate(miner, first, second)
    assert (first.votes_for(), second.votes_for()) == ([2001], [])
    assert (lease.node, lease.reserved_until, lease.runs_at(clock.now())) == ("http://a", 105, False)

    first.fails = away()
    both = []
    for _ in range(8):
        lease = participate(miner, first, second)
        both.append((first.votes_for(), second.votes_for()))
        first.instance = second.instance = first.instance + 1

    assert ([2001], [2001]) not in both
    assert both[5:] == [([2001], []), ([], [2001]), ([], [2001])]
    assert (lease.node, lease.reason) == ("http://b", "")


def test_a_kill_between_ticket_and_vote_goes_on_with_the_same_node() -> None:
    class Killed(BaseException):
        """As `kill -9`: nothing catches it."""

    def kill() -> None:
        raise Killed

    miner, first, second = factories.miner(2001), Node("http://a"), Node("http://b")
    first.before[VOTE] = kill
    with pytest.raises(Killed):
        participate(miner, first, second)

    lease = participate(miner, second, first)

    assert (lease.node, lease.reason) == ("http://a", "")
    assert (first.votes_for(), second.votes_for()) == ([2001], [])


def test_two_services_at_once_leave_one_node_that_votes() -> None:
    miner, first, second = factories.miner(2001), Node("http://a"), Node("http://b")

    def other_service() -> None:
        participate(miner, second)

    first.before[TICKET] = other_service

    participate(miner, first)

    assert (first.votes_for(), second.votes_for()) == ([], [2001])
    assert F3Lease.objects.get().node == "http://b"


def test_a_hung_node_is_asked_once_in_a_pass() -> None:
    miners = [factories.miner(of) for of in (2001, 2002, 2003)]
    first, second = Node("http://a"), Node("http://b")
    first.fails[TICKET] = NodeUnavailable("no answer in 5 s")

    participate_all(miners, first, second, now=clock.now())

    assert first.calls.count(TICKET) == 1
    assert second.votes_for() == [2001, 2002, 2003]


def test_nodes_are_asked_beside_each_other() -> None:
    miner, nodes = factories.miner(2001), [Node(f"http://{name}") for name in "abc"]
    together = Barrier(len(nodes), timeout=60)
    for node in nodes:
        node.before[PROGRESS] = lambda: (together.wait(), None)[1]

    participate(miner, *nodes)

    assert not together.broken, "one that hangs holds up no other"


def test_pages_hear_of_each_change_of_a_lease_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Change] = []
    monkeypatch.setattr(finality, "publish_all", told.extend)
    miner, node = factories.miner(2001), Node("http://a")
    own = Change("f3", str(miner.uuid), miner.tenant_id)

    participate(miner, node)
    assert told == [own]
    participate(miner, node)
    assert told == [own], "nothing changed"
    node.instance += 1
    participate(miner, node)
    f3_stop([], links=list, reason=NOT_MINED(), now=clock.now())
    f3_stop([], links=list, reason=NOT_MINED(), now=clock.now())

    assert told == [own] * 3


def test_a_stopped_miners_ticket_goes_a_day_and_its_instances_later() -> None:
    migration = import_module("apps.blocks.migrations.0002_f3_reservations")
    F3Lease.objects.create(miner=factories.miner(2001), node="http://a", ticket="dA==", ends=105)
    migration.leases_reserve(apps, None)
    node: Any = Node("http://a", instance=106)

    def stopped(*nodes: Any, days: int) -> bool:
        at = clock.now() + timedelta(days=days)
        f3_stop([], links=lambda: nodes, reason=NOT_MINED(), now=at)
        return not F3Lease.objects.exists()

    assert not stopped(node, days=0)
    assert F3Lease.objects.get().reserved_until == 105, "no other node votes before"
    assert not node.calls, "nothing is old enough to ask for"
    assert not stopped(days=2), "which instance runs, nobody says"
    node.instance = 105
    assert not stopped(node, days=2), "F3 stood still for a day"
    node.instance = 106
    assert stopped(node, days=2)


def test_a_failing_lease_keeps_the_instance_that_nodes_are_at() -> None:
    miner, first, second = factories.miner(2001), Node("http://a"), Node("http://b")
    participate(miner, first, second)
    first.fails = away()

    seen = []
    for _ in range(3):
        second.instance += 1
        seen.append(participate(miner, first, second).instance)

    assert seen == [101, 102, 103]


def test_where_all_nodes_are_away_the_miner_is_a_finding() -> None:
    miner, node = factories.miner(2001), Node("http://a")
    participate(miner, node)
    now = clock.now()
    node.fails = away()

    def found(minutes: int) -> list[str]:
        at = now + timedelta(minutes=minutes)
        participate_all([miner], node, now=at)
        data: Any = SimpleNamespace(at=at, f3_leases=[F3Lease.objects.select_related("miner").get()])
        return [one.reason for one in blocks.f3_lease_lost(data)]

    assert [found(0), found(4)] == [[], []]
    [detail] = found(6)
    assert "lease renewal has been failing for 6 min 00 s: no node that runs F3 responds" in detail


def test_an_instance_that_no_database_keeps_stops_no_other_miner() -> None:
    miners = [factories.miner(of) for of in (2001, 2002)]
    first, second = Node("http://a"), Node("http://b", instance=1 << 63)
    first.before[VOTE] = lambda: setattr(first, "_answer", lambda *_: huge())

    def huge() -> dict[str, Any]:
        del first._answer
        return {"Network": "net", "Issuer": "a", "FromInstance": 1 << 63, "ValidityTerm": 5}

    participate_all(miners, second, first, now=clock.now())

    rows = F3Lease.objects.order_by("miner__actor_id").values_list("reason", flat=True)
    assert list(rows) == ["the node's response could not be parsed", ""]


def test_the_end_of_a_ticket_is_read_from_it() -> None:
    made = ticket_of(Lease("net", "http://a", 2001, 40, 5))

    assert ticket_end(base64.b64encode(made).decode(), instance=39) == 45
    assert ticket_end("b2xk", instance=39) == 46, "of an unknown form: a little later than it can be"
    assert ticket_end("no base64", instance=39) == 46
