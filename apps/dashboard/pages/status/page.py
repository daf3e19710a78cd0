"""Status: how each component of the pool is, its last 90 days, incidents and announced maintenance.

For people and programs that have not signed in it opens no session, sets no cookie and asks the database one
question while a few seconds' answer lasts: that question is why an absent database is told, and not an old
answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import path
from django.utils.cache import patch_cache_control
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from apps.checks.report.status_page import status_page_read
from apps.checks.selectors.components import status_is_public
from apps.checks.services.status_page import can_manage_status
from apps.core import clock
from apps.core.redis_clients import redis_client, text_shared
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.status.rows import status_shown
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import client_ip, sign_in_required
from apps.users.rules.principals import Principal
from apps.users.services.rate_limit_buckets import address_request_count

SHARED_S: Final = 5
"""Longest that an answer is given again."""
JSON_TYPE: Final = "application/json"


def public_page(request: HttpRequest) -> HttpResponse:
    """Return the page, or that this address asks too often."""
    return _refusal(request) or _answer(shared("page", page_render_public), "text/html; charset=utf-8")


def public_json(request: HttpRequest) -> HttpResponse:
    """Return the same for a program."""
    return _refusal(request) or _answer(shared("json", json_render), JSON_TYPE)


def page_render_public() -> str:
    """Write the page without what surrounds those of people who signed in."""
    return render_to_string("status/public.html", status_shown(status_page_read(clock.now())))


def json_render() -> str:
    """Write what programs get."""
    return json.dumps(status_page_read(clock.now()).body)


def shared(name: str, render: Callable[[], str]) -> str:
    """Return what was rendered a moment ago, else render it."""
    key = f"poolsite:status:{name}:{get_language()}"
    with suppress(RedisError, OSError):
        if (text := text_shared(key, kept_s=SHARED_S)) is not None:
            return text
    text = render()
    with suppress(RedisError, OSError):
        redis_client().set(key, text, ex=SHARED_S)
    return text


def _answer(text: str, content_type: str) -> HttpResponse:
    response = HttpResponse(text, content_type=content_type)
    patch_cache_control(response, public=True, max_age=SHARED_S)
    return response


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Count a request of an address; without Redis nobody is refused, as elsewhere."""
    usage = address_request_count("status", address=client_ip(request))
    if usage is None or not usage.is_over:
        return None
    say = gettext("Too many requests from this address; please try again in a moment.")
    body = {"code": "rate_limited", "message": say, "field": ""}
    response = (
        JsonResponse(body, status=429)
        if request.path.endswith(".json")
        else HttpResponse(f"{say}\n", status=429, content_type="text/plain; charset=utf-8")
    )
    for name, value in {**usage.headers(), "Cache-Control": "no-store"}.items():
        response.headers[name] = value
    return response


@require_safe
def status(request: HttpRequest) -> HttpResponseBase:
    """Show the page to who signed in, and to everybody else if the operator wants so."""
    if not request.user.is_authenticated and status_is_public():
        return public_page(request)
    return status_signed_in(request)


@sign_in_required
def status_signed_in(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the page within the console."""
    data = PageData(viewer)
    return page_render(
        request,
        "status/page.html",
        title=_("Status"),
        section="status",
        page_key="status",
        data=data,
        may_manage=can_manage_status(viewer),
        is_public=status_is_public(),
        **status_context(data),
    )


@require_safe
def status_json(request: HttpRequest) -> HttpResponseBase:
    """Answer a program, as the page would."""
    if not request.user.is_authenticated:
        if status_is_public():
            return public_json(request)
        say = gettext("sign in, or call GET /api/v1/status with a token")
        return JsonResponse({"code": "not_authenticated", "message": say, "field": ""}, status=401)
    return status_json_signed_in(request)


@sign_in_required
def status_json_signed_in(_request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Answer a browser in which somebody signed in."""
    response = JsonResponse(status_page_read(clock.now()).body)
    response["Cache-Control"] = "no-store"
    return response


def status_context(data: PageData) -> dict[str, Any]:
    """Everything that changes on the page."""
    return status_shown(status_page_read(data.at))


def status_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the whole page anew, but for who sees it: that changes by a click alone."""
    shown = status_context(context.data)
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("status/_components.html", components=shown["components"])
    may = can_manage_status(context.viewer)
    yield fragment("status/_incidents.html", incidents=shown["incidents"], may_manage=may)
    yield fragment("status/_maintenance.html", maintenances=shown["maintenances"], may_manage=may)


NAV: Final = NavItem("status", _("Status"), "info", place=(1, 3))
urlpatterns: Final = [
    path("status/", status, name="status"),
    path("status.json", status_json, name="status-json"),
]
LIVE: Final = {"status": LivePage({"component": (status_fragment,)})}
