"""Requests to the hub from plain threads (Celery tasks, views): one client whose loop runs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from django.conf import settings

from apps.core.errors import DomainError
from apps.core.event_loops import LoopThread
from apps.gateway.hub.client import HubClient
from apps.gateway.hub.requests import Deadline, HubRequest, Json
from apps.gateway.hub.routes import ConnectionRef

_LOOP: Final = LoopThread("hub")


@lru_cache(maxsize=4)
def _client(url: str) -> HubClient:
    """Return the client of the threads' loop."""
    return HubClient(url)


def requests_send(requests: Sequence[HubRequest], *, timeout_s: float) -> list[Json | DomainError]:
    """Return the answer of each request, or its ProviderRefused, NoProvider, NoAnswer."""

    async def answers() -> list[Json | DomainError]:
        return await _client(settings.REDIS_URL).request_many(requests, deadline=Deadline(timeout_s))

    return _LOOP.run(answers())


def connection_send(ref: ConnectionRef, method: str, payload: Json, *, timeout_s: float) -> Json:
    """Return the answer of this very connection.  Raises ProviderRefused, NoAnswer."""

    async def answer() -> Json:
        return await _client(settings.REDIS_URL).send(ref, method, payload, Deadline(timeout_s))

    return _LOOP.run(answer())
