"""The hub of a web process: a request from any process reaches the connection that this one holds."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine
from functools import partial
from typing import Any, Final, Protocol

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from apps.core import clock
from apps.core.consoles import another_can_work
from apps.core.database_threads import in_steady
from apps.core.event_loops import PerLoop
from apps.core.liveness import heartbeat_send
from apps.gateway.errors import NoAnswer, ProviderRefused, ProviderUnable
from apps.gateway.hub.activity import Activity
from apps.gateway.hub.client import HubClient
from apps.gateway.hub.hedging import Attempt
from apps.gateway.hub.requests import Deadline, HubRequest, Json
from apps.gateway.hub.routes import (
    HEARTBEAT_S,
    PROCESS_TTL_S,
    entry_write,
    process_name,
    route_name,
    wallet_addresses,
)
from apps.gateway.services.connections import connections_confirm
from poolsite.tracing import span

log = structlog.get_logger(__name__)

ACTIVITY_EVERY_S: Final = 4.0
"""How often it is written down what our connections did."""
CONFIRM_EVERY_S: Final = 10.0
"""How often the rows of those that did nothing are confirmed; three times within `ALIVE_S`."""


class Connection(Protocol):
    """What the hub needs to know of one that answers."""

    id: str
    accounts: set[str]
    routes: set[str]
    heartbeat_name: str
    """Under which process its heartbeats are shown; empty for a tenant's own."""

    async def request(self, method: str, payload: Json, until: float) -> Json:
        """Return its answer.  Raises NoAnswer, ProviderRefused."""

    async def handle(self, method: str, payload: Json, until: float) -> Json:
        """Return its answer, or do with it what the pool wants.  Raises NoAnswer, ProviderRefused."""

    def activity_read(self) -> Activity | None:
        """Return what it did since the last time; None if nothing changed."""


async def nothing_done() -> None:
    """Do nothing: no socket is this process' own."""


