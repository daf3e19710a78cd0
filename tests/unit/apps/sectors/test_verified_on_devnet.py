"""Verified data as the devnet tells and takes them: its JSON is read, and our messages do what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from apps.miners.models import Miner
from apps.sectors.models import VerifiedClaim
from apps.sectors.onchain.allocations import all_allocations_read, allocations_of_clients_read
from apps.sectors.onchain.live_sectors import claims_read
from apps.sectors.services.verified.extensions import (
    ClaimExtension,
    ExtensionRequest,
    extension_item_build,
)
from poolsite.devnet.rpc.verified import state_all_allocations, state_allocations, state_claims
from poolsite.filecoin.actors.claims import CLAIM_TERM_MAX
from poolsite.filecoin.address import address_parse
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import STRANGER
from tests.unit.devnet.verified_data import PIECE, SIZE, World, send

TERM = CLAIM_TERM_MAX - 1000


@pytest.fixture
def world() -> World:
    """A client with data cap for four pieces, and one allocation."""
    world = World()
    assert world.verifier() == 0
    assert world.client().exit_code == 0
    assert world.allocate(world.request(term_max=TERM)).exit_code == 0
    return world


def client_of(world: World) -> Any:
    """A chain client that the devnet answers itself, of what has landed."""
    advance_to(world.node, world.node.head.height + 1)
    node, key = world.node, ()

    def call_many(calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        return [state_allocations(node, address_parse(params[0]), key) for _, params in calls]

    def ask(read: Callable[[Any], Any], *_: Any) -> Any:
        return read(state_all_allocations(node, key))

    def call(_method: str, address: str, *_: Any) -> Any:
        return state_claims(node, address_parse(address), key)

    return cast("Any", SimpleNamespace(ask=ask, call=call, call_many=call_many))


def test_allocations_are_read_as_a_node_writes_them(world: World) -> None:
    client, stranger = client_of(world), world.id_of(STRANGER)

    [found] = all_allocations_read(client, providers={world.miner.id}, key="")

    assert [found] == allocations_of_clients_read(client, [stranger], providers={world.miner.id}, key="")
    assert (found.number, found.client, found.provider) == (1, stranger, world.miner.id)
    assert (found.piece_cid, found.size, found.term_max) == (str(PIECE), SIZE, TERM)
    assert all_allocations_read(client, providers=set(), key="") == []


@pytest.mark.parametrize("spends_data_cap", [False, True])
def test_the_message_of_an_extension_extends_the_claim(world: World, *, spends_data_cap: bool) -> None:
    proofs, pieces = world.seal(1, allocation=1)
    assert world.miner.prove(proofs, pieces=pieces).exit_code == 0
    [claim] = claims_read(client_of(world), f"f0{world.miner.id}", key="")[1]
    assert (claim.id, claim.last, claim.term_min) == (1, claim.term_start + TERM, world.request().term_min)
    row = VerifiedClaim(miner=Miner(actor_id=world.miner.id), number=claim.id)
    term = CLAIM_TERM_MAX + int(spends_data_cap)
    extension = ClaimExtension(row, claim.size, claim.last, claim.term_start + term, term)
    sender = str(STRANGER.address)
    request = ExtensionRequest(
        claims=(1,), sender=sender, end_epoch=None, spends_data_cap=spends_data_cap, key="k"
    )

    item = extension_item_build([extension], request=request)
    receipt = send(
        world.node, STRANGER, address_parse(str(item.to)), method=int(item.method), params=item.params
    )

    assert receipt.exit_code == 0
    [longer] = claims_read(client_of(world), f"f0{world.miner.id}", key="")[1]
    assert longer.last == extension.new_end
