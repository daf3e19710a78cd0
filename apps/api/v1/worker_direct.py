"""What hosts ask all the time, answered before Django: heartbeats, claims and the question for work.

Middleware, request objects and DRF cost several times what the services do.  Only what a host of the product
sends is answered here, and only with 200: whatever is refused, limited or sent in another way goes on to
Django's route, which says so, as the service has changed nothing.  The caller's token is read with the host's
row by one statement, so nothing is remembered: a revocation holds from the next request on.
"""

from __future__ import annotations

import re
import time
import uuid as uuids
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import structlog
from django.db import InterfaceError, OperationalError
from msgspec.structs import replace

from apps.api.auth.verify import body_read, replay
from apps.api.callers import BEARER
from apps.api.job_wait import KEY
from apps.api.rpc.transport.http import RpcResponse
from apps.api.rpc.transport.post import answer_send
from apps.api.v1.worker_view import SCOPE_OF_KIND, SECONDS, WAIT, heartbeat_note, work_check, work_find
from apps.core import clock
from apps.core.database_threads import DatabaseThreads
from apps.core.errors import DomainError
from apps.core.health import RETRY_AFTER_S, database_unavailable_text
from apps.core.metrics import request_count
from apps.core.middleware import REQUEST_ID
from apps.core.uuids import is_uuid
from apps.sectors.selectors.host_callers import host_caller_find
from apps.sectors.selectors.host_record import log_is_watched
from apps.sectors.selectors.jobs import jobs_of_miners
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.jobs.claims import jobs_claim
from apps.users.selectors.principals import principal_of_token
from apps.users.selectors.rate_limits import RULES
from apps.users.services.tokens import token_use_record
from poolsite.wire.codec import BadWire, document_decode, document_send
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.jobs import Claim
from poolsite.wire.jsonrpc.messages import frame_write, json_read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apps.api.job_wait import Holding
    from apps.core.handler import RequestHandler
    from apps.sectors.models import Worker
    from apps.users.rules.principals import Principal
    from poolsite.wire.codec import Document

    Event = dict[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

log = structlog.get_logger(__name__)
T = TypeVar("T")

BODY_MAX: Final = 16 * 1024
"""A larger document is Django's business."""
PATIENCE_S: Final = 10.0
"""A claim that waited so long for a thread is not carried out: its host gives up after 15 s, and a job of
which its holder does not hear lies idle until the lease is over."""
in_hosts: Final = DatabaseThreads("hosts", 8, is_steady=True)
"""What carries the requests out: when a thousand hosts come back most wait, and open no sessions."""
UNDERSTOOD: Final = frozenset(
    {"host", "accept", "accept-encoding", "connection", "user-agent", "authorization", "x-request-id"}
    | {"content-type", "content-length", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via"}
    | {"x-real-ip", "forwarded"}
)
"""Headers of a host's request and of a proxy before us; one with another has a meaning that Django knows."""
QUERY: Final = re.compile(f"{WAIT}={SECONDS.pattern}".encode())
ACCEPTED: Final = frozenset({"", "*/*", "application/json"})


class NotHere(Exception):
    """Django's route answers: with a refusal, or because the request is none of a host's usual ones."""


class TooLate(Exception):
    """The claim waited longer for its thread than its host may still wait for the answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a host, as far as it matters here."""

    route: Route
    uuid: str
    """The host's, from the address; empty where its body names it."""
    token: str
    source: str
    body: bytes
    wait: str
    """Parameter of the question for work."""
    holding: Holding | None
    since: float
    """When it had come whole, of `perf_counter`."""


def heartbeat(call: Call) -> Document:
    """Renew leases.  Raises NotHere, BadWire, DomainError."""
    document = document_decode(Heartbeat, json_read(call.body.decode(), is_unique=True))
    worker, _ = caller_of(call, call.uuid)
    answer = worker_heartbeat(worker, heartbeat=document, now=clock.now())
    return replace(answer, wants_log=log_is_watched(worker))


def claim(call: Call) -> Document:
    """Lease jobs.  Raises NotHere, TooLate, BadWire, DomainError."""
    if time.perf_counter() - call.since > PATIENCE_S:
        raise TooLate
    document = document_decode(Claim, json_read(call.body.decode(), is_unique=True))
    worker, principal = caller_of(call, document.worker_id)
    if not all(principal.has_scope(SCOPE_OF_KIND[kind]) for kind in document.kinds):
        raise NotHere
    return jobs_claim(worker, claim=document, now=clock.now(), among=jobs_of_miners(principal.miners))


def work(call: Call) -> Document:
    """Return whether a job is free; if none is, the answer may be held.  Raises NotHere, DomainError."""
    worker, principal = caller_of(call, call.uuid)
    return work_find(worker, call.holding, wait=call.wait, by=principal)


@dataclass(frozen=True, slots=True)
class Route:
    """A route that is answered here, with the names by which Django's is known."""

    method: str
    path: re.Pattern[str]
    name: str
    view: str
    answer: Callable[[Call], Document]


WORKERS: Final = "/api/v1/workers/([^/]+)/"
ROUTES: Final = (
    Route("POST", re.compile(f"{WORKERS}heartbeat"), "v1-worker-heartbeat", "HeartbeatView", heartbeat),
    Route("GET", re.compile(f"{WORKERS}work"), "v1-worker-work", "WorkView", work),
    Route("POST", re.compile("/api/v1/jobs:claim()"), "v1-jobs-claim", "ClaimView", claim),
)


class WorkerDirect:
    """Answers what it can of hosts' requests; hands every other one on to Django's handler."""

    def __init__(self, handler: RequestHandler) -> None:
        self.handler = handler

    async def carry_out(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, done in one of the handler's threads.  Raises what it raises."""
        return await self.handler.carry_out(work)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = route_of(scope)
        if found is None:
            await self.handler(scope, receive, send)
            return
        route, uuid, headers = found
        began = time.perf_counter()
        events: list[Event] = []
        body: bytes | None = b""
        if route.method == "POST":
            events, body = await body_read(receive)
        if body is None or len(body) > BODY_MAX:
            await self.handler(scope, replay(events, receive), send)
            return
        request_id = headers.get("x-request-id") or uuids.uuid4().hex
        client = scope.get("client")
        call = Call(
            route=route,
            uuid=uuid,
            token=headers["authorization"][len(BEARER) :].strip(),
            source=client[0] if client else "",
            body=body,
            wait=scope["query_string"].decode().partition("=")[2] if scope.get("query_string") else "",
            holding=scope.get(KEY),
            since=time.perf_counter(),
        )
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                answer = await answer_to(call)
            except NotHere:
                await self.handler(scope, replay(events, receive), send)
                return
            elapsed_s = time.perf_counter() - began
            request_count(route.method, route.name, answer.status, seconds=elapsed_s)
            log.info(
                "request",
                method=route.method,
                path=scope["path"],
                status=answer.status,
                ms=round(elapsed_s * 1000, 1),
            )
        await answer_send(answer, request_id, send)


async def answer_to(call: Call) -> RpcResponse:
    """Carry a request out.  Raises NotHere."""
    try:
        return RpcResponse(200, await in_hosts(answer_of, call))
    except (DomainError, BadWire, ValueError, RecursionError):
        raise NotHere from None
    except (OperationalError, InterfaceError) as error:
        # Not to be carried out again: whether it was committed nobody knows.
        log.warning("database_away", path=call.route.name)
        return answer_later("unavailable", database_unavailable_text(error))
    except TooLate:
        return answer_later("overloaded", "too many requests of hosts are waiting: try again")


def answer_later(code: str, message: str) -> RpcResponse:
    """Return the refusal of what the host is to ask again in a moment."""
    refusal = {"code": code, "message": message, "field": ""}
    return RpcResponse(503, frame_write(refusal), headers={"Retry-After": str(RETRY_AFTER_S)})


def route_of(scope: dict[str, Any]) -> tuple[Route, str, dict[str, str]] | None:
    """Return the route of a request as hosts send it, the host's uuid in its path, and its headers."""
    if scope["type"] != "http":
        return None
    query: bytes = scope.get("query_string", b"")
    path, method = scope["path"], scope["method"]
    for route in ROUTES:
        if method == route.method and (found := route.path.fullmatch(path)) is not None:
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
            }
            is_single = len(headers) == len(scope["headers"])
            return (route, found[1], headers) if is_single and is_usual(method, headers, query) else None
    return None


def is_usual(method: str, headers: dict[str, str], query: bytes) -> bool:
    """Return whether a request has nothing but what hosts send, and proxies before the console."""
    if not headers.keys() <= UNDERSTOOD or headers.get("accept", "") not in ACCEPTED:
        return False
    if query and (method != "GET" or QUERY.fullmatch(query) is None):
        return False
    request_id = headers.get("x-request-id", "")
    is_numbered = not request_id or REQUEST_ID.fullmatch(request_id) is not None
    is_json = method == "GET" or headers.get("content-type") == "application/json"
    return is_numbered and is_json and headers.get("authorization", "").startswith(BEARER)


def answer_of(call: Call) -> str:
    """Return the answer's JSON; runs in a thread with a kept session."""
    return msgspec.json.encode(document_send(call.route.answer(call))).decode()


def caller_of(call: Call, uuid: str) -> tuple[Worker, Principal]:
    """Return the host that calls, and as whom.  Raises NotHere, TokenRefused, NotAllowed."""
    found = host_caller_find(call.token, uuid) if is_uuid(uuid) else None
    if found is None:
        raise NotHere
    (token, worker), now = found, clock.now()
    principal = principal_of_token(token, now=now, source=call.source)
    work_check(principal, call.route.view)
    if any(rule.counts("rest", call.route.view) for rule in RULES.of(worker.tenant_id)):
        raise NotHere  # counted, and told what is left, by the view
    token_use_record(token, now=now, source=call.source)
    heartbeat_note(worker, principal=principal)
    return worker, principal
