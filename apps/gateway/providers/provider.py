"""One end of a channel down which requests go; signers and miners' provers each register in their own way.

Source: ipfs-force-community/sophon-gateway types/base_event.go.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Final

import structlog

from apps.core.marked_texts import gettext
from apps.core.reasons import refused
from apps.core.sanitize import sanitize_text
from apps.gateway.errors import AnswerTooLarge, NoAnswer, ProviderRefused, ProviderUnable
from apps.gateway.hub.activity import Activity, Meter
from apps.gateway.hub.client import hub_database
from apps.gateway.hub.requests import PendingAnswers
from apps.gateway.hub.routes import END
from apps.gateway.providers.hub_node import HubNode
from apps.gateway.providers.payloads import Json, pack, unpack
from apps.gateway.services.connections import connection_close
from apps.users.rules.principals import Principal
from poolsite.tracing import trace_header
from poolsite.wire.origins import IDS_METHOD, TRACE_FIELD
from poolsite.wire.policy import POLICY_METHODS
from poolsite.wire.unable import UNABLE_FIELD, UNABLE_TEXTS

log = structlog.get_logger(__name__)

QUEUE_SIZE: Final = 30
"""Events that wait in one channel; the next caller waits with them."""
QUESTIONS: Final = frozenset({*POLICY_METHODS, IDS_METHOD})
"""Methods that sign nothing: a refusal, such as venus-wallet's, which knows none of them, is an answer."""
REASON_MAX: Final = 2_000
"""Characters of a refusal that are passed on."""


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

    async def route(self) -> None:
        """Route requests here, unless the channel ends meanwhile: nobody would remove the routes then."""
        if self.is_open:
            await self.hub.add(self)
        if not self.is_open:
            await self.hub.remove(self, self.routes, is_closed=True)

    async def close(self) -> None:
        """Fail the requests that wait and remove the channel."""
        self.is_open = False
        self.pending.fail_all()
        await self.hub.remove(self, self.routes, is_closed=True)
        await hub_database(
            connection_close, uuid=self.id, tenant_id=self.principal.own_id, activity=self.activity_read()
        )

    async def event_send(self, method: str, payload: Json, key: str = "") -> None:
        """Send an event.  Raises NoAnswer once the channel is closed."""
        if not self.is_open:
            raise NoAnswer("channel closed")
        event = {"Id": key or str(uuid.uuid4()), "Method": method, "Payload": pack(payload)}
        if header := trace_header():  # programs of others pass over the field
            event[TRACE_FIELD] = header
        await self.queue.put(event)

    async def request(self, method: str, payload: Json, until: float, *, meter: Meter | None = None) -> Json:
        """Send an event and wait for its answer; counted by the connection's meter, or another one.

        Raises ProviderRefused with the provider's own words, NoAnswer if the channel ends or time is up.
        """
        meter = meter or self.meter
        meter.requests += 1
        key, start = str(uuid.uuid4()), time.monotonic()
        future = self.pending.expect(key)
        try:
            async with asyncio.timeout(max(until - time.time(), 0)):
                await self.event_send(method, payload, key)
                response = await future
        except TimeoutError:
            late = NoAnswer(gettext("no answer in time"))
            meter.failed(refused(late))
            raise late from None
        except NoAnswer as error:
            meter.failed(refused(error))
            raise
        finally:
            del self.pending.futures[key]
        meter.answered(time.monotonic() - start)
        if response.get("error"):
            reason = sanitize_text(str(response["error"])[:REASON_MAX])
            is_unable = response.get(UNABLE_FIELD.lower()) is True or reason in UNABLE_TEXTS
            refusal = (ProviderUnable if is_unable else ProviderRefused)(reason)
            if is_unable or method not in QUESTIONS:
                meter.failed(refused(refusal))
            raise refusal
        try:
            return unpack(response.get("payload"))
        except AnswerTooLarge as error:
            meter.failed(refused(error))
            reason = gettext("connection {id} of {tenant_name}: {error}").format(
                id=self.id, tenant_name=self.principal.tenant_name, error=error.reason
            )
            log.warning("provider_answer_too_large", account=self.principal.tenant_name, channel=self.id)
            raise AnswerTooLarge(reason) from None

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
