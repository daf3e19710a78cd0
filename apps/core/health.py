"""Whether this process is up, and who may read its figures; the answer of last resort."""

from __future__ import annotations

import hmac
import ipaddress
import sys
import time
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext, override
from django.views.decorators.http import require_safe
from django.views.defaults import page_not_found
from redis.exceptions import RedisError

from apps.core.clock import now
from apps.core.disk import disk_space
from apps.core.languages import browser_language
from apps.core.liveness import heartbeats
from apps.core.postgresql.base import DatabaseReadOnly
from apps.core.versions import migrations_missing, version_refusal

log = structlog.get_logger(__name__)

MACHINE_PATHS: Final = ("/api/", "/rpc/", "/pagerduty/", "/status.json")
"""Below these everybody is a program."""
CODES: Final = {400: "bad_request", 404: "not_found", 500: "failed", 503: "unavailable"}
"""Words for programs."""
FULL_BYTES: Final = 64 * 1024 * 1024
"""PostgreSQL stops itself when it finds no room for a log segment of 16 MiB."""
PAGE_AGAIN_S: Final = 5
"""When a page that could not be shown asks again by itself."""
RETRY_AFTER_S: Final = 2
"""PostgreSQL is back within a second or two after kill -9."""


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer that this web process works; asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


def readiness() -> dict[str, Any]:
    """Return the state of database, Redis, disk and each process, and whether all that must work does.

    Nothing can be written on a full disk, whatever still answers.  Processes that have to work are
    `READY_PROCESSES`; others are listed without being waited for.
    """
    database, redis_state, processes = database_state(), "ok", {}
    version = version_state() if database != "away" else ""
    try:
        processes = processes_state()
    except (RedisError, OSError):
        redis_state = "away"
    waiting = [
        name for name in settings.READY_PROCESSES if not processes.get(name, {"working": False})["working"]
    ]
    space = disk_space()
    may_write = space.free >= FULL_BYTES
    return {
        "ready": database == "ok" and not version and redis_state == "ok" and may_write and not waiting,
        "database": database,
        "version": version or "ok",
        "redis": redis_state,
        "disk": space.level,
        "processes": processes,
        "waiting_for": waiting,
    }


def database_state() -> str:
    """Return `ok`, `read-only` or `away`: whether the database takes writes."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("select current_setting('transaction_read_only') = 'on'")
            (is_read_only,) = cursor.fetchone()
    except (DatabaseError, InterfaceError):
        return "away"
    if is_read_only:
        connection.close_at = time.monotonic()  # a session that began read-only may stay so
        return "read-only"
    return "ok"


def version_state() -> str:
    """Return why database and this version do not go together; empty if they do."""
    try:
        if missing := migrations_missing():
            return f"the database was not migrated to this version yet: it lacks {missing[0]}"
        return version_refusal()
    except (DatabaseError, InterfaceError):
        return "unknown: the database is away"


def processes_state() -> dict[str, dict[str, Any]]:
    """Return each process's pid, the age of its last beat, and whether that counts as working."""
    at = now()
    return {
        name: {
            "pid": beat.pid,
            "seen_s_ago": round((at - beat.seen_at).total_seconds(), 1),
            "working": beat.is_fresh(at),
        }
        for name, beat in heartbeats().items()
    }


def may_read_metrics(request: HttpRequest) -> bool:
    """Return whether the caller has the token, or is a program here that came by no proxy."""
    scheme, _, word = request.headers.get("Authorization", "").partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return hmac.compare_digest(word.strip().encode(), settings.METRICS_TOKEN.encode())
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for an address that is none: JSON for machines, the page for people."""
    if request.path.startswith(MACHINE_PATHS):
        return plain_answer(request, 404, gettext("not found"))
    return page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a request that Django does not read, such as one to a name that is not ours."""
    if isinstance(exception, DisallowedHost):
        log.warning("host_refused", host=request.META.get("HTTP_HOST", "")[:200])
        return plain_answer(request, 400, gettext("This host name is not in ALLOWED_HOSTS."))
    return plain_answer(request, 400, gettext("The request could not be parsed."))


def database_unavailable(request: HttpRequest, error: BaseException | None = None) -> HttpResponse:
    """Answer 503 with a time to come back: the database restarts, or takes no writes."""
    log.warning("database_away", path=request.path, reason=str(error or "").strip()[:200])
    return plain_answer(request, 503, database_unavailable_text(error))


def database_hanging(request: HttpRequest, *, is_started: bool) -> HttpResponse:
    """Answer 503 while the database says nothing at all; what was begun may still be carried out.

    No middleware has seen the request: a page is in the browser's language.
    """
    with override(browser_language(request) if wants_page(request) else settings.LANGUAGE_CODE):
        if is_started and request.method not in ("GET", "HEAD"):
            reason = gettext(
                "The database is not responding; the pool continues automatically once it responds again. "
                "Your request may still be carried out then: check before resubmitting."
            )
        else:
            reason = gettext(
                "The database is not responding; the pool continues automatically once it responds again."
            )
        return plain_answer(request, 503, reason)


def database_unavailable_text(error: BaseException | None = None) -> str:
    """Return why the database does not answer or write, as far as this process can see, and what to do."""
    if isinstance(error, DatabaseReadOnly):
        return gettext(
            "The database is read-only, such as a standby that was not promoted; the pool continues "
            "automatically once it accepts writes."
        )
    space = disk_space()
    if space.free < FULL_BYTES:
        return gettext(
            "The disk of {var} is full ({free} MiB left) and the database cannot write. Free up "
            "space; the pool then continues automatically, without data loss."
        ).format(var=settings.VAR, free=space.free // 2**20)
    return gettext("The database is restarting; please try again in a moment.")


def failure(request: HttpRequest) -> HttpResponse:
    """Answer for an error nobody caught, also one from a middleware; the log has the traceback."""
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError | InterfaceError):
        return database_unavailable(request, error)
    return plain_answer(request, 500, gettext("Something went wrong; see the log for details."))


def wants_page(request: HttpRequest) -> bool:
    """Return whether a browser shows the answer as a page; a fragment of one has no place for it."""
    return "text/html" in request.headers.get("Accept", "") and "HX-Request" not in request.headers


def plain_answer(request: HttpRequest, status: int, reason: str) -> HttpResponse:
    """Return a short answer that needs no database: JSON for machines, a page for browsers, else text."""
    response: HttpResponse
    if request.path.startswith(MACHINE_PATHS):
        response = JsonResponse({"code": CODES[status], "message": reason, "field": ""}, status=status)
    elif status == 503 and wants_page(request):
        again = request.get_full_path() if request.method == "GET" else ""
        text = render_to_string("503.html", {"reason": reason, "again": again, "after_s": PAGE_AGAIN_S})
        response = HttpResponse(text, status=status)
    else:
        response = HttpResponse(f"{reason}\n", status=status, content_type="text/plain; charset=utf-8")
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
