"""JSON-RPC over POST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import async_to_sync
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from apps.api.callers import principal_from_request
from apps.api.rpc.dispatch import Door
from apps.api.rpc.services import NAMESPACES, SERVICES, VERSIONS
from apps.users.errors import TokenRefused
from poolsite.wire.gorpc import body_answer

if TYPE_CHECKING:
    from django.http import HttpRequest

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-VENUS-API-NAMESPACE",
}
"""Pages of other hosts may call with a token; there is no cookie here."""


@csrf_exempt  # no cookie is read here: only a token lets a caller in
def rpc(request: HttpRequest, version: str) -> HttpResponse:
    """Answer one request or a batch; statuses are go-jsonrpc's (200, and 500 for errors of the protocol)."""
    if version not in VERSIONS:
        return HttpResponse("404 page not found\n", status=404, content_type="text/plain")
    if request.method == "OPTIONS":
        return HttpResponse(headers=CORS)
    if request.method != "POST":
        return HttpResponse("405 method not allowed\n", status=405, content_type="text/plain")
    try:
        principal = principal_from_request(request)
    except TokenRefused as error:
        body = {"jsonrpc": "2.0", "id": None, "error": {"code": 401, "message": error.reason}}
        return JsonResponse(body, status=401, headers=CORS)
    namespace = NAMESPACES.get(request.headers.get("X-VENUS-API-NAMESPACE", ""), "")
    door = Door(SERVICES, principal, version, namespace=namespace)
    status, body_text = async_to_sync(body_answer)(request.read(), door)
    left = door.usage.headers() if door.usage is not None else {}
    return HttpResponse(body_text, status=status, content_type="application/json", headers={**CORS, **left})
