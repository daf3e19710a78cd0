"""Leases of fast finality: asked for, renewed in time, never of two nodes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from apps.blocks.models import F3Lease
from apps.blocks.rounds.chores import leases_renew
from apps.blocks.rounds.producer import BlockProducer
from apps.blocks.selectors.nodes import f3_links
from apps.blocks.services.finality import f3_participate
from apps.blocks.services.finality_tickets import refusal_code_read
from apps.chain.errors import NodeRefused
from apps.chain.models import Node
from apps.chain.node.link import NodeLink
from apps.core import clock
from apps.messages.services.recovery.detect import recovery_begin
from apps.users.models import MinerGrant, SignerGrant
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from tests.unit.apps.blocks.won_round import in_thread
from tests.unit.apps.blocks.world import World

pytestmark = pytest.mark.django_db(transaction=True)

IN_DOUBT = "the database was restored: no node in sync has reported the current instance yet"


@pytest.fixture
def world(transactional_db: Any, pool_redis: Any) -> Iterator[World]:
    made = World()
    made.devnet.finality_start()
    yield made
    made.close()


def participate(world: World, *links: NodeLink) -> F3Lease:
    f3_participate([world.miner], links=links or f3_links(), now=clock.now())
    return F3Lease.objects.get()


def at_the_node(world: World) -> list[tuple[int, int]]:
    shown = world.service_call("F3ListParticipants")
    return [(one["MinerID"], one["FromInstance"] + one["ValidityTerm"]) for one in shown]


def test_a_lease_is_renewed_before_it_ends_and_not_earlier(world: World) -> None:
    first = participate(world)
    assert at_the_node(world) == [(1000, first.ends)]
    assert (first.runs_at(clock.now()), first.ends - first.instance, first.reason) == (True, 5, "")

    world.devnet.mine(1)
    assert participate(world).ends == first.ends
    world.devnet.mine(2)
    renewed = participate(world)

    assert renewed.ends == renewed.instance + 5 > first.ends
    assert at_the_node(world) == [(1000, renewed.ends)]


def test_a_lease_that_ran_out_begins_anew(world: World) -> None:
    first = participate(world)
    world.devnet.advance(9)
    assert at_the_node(world) == []

    again = participate(world)

    assert (again.runs_at(clock.now()), again.ends > first.ends) == (True, True)
    assert at_the_node(world) == [(1000, again.ends)]


def test_a_restarted_node_has_the_lease_again(world: World) -> None:
    first = participate(world)
    world.devnet.finality_start()  # a node keeps no lease when it ends
    world.devnet.mine(3)
    assert at_the_node(world) == []

    renewed = participate(world)
    assert renewed.ends > first.ends
    assert at_the_node(world) == [(1000, renewed.ends)]


def test_another_node_votes_only_once_the_first_ones_lease_is_over(world: World) -> None:
    other = Devnet(":memory:", network="test", clock=ManualClock())
    other.finality_start()
    other.mine(world.devnet.head.height)
    service = Service(other, mining="paused").start()
    link = NodeLink(service.url, "")
    try:
        first = participate(world)

        waiting = participate(world, link)  # the first node is away
        assert (waiting.node, waiting.ends) == (first.node, first.ends)
        assert f"another may vote from instance {first.ends + 1} on" in waiting.reason
        assert link.call("F3ListParticipants", []) == []

        other.advance(first.ends + 1 - other.head.height)
        taken = participate(world, link)
        assert (taken.node, taken.reason, taken.runs_at(clock.now())) == (link.url, "", True)
    finally:
        link.close()
        service.stop()
        other.close()


def test_without_a_node_the_lease_says_since_when_it_fails(world: World) -> None:
    participate(world)
    world.devnet.participation = None

    assert leases_renew()
    failing = F3Lease.objects.get()
    assert failing.reason == "no node that runs F3 responds"
    assert failing.failing_since is not None
    leases_renew()
    assert F3Lease.objects.get().failing_since == failing.failing_since

    world.devnet.finality_start()
    assert participate(world).failing_since is None


def test_a_refusal_longer_than_its_column_is_logged_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_options: Any) -> Any:
        raise NodeRefused(0, "no power table " * 40)

    monkeypatch.setattr("apps.blocks.services.finality.lease_request", refuse)
    with capture_logs() as logs:
        assert participate(world).failing_since is not None
        participate(world)

    assert [one["event"] for one in logs].count("f3_not_renewed") == 1


def test_no_lease_where_no_blocks_are_wanted_or_signed(world: World) -> None:
    grants = SignerGrant.objects.all()
    grants.update(deleted_at=clock.now())
    leases_renew()
    assert not F3Lease.objects.exists()

    grants.update(deleted_at=None)
    MinerGrant.objects.update(open_mining=False)
    leases_renew()
    assert not F3Lease.objects.exists()


@pytest.mark.parametrize("how", ["BLOCK_F3", "mining"])
def test_a_lease_that_is_no_longer_wanted_says_so_and_goes(world: World, settings: Any, how: str) -> None:
    assert leases_renew()
    renewed = F3Lease.objects.get()
    if how == "BLOCK_F3":
        settings.BLOCK_F3 = 0
        because = "BLOCK_F3 is 0: another program manages its F3 lease"
    else:
        MinerGrant.objects.update(open_mining=False)
        because = "no blocks are made for this miner"

    assert not leases_renew()
    lease = F3Lease.objects.get()
    assert (lease.reason, lease.failing_since, lease.ticket) == (because, None, renewed.ticket)

    F3Lease.objects.update(looked_at=clock.now() - timedelta(days=2))
    leases_renew()
    assert F3Lease.objects.exists(), "its instances are not over"
    world.devnet.advance(lease.reserved_until + 1 - world.service_call("F3GetProgress")["ID"])
    leases_renew()
    assert not F3Lease.objects.exists()


def test_a_lease_that_is_wanted_again_goes_on_by_its_ticket(world: World) -> None:
    leases_renew()
    MinerGrant.objects.update(open_mining=False)
    leases_renew()
    MinerGrant.objects.update(open_mining=True)

    leases_renew()

    lease = F3Lease.objects.get()
    assert (lease.reason, lease.runs_at(clock.now())) == ("", True)


def test_after_a_restore_the_node_that_votes_is_gone_on_with(world: World) -> None:
    assert leases_renew()
    before = F3Lease.objects.get()
    F3Lease.objects.all().delete()  # the backup is from before
    recovery_begin("restored", now=clock.now())

    leases_renew()
    lease = F3Lease.objects.get()
    assert (lease.ticket, lease.reason) == ("", IN_DOUBT), "what the backup says of the node is old"

    Node.objects.update(condition="HEALTHY", checked_at=clock.now())
    world.devnet.mine(1)
    leases_renew()
    lease = F3Lease.objects.get()
    assert (lease.node, lease.reason, lease.runs_at(clock.now())) == (before.node, "", True)
    assert at_the_node(world) == [(1000, lease.ends)]


def test_after_a_restore_a_miner_that_no_node_votes_for_waits(world: World) -> None:
    assert leases_renew()
    recovery_begin("restored", now=clock.now())
    Node.objects.update(condition="HEALTHY", checked_at=clock.now())
    world.devnet.finality_start()  # it began anew, and may yet be one of several

    leases_renew()
    lease = F3Lease.objects.get()
    assert lease.restored_until == lease.instance + 7
    assert f"from instance {lease.restored_until + 1} on" in lease.reason
    while world.service_call("F3GetProgress")["ID"] <= lease.restored_until:
        leases_renew()
        assert at_the_node(world) == []
        world.devnet.mine(1)  # a null round takes more than one instance
    leases_renew()
    assert [actor for actor, _ in at_the_node(world)] == [1000]


def test_words_of_other_nodes_are_understood() -> None:
    assert refusal_code_read(NodeRefused(1, "call F3Participate: ticket has expired")) == 6
    assert refusal_code_read(NodeRefused(7, "whatever")) == 7
    assert refusal_code_read(NodeRefused(1, "something else")) == 1


async def test_the_service_keeps_the_leases(world: World) -> None:
    stop = asyncio.Event()
    service = BlockProducer(nodes=world.nodes, providers=world.providers)  # type: ignore[arg-type]
    running = asyncio.create_task(service.run(asked_to_stop=stop.is_set))
    try:
        async with asyncio.timeout(60):
            while not await in_thread(F3Lease.objects.exists):
                await asyncio.sleep(0.1)
    finally:
        stop.set()
        await running
    assert await in_thread(lambda: at_the_node(world)) != []
