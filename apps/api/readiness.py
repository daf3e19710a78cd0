"""`/readyz`: whether the pool works: its servers, its processes, and the network that it is bound to."""

from __future__ import annotations

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from apps.chain.selectors.network import network_state
from apps.core.health import readiness

FOLLOWER = "follower"
"""The process that binds the pool to its network; a pool without it follows no chain."""


@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 if all of the pool works, 503 with the same body if not.

    A pool that follows a chain is not ready before it is bound to a network; the body says why it is not.
    """
    body = readiness()
    try:
        state = network_state()
    except (DatabaseError, InterfaceError):
        body["network"] = {"name": None, "reason": "the database is unavailable"}
    else:
        body["network"] = {"name": state.name or None, "reason": state.reason}
        if not state.name and FOLLOWER in settings.READY_PROCESSES:
            body["ready"] = False
    return JsonResponse(body, status=200 if body["ready"] else 503)
