"""The routes of sophon-auth's HTTP API: who may call, what is sent, what is answered.

Source: ipfs-force-community/sophon-auth auth/route.go, auth/app.go, core/const.go; measured answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse

from apps.api.auth.fields import AuthFault, Field, fields_read, request_values
from apps.api.callers import principal_from_request
from apps.api.errors import domain_error
from apps.core.errors import NotAllowed
from apps.users.errors import TokenRefused
from apps.users.rules.principals import Principal

Json = Any

HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "DNT,X-Mx-ReqToken,Keep-Alive,User-Agent,X-Requested-With,"
    "If-Modified-Since,Cache-Control,Content-Type,Authorization,X-Forwarded-For,Origin,X-Real-Ip,spanId,"
    "preHost,svcName",
}
NOBODY, READ, ADMIN, OWN, HANDLER = "nobody", "read", "admin", "own", "handler"
"""Who may call: everybody; level read; the operator; the operator or the tenant named in the request; the
handler itself decides."""
VOID: Final = object()
"""An empty answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    access: str
    handler: Callable[[Principal, dict[str, Any]], Json]
    fields: Sequence[Field] = ()
    struct: str = ""
    """Go's name of the request, as in error texts."""
    owner: str = ""
    """Field that names the tenant, for access `own`."""


def denied(route: Route, detail: str) -> AuthFault:
    """Return the refusal of a missing level, in sophon-auth's words."""
    need = "read" if route.access == READ else "admin"
    return AuthFault(f"need {need} prem{detail}: Permission Deny")


def access_check(route: Route, caller: Principal, data: dict[str, Any]) -> None:
    """Raise AuthFault unless the caller may use the route."""
    if caller.scopes:
        raise AuthFault("this token lacks the scope of this route", status=403)
    if not caller.may_call(f"auth.{route.path}"):
        raise AuthFault("this token does not allow this method", status=403)
    if caller.is_partial and route.access == ADMIN:
        raise AuthFault("this token is limited to certain miners or signers", status=403)
    is_admin = caller.sees_pool and caller.may("admin")
    if route.access == READ and not caller.may("read"):
        raise denied(route, "")
    if route.access == ADMIN and not is_admin:
        raise denied(route, "")
    if route.access == OWN:
        name = data[route.owner]
        if not is_admin and name != caller.tenant_name:
            raise denied(route, f" or user {name} does not match")


def answer(request: HttpRequest, table: dict[str, Route]) -> HttpResponse:
    """Answer one request to a path whose methods are in `table`."""
    if request.method == "OPTIONS":
        return respond("ok!", kind="text/plain; charset=utf-8", raw=True)
    route = table.get(request.method or "")
    try:
        caller = None if route is not None and route.access == NOBODY else principal_from_request(request)
        if route is None:
            return respond("404 page not found", status=404, kind="text/plain", raw=True)
        if caller is None:
            return respond(route.handler(None, {}))  # type: ignore[arg-type]  # an open route's handler reads no caller
        data = fields_read(request_values(request), route.fields, struct=route.struct)
        access_check(route, caller, data)
        return respond(route.handler(caller, data))
    except TokenRefused as error:
        return respond({"error": error.reason}, status=401)
    except AuthFault as error:
        return respond({"error": error.text}, status=error.status)
    except Exception as error:
        refusal = domain_error(error)
        if refusal is None:
            raise
        return respond({"error": refusal.reason}, status=403 if isinstance(refusal, NotAllowed) else 400)


def respond(
    body: Json, *, status: int = 200, kind: str = "application/json", raw: bool = False
) -> HttpResponse:
    """Write an answer; the Go client reads errors only from JSON."""
    if body is VOID:
        text = ""
    else:
        text = str(body) if raw else json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return HttpResponse(text, status=status, content_type=kind, headers=HEADERS)