class HubNode(HubClient):
    """One web process' inbox and connections; belongs to one event loop."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.connections_here: dict[str, Connection] = {}
        self.channels: Counter[str] = Counter()
        """Open channels of each tenant here, those that still prove their keys too."""
        self.confirmed_at = 0.0
        self.renewed_at = time.monotonic()
        """When Redis last had this process' heartbeat, or needed none."""
        self.is_cut_off = False
        """Whether this machine lost Redis, and with it all callers, while another one has it."""
        self.cut_off: Callable[[], Coroutine[Any, Any, None]] = nothing_done
        """Called once that is so: closes the sockets, so that signers and provers dial another machine."""

    def start(self) -> None:
        """Begin with the first socket or request; the loop runs by then."""
        if not self.is_running:
            self.is_running = True
            self.spawn(self.repeat(self.inbox_read, 0))
            self.spawn(self.repeat(self.heartbeat, HEARTBEAT_S))
            self.spawn(self.repeat(self.confirm, ACTIVITY_EVERY_S))

    async def repeat(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Repeat a step; Redis or the database may be away for a while."""
        while self.is_running:
            try:
                await step()
            except (RedisError, OSError, DatabaseError) as error:
                log.warning("hub_step_failed", step=step.__name__, reason=str(error))
                await asyncio.sleep(0.5)
            except Exception:  # the outermost loop: without it this process would be deaf, or taken for dead
                log.exception("hub_step_failed", step=step.__name__)
                await asyncio.sleep(0.5)
            await asyncio.sleep(pause_s)

    async def heartbeat(self) -> None:
        """Renew this process' heartbeat while it has connections."""
        if self.connections_here or self.is_cut_off:
            try:
                await self.process_renew()
            except (RedisError, OSError):
                await self.cut_off_note()
                raise
        self.renewed_at, self.is_cut_off = time.monotonic(), False

    async def cut_off_note(self) -> None:
        """Send connections to another machine, if one works, once Redis takes this process for dead."""
        if time.monotonic() - self.renewed_at < PROCESS_TTL_S:
            return
        was_cut_off, self.is_cut_off = self.is_cut_off, await in_steady(another_can_work, "blocks")
        if self.is_cut_off and not was_cut_off:
            log.warning("sockets_sent_elsewhere", reason="Redis is not reached from this machine")
            self.spawn(self.cut_off())  # beside: a socket whose other end hangs holds no heartbeat up

    async def process_renew(self) -> bool:
        """Renew this process' key; if Redis lost it, write all routes again.  Return whether it was lost."""
        before = await self.redis.set(process_name(self.name), 1, ex=PROCESS_TTL_S, get=True)
        if before is not None:
            return False
        for connection in tuple(self.connections_here.values()):
            await self.routes_write(connection, connection.routes)
        return True

    async def confirm(self) -> None:
        """Confirm the rows of our connections and add up what they did."""
        if not self.connections_here:
            return
        read = {key: connection.activity_read() for key, connection in self.connections_here.items()}
        done = {key: activity for key, activity in read.items() if activity is not None}
        for name in {connection.heartbeat_name for connection in self.connections_here.values()} - {""}:
            await asyncio.to_thread(heartbeat_send, name, pid=0)
        if not done and time.monotonic() - self.confirmed_at < CONFIRM_EVERY_S:
            return
        self.confirmed_at = time.monotonic()
        held = {key: wallet_addresses(connection.routes) for key, connection in self.connections_here.items()}
        await in_steady(connections_confirm, process=self.name, done=done, held=held, now=clock.now())

    async def add(self, connection: Connection) -> None:
        """Route requests to a connection, on all of its routes."""
        self.connections_here[connection.id] = connection
        if not await self.process_renew():
            await self.routes_write(connection, connection.routes)

    async def routes_write(self, connection: Connection, routes: Collection[str]) -> None:
        """Write a connection's entries."""
        entry = entry_write(self.name, connection.accounts)
        async with self.redis.pipeline(transaction=False) as pipe:
            for route in routes:
                pipe.hset(route_name(route), connection.id, entry)
            await pipe.execute()

    async def remove(
        self, connection: Connection, routes: Collection[str], *, is_closed: bool = False
    ) -> None:
        """Route no more requests on these routes; `is_closed` removes the connection altogether."""
        if is_closed:
            self.connections_here.pop(connection.id, None)
        try:
            async with self.redis.pipeline(transaction=False) as pipe:
                for route in routes:
                    pipe.hdel(route_name(route), connection.id)
                await pipe.execute()
        except RedisError:  # a stale entry leads to us, and we answer that the connection is gone
            log.info("hub_entries_left", connection=connection.id)

    def item_handle(self, item: dict[str, Json]) -> None:
        """Handle one item of the inbox: an answer, or a request for one of our connections."""
        if "method" not in item:
            super().item_handle(item)
        elif item["deadline"] > time.time():  # nobody waits for a late one
            self.spawn(self.handle(item))

    async def handle(self, item: dict[str, Json]) -> None:
        """Answer another process' request with one of our connections."""
        reply: dict[str, Json] = {"id": item["id"], "result": None, "error": "", "gone": False}
        try:
            connection = self.connections_here.get(item["connection"])
            if connection is None:
                raise NoAnswer("channel closed")
            with span(f"connection {item['method']}", entry=str(item.get("trace", ""))):
                reply["result"] = await connection.handle(item["method"], item["payload"], item["deadline"])
        except NoAnswer as error:
            reply.update(error=error.reason, gone=True)
        except ProviderRefused as error:
            reply.update(error=error.reason, unable=isinstance(error, ProviderUnable))
        try:
            await self.outbox.post(item["to"], reply)
        except (RedisError, OSError) as error:  # the caller's own deadline ends its wait
            log.warning("hub_answer_lost", reason=str(error))

    def local_attempts(self, request: HubRequest, deadline: Deadline) -> list[Attempt]:
        """Return attempts at connections of this very process, in random order."""
        here = [one for one in self.connections_here.values() if can_answer(one, request)]
        random.shuffle(here)
        sends = [partial(one.request, request.method, request.payload, deadline.at) for one in here]
        return [Attempt(send, self.name) for send in sends]


def can_answer(connection: Connection, request: HubRequest) -> bool:
    """Return whether a connection answers on this route for one of these accounts."""
    return request.route in connection.routes and (
        request.accounts is None or not connection.accounts.isdisjoint(request.accounts)
    )


hub_node: Final[PerLoop[HubNode]] = PerLoop(lambda: HubNode(settings.REDIS_URL))
"""The running loop's node.  (Module state: connections of a process must be found from every request that it
serves.)"""
