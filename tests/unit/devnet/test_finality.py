"""Fast finality at a devnet's node: tickets, leases and their refusals, as lotus has them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from apps.chain.errors import NodeRefused
from apps.chain.node.link import NodeLink
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.participation import TICKET_INVALID, F3Error, Lease, ticket_of, ticket_read
from poolsite.devnet.service import Service

EXPIRED, MISMATCH, TOO_MANY, STARTS_BEFORE = 6, 7, 8, 9
MINER = "f01000"


class Node:
    """A node with fast finality, asked over its interface."""

    def __init__(self) -> None:
        self.devnet = Devnet(":memory:", network="test", clock=ManualClock())
        self.service = Service(self.devnet, mining="paused").start()
        self.link = NodeLink(self.service.url, "")

    def close(self) -> None:
        self.link.close()
        self.service.stop()
        self.devnet.close()

    def ask(self, method: str, *params: Any) -> Any:
        return self.link.call(method, list(params))

    def ticket(self, previous: str | None = None, instances: int = 5) -> str:
        made: str = self.ask("F3GetOrRenewParticipationTicket", MINER, previous, instances)
        return made

    def refusal(self, method: str, *params: Any) -> int:
        with pytest.raises(NodeRefused) as refused:
            self.ask(method, *params)
        return refused.value.rpc_code


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    made.devnet.finality_start()
    yield made
    made.close()


def test_a_lease_runs_its_instances_and_is_renewed_before(node: Node) -> None:
    first = node.ticket()
    begun = node.ask("F3GetProgress")["ID"]

    lease = node.ask("F3Participate", first)
    assert (lease["MinerID"], lease["FromInstance"], lease["ValidityTerm"]) == (1000, begun, 5)
    assert node.ask("F3ListParticipants") == [{"MinerID": 1000, "FromInstance": begun, "ValidityTerm": 5}]

    node.devnet.mine(3)
    now = node.ask("F3GetProgress")["ID"]
    again = node.ask("F3Participate", first)
    assert (again["FromInstance"], again["ValidityTerm"]) == (now, begun + 5 - now)
    assert node.ask("F3ListParticipants") == [{"MinerID": 1000, "FromInstance": begun, "ValidityTerm": 5}]
    renewed = node.ask("F3Participate", node.ticket(first))
    assert (renewed["FromInstance"], renewed["ValidityTerm"]) == (now, 5)
    assert node.refusal("F3Participate", first) == STARTS_BEFORE

    node.devnet.advance(6)
    assert node.ask("F3ListParticipants") == []
    assert node.refusal("F3Participate", first) == EXPIRED


def test_a_foreign_ticket_is_renewed_only_once_it_has_expired(node: Node) -> None:
    assert node.devnet.participation is not None
    begun = node.ask("F3GetProgress")["ID"]
    foreign = Lease(node.devnet.participation.network, "another node", 1000, begun, 5)
    ticket = base64.b64encode(ticket_of(foreign)).decode()

    assert node.refusal("F3GetOrRenewParticipationTicket", MINER, ticket, 5) == MISMATCH
    node.devnet.advance(6)

    assert node.ask("F3Participate", node.ticket(ticket))["ValidityTerm"] == 5


def test_wrong_requests_are_refused_with_the_codes_of_lotus(node: Node) -> None:
    assert node.refusal("F3GetOrRenewParticipationTicket", MINER, None, 6) == TOO_MANY
    assert node.refusal("F3GetOrRenewParticipationTicket", MINER, None, 0) == 1
    assert node.refusal("F3Participate", base64.b64encode(b"no lease").decode()) == TICKET_INVALID[0]
    assert node.refusal("F3Participate", None) == TICKET_INVALID[0]


@pytest.mark.parametrize("fields", [[1, 2], ["a", "b", 1, 2, True], ["a", "b", 1, 2, -1], {"a": 1}])
def test_a_ticket_of_another_form_is_invalid(fields: Any) -> None:
    from poolsite.filecoin.cbor import encode

    with pytest.raises(F3Error, match="ticket is not valid"):
        ticket_read(encode(fields))


def test_a_node_without_it_says_so() -> None:
    node = Node()
    try:
        assert node.refusal("F3IsRunning") == 4
        assert node.refusal("F3Participate", None) == 4
    finally:
        node.close()
