"""From a caller and a method's name to a service: tables by prefix, permission, parameters, errors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final

from django.db import InterfaceError, OperationalError

from apps.api.errors import domain_error, rpc_code
from apps.api.rpc.threads import LONG_THREADS, NODE_THREADS, PLAIN_THREADS, RATE_THREADS, TenantThreads
from apps.core.health import database_unavailable_text
from apps.users.rules.principals import Principal
from apps.users.rules.rate_limits import Usage
from apps.users.selectors.rate_limits import RULES
from apps.users.services.rate_limit_buckets import rate_limit_count
from poolsite.tracing import span
from poolsite.wire.jsonrpc.messages import Json, RpcError, method_missing, operator_missing, perm_missing
from poolsite.wire.jsonrpc.parameters import RpcMethod, params_decode

CHANNEL, COROUTINE, PLAIN = "channel", "coroutine", "plain"
ANY_SCOPE: Final = "*"
"""Scope of a method that every token reaches."""


def threads_of(row: RpcMethod) -> TenantThreads:
    """Return the threads for a method's plain handler."""
    if row.is_long:
        return LONG_THREADS
    return NODE_THREADS if row.asks_node else PLAIN_THREADS


@lru_cache(maxsize=1024)
def handler_kind(handler: Callable[..., Any]) -> str:
    """Return which kind of function carries out a method."""
    if inspect.isasyncgenfunction(handler):
        return CHANNEL
    return COROUTINE if inspect.iscoroutinefunction(handler) else PLAIN


@dataclass(frozen=True, slots=True)
class Service:
    """What one prefix stands for."""

    methods: Mapping[str, RpcMethod]
    """By full name, for every version of the path."""
    by_version: Mapping[str, Mapping[str, RpcMethod]]
    """Methods that differ in one version, e.g. `{"v1": {"Gateway.WalletSign": ...}}`."""
    versions: Collection[str] = ("v0", "v1", "v2")
    """Paths on which it is there."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of methods → their full names; what is said of a method holds for them."""

    def find(self, name: str, version: str) -> RpcMethod | None:
        """Return the row of a method."""
        if version not in self.versions:
            return None
        return self.by_version.get(version, {}).get(name) or self.methods.get(name)


@dataclass(slots=True)
class Call:
    """What a handler gets before its parameters."""

    principal: Principal
    version: str
    """Path: v0, v1 or v2."""
    on_socket: bool = False
    connection: Any = None
    """State that lives as long as the socket, for methods that belong together; None over POST."""
    left: Callable[[], Awaitable[None]] | None = None
    """Returns when the caller of a POST has left; on a socket the call is cancelled."""


async def result_unless_disconnected(call: Call, work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns; it is cancelled when the caller of a POST disconnects.

    Raises what it raises, and RpcError for a caller that left.
    """
    task = asyncio.create_task(work)
    tasks: set[asyncio.Future[Any]] = {task}
    if call.left is not None:
        tasks.add(asyncio.ensure_future(call.left()))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RpcError("the caller left")
        return task.result()
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class Dispatcher:
    """One caller's way in, over one POST or for the life of one socket."""

    services: Mapping[str, Service]
    """By prefix, as `Gateway`."""
    principal: Principal
    version: str
    namespace: str = ""
    """The prefix that the header X-VENUS-API-NAMESPACE chose; it wins over the method's own."""
    connection: Any = None
    left: Callable[[], Awaitable[None]] | None = None
    """As in `Call`."""
    usage: Usage | None = None
    """What was left of the tenant's rate after the last call."""

    async def __call__(self, method: str, params: list[Json], *, on_socket: bool) -> tuple[Json, bool]:
        """Carry out one call.  Raises RpcError."""
        method = self.full_name(method)
        row = self.find(method)
        if row is None:
            raise method_missing(method)
        if row.operator_only and not self.principal.is_operator:
            raise operator_missing(method, row.instead)
        if not self.principal.may(row.perm):
            raise perm_missing(method, row.perm)
        if row.operator_only and self.principal.is_partial:  # what concerns the whole pool
            raise RpcError(
                f"missing permission to invoke '{method}': the token is limited to certain miners or signers"
            )
        if row.scope != ANY_SCOPE and not self.principal.has_scope(row.scope):
            scope = row.scope or "general"
            raise RpcError(f"missing permission to invoke '{method}': the token lacks the scope '{scope}'")
        if row.is_channel and not on_socket:
            text = f"method '{method}' not supported in this mode (no out channel support)"
            raise RpcError(text, code=-32601, status=500)
        if not self.principal.may_call(method):
            raise RpcError(f"missing permission to invoke '{method}': the token does not allow it")
        if not row.is_response:
            try:
                await self.count(method)
            except (OperationalError, InterfaceError) as error:  # the first thing that asks the database
                raise RpcError(database_unavailable_text(error)) from None
        arguments = params_decode(method, row, params)
        call = Call(
            self.principal,
            self.version,
            on_socket=on_socket,
            connection=self.connection,
            left=self.left,
        )
        with span(f"rpc {method}", entry="" if on_socket else None):
            return await self.run(row, call, arguments), row.void

    async def count(self, method: str) -> None:
        """Count a call against the tenant's rate.  Raises RpcError with the Go services' words."""
        service, _, api = method.partition(".")
        if self.principal.tenant_id is None or RULES.is_free(self.principal.tenant_id, service, api):
            return  # the usual case, and a thread would cost more than the call
        work = partial(rate_limit_count, self.principal, service=service, api=api)
        self.usage = await RATE_THREADS(work)
        if self.usage is not None and self.usage.is_over:
            user, host = self.principal.tenant_name, self.principal.source
            raise RpcError(self.usage.refusal_text(user=user, host=host, method=api))

    def full_name(self, method: str) -> str:
        """Return the name that permissions and rates are told by."""
        if "." in method:
            return method
        return next((one.aliases[method] for one in self.services.values() if method in one.aliases), method)

    def find(self, method: str) -> RpcMethod | None:
        """Return the row of a method in the service that header or prefix choose."""
        prefix = method.partition(".")[0]
        service = self.services.get(self.namespace or prefix) or self.services.get(prefix)
        return None if service is None else service.find(method, self.version)

    async def run(self, row: RpcMethod, call: Call, arguments: list[Any]) -> Json:
        """Call the handler; what it refuses becomes an answer of code 1."""
        try:
            kind = handler_kind(row.handler)
            if kind == CHANNEL:
                return row.handler(call, *arguments)
            if kind == COROUTINE:
                return await row.handler(call, *arguments)
            return await threads_of(row).run(self.principal.tenant_name, row.handler, call, *arguments)
        except (OperationalError, InterfaceError) as error:
            raise RpcError(database_unavailable_text(error)) from None
        except Exception as error:
            refusal = domain_error(error)
            if refusal is None:
                raise
            raise RpcError(refusal.wire_reason, code=rpc_code(refusal)) from error
