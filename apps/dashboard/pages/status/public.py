"""The status page for people and programs that have not signed in, if the operator shows it to everybody.

It opens no session, sets no cookie and asks the database one question while a few seconds' answer lasts: that
question is why an absent database is told, and not an old answer.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control
from django.utils.translation import get_language, gettext
from redis.exceptions import RedisError

from apps.checks.report.status_page import status_page_read
from apps.core import clock
from apps.core.redis_clients import redis_client, text_shared
from apps.dashboard.pages.status.rows import status_shown
from apps.dashboard.sessions import client_ip
from apps.users.services.rate_limit_buckets import address_request_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

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
