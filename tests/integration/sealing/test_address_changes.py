"""A miner's addresses are changed by REST on a real devnet, each change until the chain has it."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.users.services.grants import signer_grant
from apps.wallets.models import Wallet
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.keys import KEY_BLS, key_address, key_generate
from tests import factories, people
from tests.integration.sealing.world import repeated

if TYPE_CHECKING:
    from tests.integration.sealing.world import World


class Changes:
    """The pool's miner, whose addresses REST changes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.miner = world.miner_create()
        self.token = people.token("sign", of="alice")
        self.url = f"/api/v1/miners/{self.miner.address}/addresses"

    def key(self, seed: int) -> str:
        """A key of the tenant that exists on the chain; returns its f0 address."""
        world, made = self.world, key_generate(KEY_BLS, random_bytes=partial(repeated, seed))
        address = str(key_address(made))
        world.keys[address] = made
        signer_grant(tenant=world.tenant, address=address)
        Wallet.objects.create(address=address, tenant=world.tenant, account="alice", key_type="bls")
        factories.signer_connection(address, seen_at=clock.now() + timedelta(days=1))
        sent = message_push(
            principal=miner_principal(self.miner),
            id=f"fund-{seed}",
            to=address,
            from_=world.owner,
            value=20 * FIL,
            method=0,
        )
        self.landed(sent.pk)
        world.epoch(2)
        return chain_client().state_lookup_id(address)

    def landed(self, pk: str) -> Message:
        """Advance epochs until a message has landed; it must do what it says."""
        self.world.until(lambda: Message.objects.get(pk=pk).state == "LANDED", epochs=40)
        message = Message.objects.get(pk=pk)
        assert message.exit_code == 0
        return message

    def post(self, change: str, *addresses: str, **more: Any) -> Any:
        body = {"change": change, "addresses": list(addresses), **more}
        headers = people.bearer(self.token)
        return Client().post(self.url, json.dumps(body), content_type="application/json", headers=headers)

    def do(self, change: str, *addresses: str, **more: Any) -> None:
        """Send a change and let it land."""
        answer = self.post(change, *addresses, **more)
        assert answer.status_code in (200, 201, 202), answer.content
        self.landed(Message.objects.filter(kind="address_change").latest("created_at").pk)

    def now(self) -> dict[str, Any]:
        """What REST shows."""
        body: dict[str, Any] = Client().get(self.url, headers=people.bearer(self.token)).json()
        return body

    def chain(self) -> dict[str, Any]:
        """What the chain says."""
        info: dict[str, Any] = self.world.ask("StateMinerInfo", self.miner.address, None)
        return info


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
