"""Addresses of sophon-auth's API, at the root as its clients expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.csrf import csrf_exempt

from apps.api.auth import grants, limits, tenants, tokens
from apps.api.auth.routes import Route, answer

ALL_ROUTES: Final[tuple[Route, ...]] = (*tokens.ROUTES, *tenants.ROUTES, *grants.ROUTES, *limits.ROUTES)
"""Every route of this API."""


def tables() -> dict[str, dict[str, Route]]:
    """Return path → method → route."""
    found: dict[str, dict[str, Route]] = {}
    for route in ALL_ROUTES:
        found.setdefault(route.path, {})[route.method] = route
    return found


def view_of(table: dict[str, Route]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view of one path.  No cookie is read: only a token lets a caller in."""

    @csrf_exempt
    def view(request: HttpRequest) -> HttpResponse:
        return answer(request, table)

    return view


urlpatterns: list[URLPattern] = [
    path(where, view_of(table), name=f"auth-{where.replace('/', '-')}") for where, table in tables().items()
]
