"""A miner's prover, or its storage that unseals pieces, at the other end of a channel.

Source: ipfs-force-community/sophon-gateway proofevent/.
"""

from __future__ import annotations

import structlog
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from apps.gateway.errors import NoAnswer
from apps.gateway.hub.client import hub_database
from apps.gateway.hub.routes import host_account, market_route, proof_route
from apps.gateway.providers.hub_node import HubNode
from apps.gateway.providers.provider import Provider
from apps.gateway.services.connections import prover_connection_open
from apps.gateway.states import Purpose
from apps.users.rules.principals import Principal

log = structlog.get_logger(__name__)


class MinerProvider(Provider):
    """A miner's prover, or its storage that unseals pieces."""

    def __init__(
        self, hub: HubNode, principal: Principal, *, actor_id: int, purpose: str, host: str = ""
    ) -> None:
        super().__init__(hub, principal)
        if host:  # a host with a role is asked by name
            self.accounts.add(host_account(principal.tenant_name, host))
        self.actor_id = actor_id
        self.purpose = purpose
        route = proof_route if purpose == Purpose.PROOF else market_route
        self.routes = {route(actor_id)}

    async def register(self) -> None:
        """Send the provider its channel and route requests to it."""
        try:
            await hub_database(
                prover_connection_open,
                uuid=self.id,
                principal=self.principal,
                actor_id=self.actor_id,
                purpose=self.purpose,
                process=self.hub.name,
                source=self.principal.source,
            )
            await self.event_send("InitConnect", {"ChannelId": self.id})
            await self.route()
        except (NoAnswer, RedisError, DatabaseError) as error:
            log.warning("miner_not_registered", miner=self.actor_id, reason=str(error))
            await self.end()
