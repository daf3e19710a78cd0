"""How large a request body may be and how long it may take, enforced while it arrives.

Django would first write all of it to disk.  A body over `FREE_BYTES` is taken only of a caller with a token
or session that is known here, and counts as its tenant's.  (JSON-RPC does all this itself, in `rpc.post`.)
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, parse_cookie
from django.utils.encoding import escape_uri_path

from apps.api.callers import token_text
from apps.api.mk20.auth import PREFIX, BadAuth, client_authenticate, client_named
from apps.api.rpc import limits
from apps.api.rpc.callers import caller_cache
from apps.api.rpc.limits import FREE_BYTES, MemoryBudget, Overloaded
from apps.core import clock
from apps.core.database_threads import in_database
from apps.core.health import database_unavailable_text
from apps.core.streams import STREAM_MAX_BYTES, STREAMS_MAX, drain, is_streamed
from apps.market.errors import DealUnknown
from apps.market.rules import ulid_decode
from apps.market.selectors.deals import deal_of_client
from apps.pieces.data.sources import SLOW_RATE, SLOW_S
from apps.users.errors import TokenRefused
from poolsite.filecoin.sizes import MIB

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    OwnerOf = Callable[[dict[str, Any]], Awaitable[str]]

log = structlog.get_logger(__name__)


SLOW: Final = 408
"""The rest of such a body is not waited for."""
RPC: Final = "/rpc/"
DEAL: Final = re.compile(r"/market/mk20/uploads?/([^/]+)")
"""The paths by which clients upload what a deal is about."""
LIMITS: Final[tuple[tuple[str, int], ...]] = (
    ("/api/v1/jobs", 64 * MIB),
    ("/api/v1/workers", 64 * MIB),
)
"""Path prefix → bytes; reports of sealing hosts carry proofs.  Other paths have the settings' limits."""


def body_limit(path: str) -> int:
    """Return the limit of a path."""
    if path.startswith(RPC):
        return int(settings.RPC_REQUEST_MAX_BYTES)
    default: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 4 * MIB
    return next((limit for prefix, limit in LIMITS if path.startswith(prefix)), default)


MEMORY: Final = MemoryBudget("REST_INFLIGHT_MAX_BYTES")
"""This process' budget for large bodies.  (Module state: every request of it shares the machine's memory.)"""


