"""The switch of a web process: a request from any process reaches the connection that this one holds.

Each process has one Redis list, its box.  Questions and answers travel as JSON with an absolute deadline.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
import weakref
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import redis.asyncio
import structlog
from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from apps.core import clock
from apps.core.liveness import heartbeat_send
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused
from apps.gateway.hedging import LatencyTracker, first_answer
from apps.gateway.outbox import Outbox
from apps.gateway.routes import (
    AWAY,
    BEAT_S,
    LIFE_S,
    PATIENCE_S,
    box_name,
    entry_write,
    holders_read,
    process_name,
    route_name,
)
from apps.gateway.selectors import is_expected
from apps.gateway.services import connections_seen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine

    from apps.core.errors import DomainError
    from apps.gateway.activity import Activity
    from apps.gateway.routes import Holder

log = structlog.get_logger(__name__)

SEEN_EVERY_S: Final = 4.0
"""How often it is written down what our connections did."""
CONFIRM_EVERY_S: Final = 10.0
"""How often the rows of those that did nothing are confirmed; three times within `ALIVE_S`."""
CONNECTIONS_MAX: Final = 20
"""To Redis, of one process; who needs one more waits.  A round of signatures asks for hundreds at once."""
CANCEL_EVERY_S: Final = 0.5
READ_MAX: Final = 100
"""Items taken out of the box at once."""
PAUSE_S: Final = 0.1
"""Between two looks for a connection that is expected back."""

Json = Any


class Connection(Protocol):
    """What the switch needs to know of one that answers."""

    id: str
    accounts: set[str]
    routes: set[str]
    life_name: str
    """Under which process its heartbeats are shown; empty for a tenant's own."""

    async def ask(self, method: str, payload: Json, until: float) -> Json:
        """Ask it.  Raises NoAnswer, ProviderRefused."""

    async def serve(self, method: str, payload: Json, until: float) -> Json:
        """Ask it, or do with it what the pool wants.  Raises NoAnswer, ProviderRefused."""

    def activity_take(self) -> Activity | None:
        """Give what it did since the last time; None if nothing changed."""


class Waiting:
    """Answers that somebody waits for, by id."""

    def __init__(self) -> None:
        self.futures: dict[str, asyncio.Future[Json]] = {}

    def expect(self, key: str) -> asyncio.Future[Json]:
        """Before the question is sent, so that a quick answer finds it."""
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.futures[key] = future
        return future

    def arrived(self, key: str, value: Json) -> bool:
        """Hand an answer over; False if nobody waits for it (any more)."""
        future = self.futures.get(key)
        if future is None or future.done():
            return False
        future.set_result(value)
        return True

    def lost(self) -> None:
        """Tell all who wait that no answer will come."""
        for future in self.futures.values():
            if not future.done():
                future.set_exception(NoAnswer("channel closed"))


