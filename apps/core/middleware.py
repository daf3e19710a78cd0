"""What every request passes: its number and log line, the content policy, 503 without a database."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from apps.core.health import database_unavailable
from apps.core.metrics import request_count

log = structlog.get_logger(__name__)

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a proxy's X-Request-ID may look like to be taken over."""

COMPRESSED: Final = frozenset({"text/html", "text/css", "text/javascript", "image/svg+xml"})
"""Types of what is compressed."""

QUIET_ROUTES: Final = frozenset({"healthz", "readyz", "metrics"})
"""Asked every few seconds by machines; their lines would drown the others."""

CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""No inline script or style, nothing from other hosts; `'self'` covers the page's own WebSocket."""


class RequestLogMiddleware:
    """Numbers each request, binds the number to every log line under it, counts and times it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        header = request.headers.get("X-Request-ID", "")
        request_id = header if REQUEST_ID.fullmatch(header) else uuid.uuid4().hex
        start = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            elapsed_s = time.perf_counter() - start
            match = request.resolver_match
            route = (match.view_name or match.route) if match else "none"
            request_count(request.method or "", route, response.status_code, seconds=elapsed_s)
            if route not in QUIET_ROUTES:
                log.info(
                    "request",
                    method=request.method,
                    path=path_redacted(request),
                    status=response.status_code,
                    ms=round(elapsed_s * 1000, 1),
                )
        response.headers["X-Request-ID"] = request_id
        return response


def path_redacted(request: HttpRequest) -> str:
    """Return the path as logs may hold it: without the secret of an invitation."""
    match = request.resolver_match
    token = match.kwargs.get("token", "") if match else ""
    return request.path.replace(token, "(hidden)") if token else request.path


class ServerTimingMiddleware:
    """Tells how long the server worked and how many queries it made, where SERVER_TIMING asks for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.SERVER_TIMING:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        queries = 0

        def count(execute: Callable[..., Any], *arguments: Any) -> Any:
            nonlocal queries
            queries += 1
            return execute(*arguments)

        start = time.perf_counter()
        with connection.execute_wrapper(count):
            response = self.get_response(request)
        elapsed_ms = (time.perf_counter() - start) * 1000
        response.headers["Server-Timing"] = f'app;dur={elapsed_ms:.1f}, sql;desc="{queries}"'
        return response


class PageCompressionMiddleware(GZipMiddleware):
    """Compresses pages and what browsers load with them; what programs read, and streams, go as they are.

    Bytes of chance beside each page keep its length from telling a secret (Django's answer to BREACH).
    """

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        """Compress a whole answer of such a type."""
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        is_page = response.status_code != HTTPStatus.PARTIAL_CONTENT and kind in COMPRESSED
        return super().process_response(request, response) if is_page and not response.streaming else response


class DatabaseUnavailableMiddleware:
    """Answers 503 with Retry-After when a view meets a database that is restarting or read-only."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Turn the errors of a database that is away into an answer; leave others to Django."""
        if isinstance(exception, OperationalError | InterfaceError):
            return database_unavailable(request, exception)
        return None


class ContentSecurityMiddleware:
    """Adds the content policy; a view that set one of its own keeps it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        return response
