"""JSON-RPC over POST: statuses, headers and refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from apps.api.callers import token_text
from apps.api.rpc.dispatcher import Dispatcher
from apps.api.rpc.services.market import call_refusal, post_forward, refusal_of
from apps.api.rpc.services.registry import NAMESPACES, SERVICES, VERSIONS
from apps.gateway.selectors.reverse import HOST_KEYS
from apps.users.errors import TokenRefused
from apps.users.rules.principals import Principal
from poolsite.wire.jsonrpc.messages import Json, RpcError, frame_read, frame_write
from poolsite.wire.jsonrpc.server import body_handle

CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-VENUS-API-NAMESPACE",
}
"""Pages of other hosts may call with a token; there is no cookie here."""

TEXT: Final = "text/plain"
STRANGERS_BYTES_MAX: Final = 64 << 10
"""Largest body that is read of a caller without a valid token."""


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One request, as far as it matters here."""

    version: str
    method: str
    authorization: str
    query_token: str
    namespace: str
    """The header X-VENUS-API-NAMESPACE."""
    source: str
    """Network address of the caller."""
    length: int = 0
    """Size of the body in bytes as its head says; 0 if it does not."""
    left: Callable[[], Awaitable[None]] | None = None
    """Returns when the caller has left; only to be called once the body was read."""


@dataclass(frozen=True, slots=True)
class RpcResponse:
    """What goes back."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Authenticate = Callable[[str, str], Awaitable["Principal"]]
"""Tells who holds a token that comes from an address.  Raises TokenRefused."""
ReadBody = Callable[[str], Awaitable[bytes]]
"""Reads the body, which counts as the named tenant's; empty for a stranger's."""


async def post_answer(request: RpcRequest, body: ReadBody, who: Authenticate) -> RpcResponse:
    """Answer one request or a batch; statuses are go-jsonrpc's (200, and 500 for errors of the protocol)."""
    if request.version not in VERSIONS:
        return RpcResponse(404, "404 page not found\n", TEXT)
    if request.method == "OPTIONS":
        return RpcResponse(200, "", TEXT, CORS)
    if request.method != "POST":
        return RpcResponse(405, "405 method not allowed\n", TEXT)
    try:
        text = token_text(request.authorization, request.query_token)
        if not text:
            raise TokenRefused("a token is required: send 'Authorization: Bearer <token>'")
        principal = await who(text, request.source)
    except TokenRefused as error:
        number = request_number(await body("")) if 0 < request.length <= STRANGERS_BYTES_MAX else None
        refusal = {"jsonrpc": "2.0", "id": number, "error": {"code": 401, "message": error.reason}}
        return RpcResponse(401, frame_write(refusal), headers=CORS)
    if request.namespace in HOST_KEYS:
        return await market_answer(request, principal, token=text, body=await body(principal.tenant_name))
    namespace = NAMESPACES.get(request.namespace, "")
    dispatcher = Dispatcher(
        SERVICES,
        principal,
        request.version,
        namespace=namespace,
        left=request.left,
    )
    status, text = await body_handle(await body(principal.tenant_name), dispatcher)
    left = dispatcher.usage.headers() if dispatcher.usage is not None else {}
    return RpcResponse(status, text, headers={**CORS, **left})


async def market_answer(request: RpcRequest, principal: Principal, *, token: str, body: bytes) -> RpcResponse:
    """Return a market's answer."""
    status, refusal, url = await refusal_of(principal, HOST_KEYS[request.namespace])
    if status:
        return RpcResponse(status, refusal, TEXT, CORS)
    _, refusal = await call_refusal(principal, body)
    if refusal:
        return RpcResponse(429, f"{refusal}\n", TEXT, CORS)
    status, answer = await post_forward(
        url, version=request.version, body=body, token=token, namespace=request.namespace
    )
    return RpcResponse(status, answer, headers=CORS)


def length_of(header: str) -> int:
    """Read the header Content-Length; 0 without one."""
    return int(header) if header.isascii() and header.isdigit() else 0


def request_number(body: bytes) -> Json:
    """Return the id of a request: venus' clients show the reason of a refusal only if it names theirs."""
    try:
        frame = frame_read(body)
    except RpcError:
        return None
    number = frame.get("id") if isinstance(frame, dict) else None
    return number if isinstance(number, int | float | str) else None