class Refused(Exception):
    """The body is not taken: an answer in place of the application's."""

    def __init__(self, status: int, code: str, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason, self.headers = status, code, reason, headers


def too_large(limit: int) -> Refused:
    """Return the refusal of a body above the limit of its path."""
    return Refused(413, "body_too_large", f"the body may have at most {limit} bytes")


async def owner_of(scope: dict[str, Any]) -> str:
    """Return the tenant or person behind a request's token or session; empty for a stranger."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    authorization = headers.get(b"authorization", "")
    if authorization.startswith(PREFIX):
        return await in_database(deal_client_of, scope["method"], scope["path"], authorization)
    if authorization:
        source = scope["client"][0] if scope.get("client") else ""
        try:
            return (await caller_cache().principal(token_text(authorization), source)).tenant_name
        except TokenRefused:
            return ""
    key = parse_cookie(headers.get(b"cookie", "")).get(settings.SESSION_COOKIE_NAME)
    return await in_database(person_of, key) if key else ""


def deal_client_of(method: str, path: str, authorization: str) -> str:
    """Return the client behind a signature of market 2.0 who has the deal of a path; empty for a stranger."""
    found = DEAL.match(path)
    try:
        client = client_authenticate(
            authorization, method=method, path=escape_uri_path(path), now=clock.now()
        )
        return "" if found is None else str(deal_of_client(ulid_decode(found[1]), client=client).miner.tenant)
    except (BadAuth, DealUnknown, ValueError):
        return ""


def person_of(session_key: str) -> str:
    """Return who is logged in under a session's key; empty if nobody is."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    return f"person {user.pk}" if user.is_authenticated and user.is_active else ""


class Pace:
    """The least rate of a body, as of a download: `SLOW_RATE` over all, beside `SLOW_S` to stand still.

    Only what is waited for its sender counts, not what is written to the disk meanwhile.
    """

    def __init__(self) -> None:
        self.left_s = SLOW_S
        """For so long the sender may be waited for now."""

    def note(self, *, waited_s: float, count: int) -> None:
        """Note that so many bytes were waited for so long."""
        self.left_s = min(self.left_s - waited_s + count / SLOW_RATE, SLOW_S)


class Body:
    """The body of one request while it arrives; `clients` counts streams of deals' clients by client."""

    def __init__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        owner_of: OwnerOf,
        reservation: limits.Reservation,
        clients: Counter[str],
    ) -> None:
        self.scope, self.receive, self.owner_of, self.reservation = scope, receive, owner_of, reservation
        self.clients, self.client = clients, ""
        self.is_streamed = is_streamed(scope.get("method", ""), scope["path"])
        self.is_clients = self.is_streamed and DEAL.match(scope["path"]) is not None
        self.pace = Pace() if self.is_clients else None
        self.limit = STREAM_MAX_BYTES if self.is_streamed else body_limit(scope["path"])
        self.is_complete = False
        self.refusal: Refused | None = None
        self.owner = ""
        self.received = 0
        self.until = asyncio.get_running_loop().time() + limits.ARRIVAL_S

    async def require(self, size: int) -> None:
        """Raise Refused if a body of that size is not taken of this caller."""
        if size > self.limit:
            raise too_large(self.limit)
        if size > FREE_BYTES and not self.owner and not self.scope["path"].startswith(RPC):
            try:
                self.owner = await self.owner_of(self.scope)
            except (OperationalError, InterfaceError) as error:
                raise Refused(
                    503, "unavailable", database_unavailable_text(error), **{"retry-after": "2"}
                ) from error
            if not self.owner:
                reason = f"without a valid token or session the body may have at most {FREE_BYTES} bytes"
                raise Refused(413, "body_too_large", reason)
            if self.is_clients:
                self.client_count()

    def client_count(self) -> None:
        """Count a stream for its client, whose signature is verified.  Raises Refused, BadAuth."""
        headers = {name.lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        name = client_named(headers.get(b"authorization", ""))
        if self.clients[name] >= STREAMS_PER_CLIENT:
            raise crowded()
        self.clients[name] += 1
        self.client = name

    def client_release(self) -> None:
        """Count a stream no longer."""
        if self.client:
            self.clients.subtract([self.client])
            if not self.clients[self.client]:
                del self.clients[self.client]
            self.client = ""

    async def event(self) -> dict[str, Any]:
        """Return the next piece; once refused, what an app is told of a caller who left, so that it ends."""
        if self.refusal is None:
            try:
                return await self.piece()
            except Refused as refusal:
                self.refusal = refusal
        return {"type": "http.disconnect"}

    async def piece(self) -> dict[str, Any]:
        """Return the next piece.  Raises Refused."""
        began = asyncio.get_running_loop().time()
        if self.is_complete or self.scope["path"].startswith(RPC):
            event = await self.receive()
        elif self.pace is not None:
            try:
                async with asyncio.timeout(self.pace.left_s):
                    event = await self.receive()
            except TimeoutError as error:
                reason = f"the body comes with less than {SLOW_RATE >> 10} KiB a second"
                raise Refused(SLOW, "body_too_slow", reason) from error
        else:
            try:
                async with asyncio.timeout_at(self.until):
                    event = await self.receive()
            except TimeoutError as error:
                reason = f"the body did not arrive within {limits.ARRIVAL_S:.0f} s"
                raise Refused(408, "body_too_slow", reason) from error
        if self.is_streamed:  # an upload may take hours: only a pause between two chunks ends it
            self.until = asyncio.get_running_loop().time() + limits.ARRIVAL_S
        size = len(event.get("body", b""))
        if self.pace is not None:
            self.pace.note(waited_s=asyncio.get_running_loop().time() - began, count=size)
        self.received += size
        self.is_complete = self.is_complete or not event.get("more_body")
        await self.require(self.received)
        if self.owner and not self.is_streamed:  # a streamed body never holds more than one chunk in memory
            try:
                self.reservation.grow(self.owner, size)
            except Overloaded as error:
                raise Refused(503, error.code, error.reason, **{"retry-after": "1"}) from error
        return event


CLIENT_STREAMS_MAX: Final = STREAMS_MAX // 2
"""Streamed bodies of deals' clients among all: others stay for tenants and sealing hosts."""
STREAMS_PER_CLIENT: Final = 4
"""Streamed bodies of one client among those: others have theirs."""


def crowded() -> Refused:
    """Return the refusal of a streamed body beside too many others."""
    return Refused(503, "overloaded", "too many concurrent uploads: try again", **{"retry-after": "5"})


class BodyLimit:
    """Wraps an ASGI app: a body that is not taken is answered at once and not read on."""

    def __init__(
        self, app: Callable[[Any, Any, Any], Awaitable[None]], *, owner_of: OwnerOf = owner_of
    ) -> None:
        self.app = app
        self.owner_of = owner_of
        self.streams = 0
        """Streamed bodies that are on their way."""
        self.client_streams = 0
        """Those of deals' clients among them."""
        self.clients: Counter[str] = Counter()
        """Those by client."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, watching its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with MEMORY.reservation() as reservation:
            body = Body(scope, receive, self.owner_of, reservation, self.clients)
            self.streams += body.is_streamed
            self.client_streams += body.is_clients
            try:
                is_full = self.streams > STREAMS_MAX and body.is_streamed
                if is_full or (body.is_clients and self.client_streams > CLIENT_STREAMS_MAX):
                    raise crowded()
                await body.require(declared_length(scope))
                await self.app(scope, body.event, send)
            except Refused as refusal:
                body.refusal = refusal
            finally:
                self.streams -= body.is_streamed
                self.client_streams -= body.is_clients
                body.client_release()
            if (refused := body.refusal) is not None:
                log.warning("body_refused", path=scope["path"], status=refused.status, bytes=body.received)
                await refuse(scope["path"], refused, None if body.is_complete else receive, send)


def declared_length(scope: dict[str, Any]) -> int:
    """Return Content-Length; 0 where it is missing (the body is counted as it comes)."""
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def refuse(path: str, refusal: Refused, receive: Receive | None, send: Send) -> None:
    """Answer a body that is not taken; JSON-RPC clients read no other status than 500 for protocol errors.

    The answer goes at once, and the rest of the body to nowhere: many clients read only once they have sent
    all, and a connection that is closed before takes the answer with it.  `receive` is None for a whole body.
    """
    if path.startswith(RPC):
        error = {"code": -32700, "message": f"request bigger than maximum {body_limit(path)} allowed"}
        status, body = 500, {"jsonrpc": "2.0", "id": None, "error": error}
    else:
        status, body = refusal.status, {"code": refusal.code, "message": refusal.reason, "field": ""}
    text_bytes = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(text_bytes)).encode()),
        (b"connection", b"close"),
        *((name.encode(), value.encode()) for name, value in refusal.headers.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text_bytes, "more_body": True})
    if receive is not None and refusal.status != SLOW:
        await drain(receive)
    await send({"type": "http.response.body", "body": b""})
