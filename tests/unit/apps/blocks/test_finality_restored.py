"""A restored database knows nothing of newer tickets: no second node ever votes for a miner."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.blocks.models import F3Lease
from apps.blocks.services import finality
from apps.chain.errors import NodeRefused
from apps.chain.models import Node as NodeRow
from apps.core import clock
from apps.messages.services.recovery.detect import recovery_begin
from tests import factories
from tests.unit.apps.blocks.finality_nodes import (
    PROGRESS,
    TICKET,
    VOTE,
    VOTERS,
    Node,
    away,
    participate,
    participate_all,
)

pytestmark = pytest.mark.django_db
BOTH = ([2001], [2001])


@pytest.fixture
def nodes() -> tuple[Node, Node]:
    found = Node("http://a"), Node("http://b")
    for node in found:
        NodeRow.objects.create(url=node.url, condition="HEALTHY", checked_at=clock.now())
    return found


def restored(backup: F3Lease | None) -> None:
    """Put the row of a backup back; a console that starts notices it, and asks its nodes."""
    F3Lease.objects.all().delete()
    if backup is not None:
        backup.save(force_insert=True)
    at = clock.now()
    recovery_begin("restored", now=at)
    NodeRow.objects.update(checked_at=at + timedelta(seconds=1))


def backup_with_a_newer_ticket(nodes: tuple[Node, Node]) -> tuple[F3Lease, F3Lease]:
    """The backup knows of the first node, and the second took over since."""
    first, second = nodes
    old = participate(factories.miner(2001), first)
    first.instance = second.instance = 107
    first.fails = away()
    newer = participate(old.miner, second)
    assert (old.node, newer.node) == (first.url, second.url)
    first.fails = {}
    return old, newer


def test_the_one_node_that_votes_is_gone_on_with(nodes: tuple[Node, Node]) -> None:
    old, newer = backup_with_a_newer_ticket(nodes)
    restored(old)

    lease = participate(old.miner, *nodes)

    assert (lease.node, lease.reason, lease.restored_until) == (newer.node, "", 114)
    assert (nodes[0].votes_for(), nodes[1].votes_for()) == ([], [2001])


@pytest.mark.parametrize("known", [True, False])
def test_a_node_that_is_away_may_vote_until_its_lease_is_over(nodes: tuple[Node, Node], known: bool) -> None:
    old, _newer = backup_with_a_newer_ticket(nodes)
    first, second = nodes
    restored(old if known else None)
    second.fails = away()

    seen = []
    for _ in range(9):
        lease = participate(old.miner, *nodes)
        seen.append((first.votes_for(), second.votes_for()))
        assert lease.is_in_doubt == (lease.instance <= 114)
        first.instance = second.instance = first.instance + 1

    assert BOTH not in seen
    assert [of_first for of_first, _ in seen] == [[]] * 8 + [[2001]]
    assert lease.reason == ""


def test_two_nodes_that_vote_are_both_left_alone(nodes: tuple[Node, Node]) -> None:
    miner, tickets = factories.miner(2001), []
    for node in nodes:  # as two programs did
        F3Lease.objects.all().delete()
        participate(miner, node)
        tickets.append(node.calls.count(TICKET))
    restored(None)

    for _ in range(8):
        lease = participate(miner, *nodes)
        assert [node.calls.count(TICKET) for node in nodes] == tickets
        for node in nodes:
            node.instance += 1
        if lease.instance == 100:
            wanted = (
                "the database was restored and 2 nodes vote for it: a lease is requested from instance 108 on"
            )
            assert lease.reason == wanted
    lease = participate(miner, *nodes)
    assert (lease.reason, nodes[0].votes_for(), nodes[1].votes_for()) == ("", [2001], [])


def test_while_a_node_does_not_tell_for_whom_it_votes_none_is_asked(nodes: tuple[Node, Node]) -> None:
    old, _newer = backup_with_a_newer_ticket(nodes)
    restored(old)
    nodes[0].fails[VOTERS] = NodeRefused(1, "not now")

    assert "a node may vote for it" in participate(old.miner, *nodes).reason

    nodes[0].fails = {}
    assert participate(old.miner, *nodes).node == nodes[1].url


def test_which_instance_runs_only_a_node_in_sync_can_tell(nodes: tuple[Node, Node]) -> None:
    old, _newer = backup_with_a_newer_ticket(nodes)
    restored(old)
    NodeRow.objects.update(condition="LAGGING")
    nodes[1].fails = away()
    nodes[0].instance = 90

    lease = participate(old.miner, *nodes)
    assert (lease.restored_until, lease.is_in_doubt) == (None, True)
    assert "no node in sync" in lease.reason
    nodes[0].instance = 500
    assert participate(old.miner, *nodes).is_in_doubt, "however far it is"

    NodeRow.objects.filter(url="http://a").update(condition="HEALTHY")
    nodes[0].instance = 108
    assert participate(old.miner, *nodes).restored_until == 115


def test_a_node_that_is_behind_lists_leases_that_have_ended(nodes: tuple[Node, Node]) -> None:
    old = participate(factories.miner(2001), nodes[0])
    restored(old)
    nodes[1].instance = 120

    lease = participate(old.miner, *nodes)

    assert nodes[0].votes_for() == [2001], "at its instance 100"
    assert (lease.ticket, lease.restored_until, nodes[0].calls.count(TICKET)) == ("", 127, 1)


def test_a_lease_of_the_backup_that_runs_still_is_another_nodes_no_more(nodes: tuple[Node, Node]) -> None:
    old = participate(factories.miner(2001), nodes[0])
    restored(old)
    nodes[0].fails[PROGRESS] = NodeRefused(1, "not now")

    lease = participate(old.miner, *nodes)

    assert (lease.runs_at(clock.now()), lease.reserved_until) == (False, 105), "nobody said that it runs"
    assert nodes[1].votes_for() == []
    nodes[0].fails = {}
    assert participate(old.miner, *nodes).node == nodes[0].url


class Killed(BaseException):
    """As `kill -9`: nothing catches it."""


@pytest.mark.parametrize("when", ["mark", "until", TICKET, VOTE])
def test_a_kill_in_the_wait_leaves_one_node_that_votes(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    old, _newer = backup_with_a_newer_ticket(nodes)
    first, second = nodes
    restored(old)

    def kill() -> None:
        raise Killed

    if when in (TICKET, VOTE):
        second.before[when] = kill
    else:
        write, left = finality._write, ["mark", "until"].index(when)

        def written(lease: F3Lease, **facts: object) -> None:
            nonlocal left
            write(lease, **facts)  # type: ignore[arg-type]
            left -= 1
            if left < 0:
                kill()

        monkeypatch.setattr(finality, "_write", written)
    with pytest.raises(Killed):
        participate(old.miner, *nodes)
    monkeypatch.undo()

    for _ in range(9):
        participate(old.miner, *nodes)
        assert (first.votes_for(), second.votes_for()) == ([], [2001])
        first.instance = second.instance = first.instance + 1
    assert not F3Lease.objects.get().is_in_doubt


def test_a_second_restore_begins_the_wait_anew(nodes: tuple[Node, Node]) -> None:
    old, _newer = backup_with_a_newer_ticket(nodes)
    restored(old)
    kept = participate(old.miner, *nodes)
    nodes[0].instance = nodes[1].instance = 150
    assert participate(old.miner, *nodes).reason == ""

    restored(kept)

    lease = participate(old.miner, *nodes)
    assert (lease.restored_until, lease.is_in_doubt) == (157, True)


def test_restore_on_a_chain_without_f3_leaves_nothing_to_renew(nodes: tuple[Node, Node]) -> None:
    miner = factories.miner(2001)
    restored(None)
    for node in nodes:
        node.fails = {PROGRESS: NodeRefused(4, "f3 is disabled")}

    participate_all([miner], *nodes, now=clock.now())

    assert not F3Lease.objects.exists()
    for node in nodes:
        node.fails = {}
    assert participate(miner, *nodes).is_in_doubt, "once F3 runs, a ticket that no row knows may be there"


def test_without_a_restore_nobody_waits(nodes: tuple[Node, Node]) -> None:
    lease = participate(factories.miner(2001), *nodes)

    assert (lease.is_in_doubt, lease.reason, lease.restored_at) == (False, "", None)
    assert all(VOTERS not in node.calls for node in nodes)
