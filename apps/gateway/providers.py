"""One end of a channel down which requests go: a wallet's, or a prover's for one miner.

Source: ipfs-force-community/sophon-gateway walletevent/, proofevent/, types/base_event.go.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.utils.translation import gettext
from redis.exceptions import RedisError

from apps.core.sanitize import sanitize_text
from apps.gateway.activity import Meter
from apps.gateway.errors import AnswerTooLarge, NoAnswer, ProviderRefused
from apps.gateway.hub_client import PendingAnswers, hub_database
from apps.gateway.routes import END, PROVE, host_account, market_route, proof_route, wallet_route
from apps.gateway.services.connections import (
    accounts_claim,
    accounts_set,
    connection_close,
    keys_add,
    keys_remove,
    prover_connection_open,
    signer_connection_open,
)
from apps.gateway.states import Purpose
from apps.users.services.bootstrap import POOL
from poolsite.filecoin.address import BadAddress, address_parse
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.signature import BadSignature, signature_from_json, signature_verify
from poolsite.wire.jsonrpc.messages import json_read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from apps.gateway.activity import Activity
    from apps.gateway.hub_node import HubNode
    from apps.users.principals import Principal

log = structlog.get_logger(__name__)

QUEUE_SIZE: Final = 30
"""Events that wait in one channel; the next caller waits with them."""
REASON_MAX: Final = 2_000
"""Characters of a refusal that are passed on."""
REGISTER_S: Final = 60.0
"""Time to prove a key: a wallet's first use of each costs it a scrypt."""
KEYS_MAX: Final = 1000
"""Keys that one connection may bring."""
CHALLENGE: Final = os.urandom(32)
"""Our half of what a signer signs to prove a key, fixed per process; the other half is the signer's own."""

Json = Any


def pack(value: Json) -> str | None:
    """Write a payload: base64 of JSON, null for nothing."""
    return None if value is None else base64.b64encode(json.dumps(value).encode()).decode()


def unpack(text: Json) -> Json:
    """Read a payload.  Raises ProviderRefused for what is none, AnswerTooLarge."""
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise ProviderRefused(gettext("the response payload is not a string"))
    if len(text) > settings.PROVIDER_RESPONSE_MAX_BYTES:
        raise AnswerTooLarge(
            gettext("the response is larger than {most} bytes").format(
                most=settings.PROVIDER_RESPONSE_MAX_BYTES
            )
        )
    try:
        return json_read(base64.b64decode(text, validate=True).decode())
    except (ValueError, RecursionError):
        raise ProviderRefused(gettext("the response is not base64-encoded JSON")) from None


class Provider:
    """A channel's events, and the answers that come back by another call of the same socket."""

    def __init__(self, hub: HubNode, principal: Principal) -> None:
        self.id = str(uuid.uuid4())
        self.hub = hub
        self.principal = principal
        self.accounts: set[str] = {principal.tenant_name}
        self.routes: set[str] = set()
        self.pending = PendingAnswers()
        self.queue: asyncio.Queue[dict[str, Json] | None] = asyncio.Queue(QUEUE_SIZE)
        self.is_open = True
        self.heartbeat_name = ""
        self.meter = Meter()

    async def events(self) -> AsyncIterator[dict[str, Json]]:
        """Yield what goes down the channel; registers first, cleans up when the socket or we end it."""
        registering = asyncio.create_task(self.register())
        try:
            while (event := await self.queue.get()) is not None:
                yield event
        finally:
            registering.cancel()
            await asyncio.gather(registering, return_exceptions=True)
            await asyncio.shield(self.close())

    async def register(self) -> None:
        """Do what must happen before requests may be routed here."""
        raise AssertionError("each kind registers in its own way")

    async def close(self) -> None:
        """Fail the requests that wait and remove the channel."""
        self.is_open = False
        self.pending.fail_all()
        await self.hub.remove(self, self.routes, gone=True)
        await hub_database(
            connection_close, uuid=self.id, tenant_id=self.principal.own_id, activity=self.activity_read()
        )

    async def event_send(self, method: str, payload: Json, key: str = "") -> None:
        """Send an event.  Raises NoAnswer once the channel is closed."""
        if not self.is_open:
            raise NoAnswer("channel closed")
        await self.queue.put({"Id": key or str(uuid.uuid4()), "Method": method, "Payload": pack(payload)})

    async def request(self, method: str, payload: Json, until: float) -> Json:
        """Send an event and wait for its answer.

        Raises ProviderRefused with the provider's own words, NoAnswer if the channel ends or time is up.
        """
        self.meter.requests += 1
        key, start = str(uuid.uuid4()), time.monotonic()
        future = self.pending.expect(key)
        try:
            async with asyncio.timeout(max(until - time.time(), 0)):
                await self.event_send(method, payload, key)
                response = await future
        except TimeoutError:
            self.meter.failed(gettext("no answer in time"))
            raise NoAnswer(gettext("no answer in time")) from None
        except NoAnswer as error:
            self.meter.failed(error.reason)
            raise
        finally:
            del self.pending.futures[key]
        self.meter.answered(time.monotonic() - start)
        if response.get("error"):
            words = sanitize_text(str(response["error"])[:REASON_MAX])
            self.meter.failed(words)
            raise ProviderRefused(words)
        try:
            return unpack(response.get("payload"))
        except AnswerTooLarge as error:
            self.meter.failed(error.reason)
            words = gettext("connection {id} of {tenant_name}: {error}").format(
                id=self.id, tenant_name=self.principal.tenant_name, error=error.reason
            )
            log.warning("provider_answer_too_large", account=self.principal.tenant_name, channel=self.id)
            raise AnswerTooLarge(words) from None

    async def handle(self, method: str, payload: Json, until: float) -> Json:
        """Do what somebody of the pool wants of this connection: mostly to ask the other side."""
        if method == END:
            await self.end()
            return None
        return await self.request(method, payload, until)

    def respond(self, response: dict[str, Json]) -> bool:
        """Deliver an answer (keys in lower case); False if this channel did not ask for it."""
        key = response.get("id")
        return isinstance(key, str) and self.pending.resolve(key, response)

    def activity_read(self) -> Activity | None:
        """Return what it did since the last time; None if nothing changed."""
        return self.meter.read(len(self.pending.futures))

    async def end(self) -> None:
        """Close the channel from our side; the provider listens again."""
        self.is_open = False
        await self.queue.put(None)


