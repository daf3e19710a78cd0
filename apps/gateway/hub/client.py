"""Requests to the connections that web processes hold: failover, hedging, deadlines.

Each process has one Redis list, its inbox.  Requests and answers travel as JSON with an absolute deadline.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final

import redis.asyncio
import structlog
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from apps.core import clock
from apps.core.database_threads import DatabaseThreads
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused
from apps.gateway.hub.hedging import (
    Attempt,
    LatencyTracker,
    ProcessGone,
    first_answer,
    is_final,
    is_refusal_final,
)
from apps.gateway.hub.outbox import Outbox
from apps.gateway.hub.requests import Deadline, HubRequest, Json, PendingAnswers, reply_result
from apps.gateway.hub.routes import (
    HEARTBEAT_S,
    NOT_CONNECTED,
    RECONNECT_WAIT_S,
    ConnectionRef,
    entries_read,
    inbox_name,
    process_name,
    route_name,
)
from apps.gateway.hub.shared_lookups import SharedLookups
from apps.gateway.selectors.connections import is_expected
from poolsite.tracing import span, trace_header

log = structlog.get_logger(__name__)

CONNECTIONS_MAX: Final = 20
"""To Redis, of one process; who needs one more waits.  A batch of signatures asks for hundreds at once."""
CANCEL_EVERY_S: Final = 0.5
READ_MAX: Final = 100
"""Items read from the inbox at once."""
PAUSE_S: Final = 0.1
"""Between two looks for a connection that is expected back."""
PAUSE_LATER_S: Final = 1.0
"""The same once it is away for longer than usual."""
hub_database: Final = DatabaseThreads("hub", 6, keeps_connections=True)
"""When a thousand signers return at once, a connection for each step would cost more than the steps."""


class HubClient:
    """One event loop's requests to connections that web processes hold."""

    def __init__(self, url: str) -> None:
        self.name = uuid.uuid4().hex
        self.pending = PendingAnswers()
        self.lookups = SharedLookups()
        self.latency = LatencyTracker()
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

    def start(self) -> None:
        """Read the inbox while an answer is due."""
        if not self.is_running:
            self.is_running = True
            self.spawn(self.read_pending())

    async def read_pending(self) -> None:
        """Read answers until none is due."""
        try:
            while self.pending.futures:
                try:
                    await self.inbox_read()
                except (RedisError, OSError) as error:
                    log.warning("hub_step_failed", step="inbox_read", reason=str(error))
                    await asyncio.sleep(0.5)
        finally:
            self.is_running = False

    async def stop(self) -> None:
        """End the tasks and close the connections to Redis."""
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

    async def inbox_read(self) -> None:
        """Handle what is in the inbox, once there is something."""
        inbox = inbox_name(self.name)
        popped = await self.redis.brpop([inbox], timeout=5)
        if popped is None:
            return
        for text in (popped[1], *(await self.redis.rpop(inbox, READ_MAX) or ())):
            self.item_handle(json.loads(text))

    def item_handle(self, item: dict[str, Json]) -> None:
        """Deliver an answer."""
        self.pending.resolve(item["id"], item)

    async def request(
        self,
        request: HubRequest,
        *,
        deadline: Deadline,
        sent: tuple[ConnectionRef, asyncio.Future[Json]] | None = None,
        patience_s: float | None = None,
    ) -> Json:
        """Send the request to a connection; if it goes away, to another, or to itself once back.

        What is repeatable is asked of a second connection too when the first is slow; each is asked of
        another one if the first cannot do it now.  `sent`: whom it was sent to a while ago, and the answer
        that is due.  `patience_s`: how long a provider that was here lately is waited for, if not for
        `RECONNECT_WAIT_S`.

        Raises ProviderRefused with the provider's own words, NoProvider or NoAnswer when nobody answered.
        """
        with span(f"hub {request.method}", is_call=True):
            return await self._request(request, deadline=deadline, sent=sent, patience_s=patience_s)

    async def _request(
        self,
        request: HubRequest,
        *,
        deadline: Deadline,
        sent: tuple[ConnectionRef, asyncio.Future[Json]] | None,
        patience_s: float | None,
    ) -> Json:
        self.start()
        requested = sent[0].connection if sent else ""
        first: list[Attempt] = []
        if sent:
            first = [Attempt(partial(self.answer, sent[1], sent[0], deadline), sent[0].process)]
        usual = Deadline(RECONNECT_WAIT_S)
        patience = Deadline(min(patience_s or RECONNECT_WAIT_S, deadline.left_s()))
        failure: DomainError = NoProvider(NOT_CONNECTED)
        while True:
            tried = {requested}
            here = self.local_attempts(request, deadline)
            there = [] if here else await self.remote_attempts(request, deadline, tried)
            attempts = [*first, *here, *there]
            try:
                if attempts:
                    started = time.monotonic()
                    hedge_s = 0.0 if first else self.latency.pause_s(request.method)
                    answer = await first_answer(
                        attempts,
                        pause_s=hedge_s if request.is_repeatable else None,
                        more=partial(self.remote_attempts, request, deadline, tried),
                        is_refusal_final=is_refusal_final(request.method),
                    )
                    self.latency.note(request.method, time.monotonic() - started)
                    return answer
            except NoAnswer as error:
                failure = NoAnswer(f"all request failed: {request.method} {error.reason}")
            if patience.left_s() < 0 or not (here or await self.is_expected(request.route)):
                raise failure
            first, requested = [], ""
            pause_s = PAUSE_S if usual.left_s() > 0 else PAUSE_LATER_S
            await asyncio.sleep(min(pause_s, max(patience.left_s(), PAUSE_S)))

    def local_attempts(
        self,
        request: HubRequest,  # noqa: ARG002  # a process without connections
        deadline: Deadline,  # noqa: ARG002
    ) -> list[Attempt]:
        """Return attempts at connections of this very process, in random order."""
        return []

    async def remote_attempts(
        self, request: HubRequest, deadline: Deadline, tried: set[str]
    ) -> list[Attempt]:
        """Return attempts at connections of other processes, in random order, and note them as `tried`.

        Those that were tried are left out: whoever waits for a process that was killed finds here, before
        its heartbeat has lapsed, the connection that the provider has opened to another process.
        """
        found = await self.connections(request)
        found = [one for one in found if one.process != self.name and one.connection not in tried]
        tried.update(one.connection for one in found)
        random.shuffle(found)
        return [
            Attempt(partial(self.send, one, request.method, request.payload, deadline), one.process)
            for one in found
        ]

    async def connections(self, request: HubRequest) -> list[ConnectionRef]:
        """Return the connections of all processes that can answer; none while Redis is away."""
        found = await self.lookups.get(("route", request.route), partial(self._connections, request.route))
        return [one for one in found if one.serves(request.accounts)]

    async def _connections(self, route: str) -> list[ConnectionRef]:
        try:
            found = entries_read(await self.redis.hgetall(route_name(route)))
            if not found:
                return []
            heartbeats = await self.redis.mget([process_name(one.process) for one in found])
        except RedisError:
            return []
        return [one for one, heartbeat in zip(found, heartbeats, strict=True) if heartbeat is not None]

    async def is_expected(self, route: str) -> bool:
        """Return whether a provider was here lately and is worth waiting for."""
        try:
            return await self.lookups.get(
                ("expected", route), partial(hub_database, is_expected, route, now=clock.now())
            )
        except DatabaseError:
            return True

    async def send(self, ref: ConnectionRef, method: str, payload: Json, deadline: Deadline) -> Json:
        """Return the answer of this very connection.  Raises ProviderRefused, NoAnswer."""
        self.start()
        key = uuid.uuid4().hex
        future = self.pending.expect(key)
        try:
            await self.outbox.post(*self.item(key, ref, method, payload, deadline))
            return await self.answer(future, ref, deadline)
        except (RedisError, OSError):
            raise NoAnswer(gettext("Redis is unavailable")) from None
        finally:
            del self.pending.futures[key]

    def item(
        self, key: str, ref: ConnectionRef, method: str, payload: Json, deadline: Deadline
    ) -> tuple[str, dict[str, Json]]:
        """Return the inbox of a connection's process, and a request as it travels."""
        item = {"id": key, "to": inbox_name(self.name), "connection": ref.connection, "method": method}
        traced = {"trace": header} if (header := trace_header()) else {}
        return inbox_name(ref.process), {**item, "payload": payload, "deadline": deadline.at, **traced}

    async def answer(self, future: asyncio.Future[Json], ref: ConnectionRef, deadline: Deadline) -> Json:
        """Wait for an answer while the other process lives.  Raises ProviderRefused, NoAnswer."""
        while (left_s := deadline.left_s()) > 0:
            await asyncio.wait({future}, timeout=min(left_s, HEARTBEAT_S))
            if future.done():
                return reply_result(future.result())
            try:
                is_alive = partial(self._is_alive, ref.process)
                if not await self.lookups.get(("process", ref.process), is_alive):
                    raise ProcessGone("channel closed")
            except RedisError:
                raise NoAnswer(gettext("Redis is unavailable")) from None
        raise NoAnswer(gettext("no answer in time"))

    async def _is_alive(self, process: str) -> bool:
        return bool(await self.redis.exists(process_name(process)))

    async def request_many(
        self, requests: Sequence[HubRequest], *, deadline: Deadline
    ) -> list[Json | DomainError]:
        """Return the answer of each request, or its ProviderRefused, NoProvider, NoAnswer.

        All are sent in one round trip; only those that fail or are slow are followed one by one.
        """
        with span(f"hub {requests[0].method}" if requests else "hub", is_call=True):
            return await self._request_many(requests, deadline=deadline)

    async def _request_many(
        self, requests: Sequence[HubRequest], *, deadline: Deadline
    ) -> list[Json | DomainError]:
        sent = await self._targets(requests)
        keys = [key for key, _ in sent.values()]
        futures = {number: self.pending.expect(key) for number, (key, _) in sent.items()}
        self.start()
        try:
            items = [
                self.item(key, ref, requests[number].method, requests[number].payload, deadline)
                for number, (key, ref) in sent.items()
            ]
            try:
                await self.outbox.post_many(items)
                if futures:
                    await asyncio.wait(futures.values(), timeout=min(HEARTBEAT_S, deadline.left_s()))
            except (RedisError, OSError):  # each is tried again while there is time
                sent = {}
            answers: dict[int, Json | DomainError] = {}
            for number in [number for number in sent if futures[number].done()]:
                try:
                    answers[number] = reply_result(futures[number].result())
                except ProviderRefused as refusal:  # one that is not final is followed: others may be asked
                    method = requests[number].method
                    if is_final(refusal, is_refusal_final=is_refusal_final(method)):
                        answers[number] = refusal
                except NoAnswer:
                    del sent[number]
            late = [number for number in range(len(requests)) if number not in answers]
            followed = [
                self._followed(requests[one], sent.get(one), futures.get(one), deadline) for one in late
            ]
            answers.update(zip(late, await asyncio.gather(*followed), strict=True))
        finally:
            for key in keys:
                del self.pending.futures[key]
        return [answers[number] for number in range(len(requests))]

    async def _targets(self, requests: Sequence[HubRequest]) -> dict[int, tuple[str, ConnectionRef]]:
        """Return an id and a connection for each request that somebody can answer."""
        routes = list({one.route for one in requests})
        lookups = [self.lookups.get(("route", one), partial(self._connections, one)) for one in routes]
        found = dict(zip(routes, await asyncio.gather(*lookups), strict=True))
        targets = {}
        for number, request in enumerate(requests):
            able = [one for one in found[request.route] if one.serves(request.accounts)]
            if able:
                targets[number] = (uuid.uuid4().hex, random.choice(able))  # noqa: S311  # spreads load, no secret
        return targets

    async def _followed(
        self,
        request: HubRequest,
        sent: tuple[str, ConnectionRef] | None,
        future: asyncio.Future[Json] | None,
        deadline: Deadline,
    ) -> Json | DomainError:
        try:
            return await self.request(
                request, deadline=deadline, sent=(sent[1], future) if sent and future else None
            )
        except DomainError as error:
            return error
