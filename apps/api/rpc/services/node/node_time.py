"""A tenant's budget of node time: reads that keep a node busy may not hold up what proves and seals.

They run one at a time for each tenant.  What they take is counted, in this process, and empties again at the
rate of the budget; while it is full, more of them are refused.  Other methods are not counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.node.proxy import node_call
from apps.api.rpc.threads import COSTLY_THREADS
from apps.core.clock import MINUTE_S
from poolsite.wire.jsonrpc.messages import Json, RpcError


class NodeTime:
    """Each tenant's used node time, which shrinks again at the rate of the budget.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, tuple[float, float]] = {}
        """By tenant: used seconds, and the time (monotonic clock, seconds) of which that is true."""

    def used_s(self, tenant: str, *, now: float) -> float:
        """Return the seconds that count against a tenant's budget at `now`, monotonic seconds."""
        used, at = self._used.get(tenant, (0.0, now))
        return max(used - (now - at) * settings.NODE_TIME_S / MINUTE_S, 0.0)

    def require(self, tenant: str) -> None:
        """Refuse a tenant that has used up its budget.  Raises RpcError."""
        budget: int = settings.NODE_TIME_S
        with self._lock:
            used = self.used_s(tenant, now=time.monotonic())
        if budget and used >= budget:
            wait = int((used - budget) * MINUTE_S / budget) + 1
            raise RpcError(
                f"the tenant's budget of {budget} s a minute of node time for methods like this is used up: "
                f"try again in {wait} s, or with fewer calls"
            )

    def count(self, tenant: str, spent_s: float) -> None:
        """Add the seconds that a call took."""
        now = time.monotonic()
        with self._lock:
            self._used[tenant] = (self.used_s(tenant, now=now) + spent_s, now)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._used.clear()


NODE_TIME: Final = NodeTime()
"""Node time used in this process.  (Module state: a tenant's calls share a budget.)"""


def costly_method(method: str) -> Callable[..., Any]:
    """Return the handler of a costly method."""

    async def handler(call: Call, *params: Json) -> Json:
        return await COSTLY_THREADS.run(call.principal.tenant_name, counted_call, call, method, list(params))

    return handler


def counted_call(call: Call, method: str, params: list[Json]) -> Json:
    """Forward one call and count its time; the operator's is not counted.  Raises RpcError."""
    if call.principal.is_operator:
        return node_call(call, method, params)
    tenant = call.principal.tenant_name
    NODE_TIME.require(tenant)  # here, as earlier ones of this tenant have ended now
    started = time.monotonic()
    try:
        return node_call(call, method, params)
    finally:
        NODE_TIME.count(tenant, time.monotonic() - started)