class WalletProvider(Provider):
    """A signer: proves each of its keys, then signs."""

    def __init__(
        self, hub: HubNode, principal: Principal, *, supported: Sequence[str], sign_bytes: bytes
    ) -> None:
        super().__init__(hub, principal)
        self.supported = list(supported)
        self.sign_bytes = sign_bytes
        self.addresses: set[str] = set()
        self.heartbeat_name = "signer" if principal.tenant_name == POOL else ""

    async def register(self) -> None:
        """Fetch the keys, verify each, and route requests to them."""
        try:
            self.accounts |= set(
                await hub_database(accounts_claim, principal=self.principal, names=self.supported)
            )
            await hub_database(
                signer_connection_open,
                uuid=self.id,
                principal=self.principal,
                accounts=sorted(self.accounts),
                process=self.hub.name,
                source=self.principal.source,
            )
            addresses = await self.request("WalletList", None, time.time() + REGISTER_S)
            await self.addresses_add(addresses if isinstance(addresses, list) else [])
            await self.event_send("InitConnect", {"ChannelId": self.id})
            log.info("signer_connected", channel=self.id, account=self.principal.tenant_name)
        except (NoAnswer, ProviderRefused, RedisError, DatabaseError) as error:
            log.warning("signer_not_registered", account=self.principal.tenant_name, reason=str(error))
            await self.end()

    async def addresses_add(self, addresses: Sequence[Json]) -> None:
        """Verify keys; one that cannot sign is left out and the others serve.  Raises NoAnswer."""
        if len(addresses) + len(self.addresses) > KEYS_MAX:
            raise ProviderRefused(gettext("a connection may hold at most {most} keys").format(most=KEYS_MAX))
        proved = [address for text in addresses if (address := await self.proved(text)) is not None]
        await hub_database(keys_add, connection_id=self.id, accounts=self.accounts, addresses=proved)
        self.addresses |= set(proved)
        self.routes |= {wallet_route(address) for address in proved}
        await self.hub.add(self)

    async def handle(self, method: str, payload: Json, until: float) -> Json:
        """Answer as any provider does, and prove a key once more."""
        if method != PROVE:
            return await super().handle(method, payload, until)
        try:
            return await self.prove(payload, until)
        except (BadAddress, BadField, BadSignature) as error:
            raise ProviderRefused(
                gettext("the response is not a valid signature of this key: {error}").format(error=error)
            ) from None

    async def prove(self, text: Json, until: float) -> str:
        """Verify one key by its signature of a challenge of both sides; returns its canonical address.

        Raises ProviderRefused, NoAnswer, BadAddress, BadField, BadSignature.
        """
        digest = hashlib.sha256(CHALLENGE + self.sign_bytes).digest()
        meta = {"Type": "verifyaddress", "Extra": base64.b64encode(CHALLENGE).decode()}
        address = address_parse(text if isinstance(text, str) else "")
        payload = {"Signer": text, "ToSign": base64.b64encode(digest).decode(), "Meta": meta}
        answer = await self.request("WalletSign", payload, until)
        signature = signature_from_json(answer)
        await asyncio.to_thread(signature_verify, signature, address, digest)
        return str(address)

    async def proved(self, text: Json) -> str | None:
        """Return the address of a key that proved itself; None, with a line in the log, if it cannot sign."""
        try:
            return await self.prove(text, time.time() + REGISTER_S)
        except (ProviderRefused, BadAddress, BadField, BadSignature) as error:
            log.warning(
                "signer_key_refused",
                account=self.principal.tenant_name,
                address=str(text)[:120],
                reason=str(error),
            )
            return None

    async def addresses_remove(self, addresses: Sequence[str]) -> None:
        """Route no more requests to these keys."""
        gone = {address for address in addresses if address in self.addresses}
        self.addresses -= gone
        routes = {wallet_route(address) for address in gone}
        self.routes -= routes
        await self.hub.remove(self, routes)
        await hub_database(keys_remove, connection_id=self.id, addresses=sorted(gone))

    async def account_support(self, account: str) -> None:
        """Serve one more account, if it agreed.  Raises ProviderRefused if it did not."""
        allowed = await hub_database(accounts_claim, principal=self.principal, names=[account])
        if not allowed:
            raise ProviderRefused(
                gettext("account {account} has not agreed to be served by {tenant_name}").format(
                    account=account, tenant_name=self.principal.tenant_name
                )
            )
        self.accounts.add(account)
        await hub_database(accounts_set, connection_id=self.id, accounts=sorted(self.accounts))
        await hub_database(keys_add, connection_id=self.id, accounts=[account], addresses=self.addresses)
        await self.hub.add(self)


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
            await self.hub.add(self)
        except (NoAnswer, RedisError, DatabaseError) as error:
            log.warning("miner_not_registered", miner=self.actor_id, reason=str(error))
            await self.end()