class HubNode:
    """One process' box and connections; belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self.name = uuid.uuid4().hex
        self.connections: dict[str, Connection] = {}
        self.channels: Counter[str] = Counter()
        """Open channels of each tenant here, those that still prove their keys too."""
        self.waiting = Waiting()
        self.tasks: set[asyncio.Task[None]] = set()
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            decode_responses=True,
            socket_timeout=10.0,
            socket_connect_timeout=2.0,
            max_connections=CONNECTIONS_MAX,
        )
        self.redis: Any = redis.asyncio.Redis.from_pool(pool)
        self.outbox = Outbox(self.redis)
        self.is_running = False
        self.confirmed_at = 0.0
        self.pace = LatencyTracker()

    def start(self) -> None:
        """With the first socket or request; the loop runs by then."""
        if not self.is_running:
            self.is_running = True
            self.spawn(self.forever(self.read, 0))
            self.spawn(self.forever(self.beat, BEAT_S))
            self.spawn(self.forever(self.confirm, SEEN_EVERY_S))

    async def stop(self) -> None:
        """End the loops and close the connection to Redis."""
        self.is_running = False
        while running := {task for task in self.tasks if not task.done()}:
            for task in running:
                task.cancel()
            # Redis' client may lose a cancellation that meets it while it takes a connection: say it again
            await asyncio.wait(running, timeout=CANCEL_EVERY_S)
        await self.redis.aclose()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; the loop itself holds tasks weakly."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def forever(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
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

    async def beat(self) -> None:
        """Say that this process lives; where Redis had forgotten it, write all routes again."""
        if not self.connections:
            return
        before = await self.redis.set(process_name(self.name), 1, ex=LIFE_S, get=True)
        if before is None:
            for connection in tuple(self.connections.values()):
                await self.write(connection, connection.routes)

    async def confirm(self) -> None:
        """Confirm the rows of our connections and add up what they did."""
        if not self.connections:
            return
        taken = {key: connection.activity_take() for key, connection in self.connections.items()}
        done = {key: activity for key, activity in taken.items() if activity is not None}
        for name in {connection.life_name for connection in self.connections.values()} - {""}:
            await asyncio.to_thread(heartbeat_send, name, pid=0)
        if not done and time.monotonic() - self.confirmed_at < CONFIRM_EVERY_S:
            return
        self.confirmed_at = time.monotonic()
        seen = database_sync_to_async(connections_seen, thread_sensitive=False)
        await seen(process=self.name, done=done, now=clock.now())

    async def add(self, connection: Connection) -> None:
        """Let requests come to a connection, on all of its routes."""
        self.connections[connection.id] = connection
        await self.redis.set(process_name(self.name), 1, ex=LIFE_S)
        await self.write(connection, connection.routes)

    async def write(self, connection: Connection, routes: Collection[str]) -> None:
        """Write a connection's entries."""
        entry = entry_write(self.name, connection.accounts)
        async with self.redis.pipeline(transaction=False) as pipe:
            for route in routes:
                pipe.hset(route_name(route), connection.id, entry)
            await pipe.execute()

    async def forget(self, connection: Connection, routes: Collection[str], *, gone: bool = False) -> None:
        """Let no more requests come on these routes; `gone` ends the connection altogether."""
        if gone:
            self.connections.pop(connection.id, None)
        try:
            async with self.redis.pipeline(transaction=False) as pipe:
                for route in routes:
                    pipe.hdel(route_name(route), connection.id)
                await pipe.execute()
        except RedisError:  # a stale entry leads to us, and we answer that the connection is gone
            log.info("hub_entries_left", connection=connection.id)

    async def read(self) -> None:
        """Take what is in our box, once there is something."""
        box = box_name(self.name)
        popped = await self.redis.brpop([box], timeout=5)
        if popped is None:
            return
        self.take(popped[1])
        for text in await self.redis.rpop(box, READ_MAX) or ():
            self.take(text)

    def take(self, text: str) -> None:
        """Take one item: an answer, or a question for one of our connections."""
        item = json.loads(text)
        if "method" not in item:
            self.waiting.arrived(item["id"], item)
        elif item["deadline"] > time.time():  # nobody waits for a late one
            self.spawn(self.serve(item))

    async def serve(self, item: dict[str, Json]) -> None:
        """Ask one of our connections for somebody else."""
        reply: dict[str, Json] = {"id": item["id"], "result": None, "error": "", "gone": False}
        try:
            connection = self.connections.get(item["connection"])
            if connection is None:
                raise NoAnswer("channel closed")
            reply["result"] = await connection.serve(item["method"], item["payload"], item["deadline"])
        except NoAnswer as error:
            reply.update(error=error.reason, gone=True)
        except ProviderRefused as error:
            reply["error"] = error.reason
        try:
            await self.outbox.post(item["to"], reply)
        except (RedisError, OSError) as error:  # the asker's own deadline tells it
            log.warning("hub_answer_lost", reason=str(error))

    async def request(
        self,
        *,
        route: str,
        accounts: Collection[str] | None,
        method: str,
        payload: Json,
        seconds: float,
        is_repeatable: bool = False,
    ) -> Json:
        """Ask a connection on `route` for one of `accounts`; if it goes away, another, or itself once back.

        What is repeatable is asked of a second connection too when the first is slow.

        Raises ProviderRefused with the provider's own words, NoProvider or NoAnswer when nobody answered.
        """
        self.start()
        start = time.time()
        deadline, patience_until = start + seconds, start + min(PATIENCE_S, seconds)
        failure: DomainError = NoProvider(AWAY)
        while True:
            here = [one for one in self.connections.values() if self.can(one, route, accounts)]
            there = [] if here else await self.holders(route, accounts)
            attempts = [
                *(partial(one.ask, method, payload, deadline) for one in random.sample(here, len(here))),
                *(
                    partial(self.ask, one, method, payload, deadline)
                    for one in random.sample(there, len(there))
                ),
            ]

            async def elsewhere() -> list[partial[Coroutine[Any, Any, Json]]]:
                held = await self.holders(route, accounts)
                others = [one for one in held if one.process != self.name]
                return [partial(self.ask, one, method, payload, deadline) for one in others]

            try:
                if attempts:
                    asked = time.monotonic()
                    answer = await first_answer(
                        attempts,
                        pause_s=self.pace.pause_s(method) if is_repeatable else None,
                        more=elsewhere if here else None,
                    )
                    self.pace.note(method, time.monotonic() - asked)
                    return answer
            except NoAnswer as error:
                failure = NoAnswer(f"all request failed: {method} {error.reason}")
            if time.time() > patience_until or not (here or await self.is_expected(route)):
                raise failure
            await asyncio.sleep(PAUSE_S)

    @staticmethod
    def can(connection: Connection, route: str, accounts: Collection[str] | None) -> bool:
        """Tell whether a connection of ours answers on this route for one of these accounts."""
        return route in connection.routes and (
            accounts is None or not connection.accounts.isdisjoint(accounts)
        )

    async def is_expected(self, route: str) -> bool:
        """Tell whether a provider was here lately and is worth waiting for."""
        asked = database_sync_to_async(is_expected, thread_sensitive=False)
        try:
            return await asked(route, now=clock.now())
        except DatabaseError:
            return True

    async def holders(self, route: str, accounts: Collection[str] | None) -> list[Holder]:
        """Give the connections of all processes that can answer; none while Redis is away."""
        try:
            holders = holders_read(await self.redis.hgetall(route_name(route)))
            if not holders:
                return []
            signs = await self.redis.mget([process_name(holder.process) for holder in holders])
        except RedisError:
            return []
        alive = [holder for holder, sign in zip(holders, signs, strict=True) if sign is not None]
        return [holder for holder in alive if holder.serves(accounts)]

    async def ask(self, holder: Holder, method: str, payload: Json, deadline: float) -> Json:
        """Ask a connection of another process.  Raises ProviderRefused, NoAnswer."""
        key = uuid.uuid4().hex
        future = self.waiting.expect(key)
        item = {"id": key, "to": box_name(self.name), "connection": holder.connection, "method": method}
        try:
            await self.outbox.post(
                box_name(holder.process), {**item, "payload": payload, "deadline": deadline}
            )
            reply = await self.reply_wait(future, holder, deadline)
        except RedisError:
            raise NoAnswer("Redis is away") from None
        finally:
            del self.waiting.futures[key]
        if reply["gone"]:
            raise NoAnswer(reply["error"])
        if reply["error"]:
            raise ProviderRefused(reply["error"])
        return reply["result"]

    async def reply_wait(self, future: asyncio.Future[Json], holder: Holder, deadline: float) -> Json:
        """Wait while the other process lives.  Raises NoAnswer."""
        while (left := deadline - time.time()) > 0:
            await asyncio.wait({future}, timeout=min(left, BEAT_S))
            if future.done():
                return future.result()
            if not await self.redis.exists(process_name(holder.process)):
                raise NoAnswer("channel closed")
        raise NoAnswer("no answer in time")


_switches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, HubNode] = weakref.WeakKeyDictionary()
"""A process has one loop and so one switch; tests have several loops.  (Module state: connections of a
process must be found from every request that it serves.)"""


def hub_node() -> HubNode:
    """Give the switch of the running loop."""
    loop = asyncio.get_running_loop()
    switch = _switches.get(loop)
    if switch is None:
        switch = _switches[loop] = HubNode(settings.REDIS_URL)
    return switch
