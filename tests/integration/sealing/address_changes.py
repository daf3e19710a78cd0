"""The pool's miner on a real devnet, whose addresses REST changes."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import Any

from django.test import Client

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.messages.models import Message
from apps.messages.services.push import message_push
from apps.miners.selectors.miners import miner_principal
from apps.users.services.grants import signer_grant
from apps.wallets.models import Wallet
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.keys import KEY_BLS, key_address, key_generate
from tests import factories, people
from tests.integration.sealing.world import World, repeated


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
