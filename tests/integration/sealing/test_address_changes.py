"""A miner's addresses are changed by REST on a real devnet, each change until the chain has it."""

from __future__ import annotations

import pytest

from apps.miners.models import Miner
from poolsite.filecoin.amounts import FIL
from tests.integration.sealing.address_changes import Changes
from tests.integration.sealing.world import World


@pytest.fixture
def changes(world: World) -> Changes:
    return Changes(world)


def test_worker_and_control_addresses_change_on_the_chain(changes: Changes) -> None:
    world, new, second = changes.world, changes.key(11), changes.key(12)

    changes.do("control", second)
    assert changes.chain()["ControlAddresses"] == [second]

    changes.do("worker", new)
    assert changes.chain()["NewWorker"] == new
    epoch = int(changes.chain()["WorkerChangeEpoch"])
    early = changes.post("worker-confirm")
    assert (early.status_code, f"before epoch {epoch}" in early.content.decode()) == (409, True)
    world.until(lambda: world.height >= epoch, epochs=80)
    changes.do("worker-confirm")

    assert (changes.chain()["Worker"], changes.chain()["ControlAddresses"]) == (new, [second])
    world.until(lambda: Miner.objects.get().worker == world.ask("StateAccountKey", new, None), epochs=20)


def test_where_deals_are_taken_is_announced_on_the_chain(changes: Changes) -> None:
    places = ["/ip4/8.8.8.8/tcp/24001", "/dns4/deals.example/tcp/443/wss"]
    peer_id = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

    changes.do("multiaddrs", *places)
    changes.do("peer-id", peer_id)

    assert (changes.now()["multiaddrs"], changes.now()["peer_id"]) == (places, peer_id)
    changes.do("multiaddrs")
    assert (changes.now()["multiaddrs"], changes.now()["peer_id"]) == ([], peer_id)


def test_beneficiary_and_owner_change_in_two_steps(changes: Changes) -> None:
    world, heir = changes.world, changes.key(13)
    term = {"quota": str(5 * FIL), "expiration": world.height + 10_000}

    changes.do("beneficiary", heir, **term)
    changes.do("beneficiary-confirm")
    assert changes.chain()["Beneficiary"] == heir
    assert changes.chain()["PendingBeneficiaryTerm"] is None

    changes.do("owner", heir)
    assert changes.chain()["PendingOwnerAddress"] == heir
    changes.do("owner-confirm")

    assert changes.chain()["Owner"] == heir
    world.until(lambda: Miner.objects.get().owner == world.ask("StateAccountKey", heir, None), epochs=20)
