"""A signer's channel beside what happens meanwhile: its end, and an approval that is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from apps.core.redis_clients import redis_client
from apps.gateway.hub.client import hub_database
from apps.gateway.hub.routes import route_name, wallet_route
from apps.gateway.providers.hub_node import HubNode
from apps.gateway.providers.wallet import WalletProvider
from apps.users.services.grants import account_approval_revoke, account_approve
from tests import factories, people

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = factories.bls(7)


class Proving(WalletProvider):
    """A signer with one key, and what happens while it proves the key."""

    meanwhile: Callable[[], Awaitable[Any]]

    async def request(self, method: str, payload: Any, until: float, **_: Any) -> Any:
        return [ADDRESS]

    async def proved(self, text: Any, **_: Any) -> str:
        await self.meanwhile()
        return str(text)


async def registered(node: HubNode, meanwhile: Callable[[Proving], Callable[[], Awaitable[Any]]]) -> Proving:
    """Register alice's signer, which bob has approved; `meanwhile` comes between."""
    alice, bob = await hub_database(people.tenant, "alice"), await hub_database(people.tenant, "bob")
    await hub_database(account_approve, signer_tenant=alice, account=bob)
    by = await hub_database(people.principal)
    signer = Proving(node, by, supported=["bob"], sign_bytes=b"")
    signer.meanwhile = meanwhile(signer)
    task = asyncio.create_task(signer.register())
    await asyncio.wait_for(signer.queue.get(), 20)  # its channel, or its end
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return signer


async def test_approval_revoked_while_keys_are_proved_ends_the_channel(pool_redis: str) -> None:
    node = HubNode(pool_redis)
    alice, bob = await hub_database(people.tenant, "alice"), await hub_database(people.tenant, "bob")

    signer = await registered(
        node, lambda _: partial(hub_database, account_approval_revoke, signer_tenant=alice, account=bob)
    )

    assert not signer.is_open
    await node.stop()


async def test_channel_that_ends_while_a_key_is_proved_leaves_no_route(pool_redis: str) -> None:
    node = HubNode(pool_redis)

    signer = await registered(node, lambda signer: signer.close)

    assert not signer.is_open
    assert (node.connections_here, redis_client().hkeys(route_name(wallet_route(ADDRESS)))) == ({}, [])
    await node.stop()
