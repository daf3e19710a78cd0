"""`/user/ratelimit…`: how much a tenant may ask for."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from apps.api.auth.fields import AuthFault, Field, integer, lowered, text
from apps.api.auth.routes import ADMIN, Route
from apps.api.auth.tenants import NAME, tenant_required
from apps.core.errors import NotFound
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import rate_limits_of
from apps.users.services.rate_limits import tenant_rate_limit_delete, tenant_rate_limit_set

if TYPE_CHECKING:
    from apps.users.models import RateLimit

Json = Any


def limit_id(id_text: str) -> str:
    """Read an id, which may be empty.  Raises AuthFault."""
    try:
        return str(uuid.UUID(id_text)) if id_text else ""
    except ValueError:
        raise AuthFault(f"invalid UUID {id_text[:40]!r}") from None


def limit_json(row: RateLimit) -> Json:
    """Return a limit as JSON."""
    return {
        "Id": str(row.uuid),
        "Name": row.tenant.name,
        "Service": row.service,
        "API": row.api,
        "ReqLimit": {"Cap": row.capacity, "ResetDur": row.reset_ns},
    }


def get(_caller: Principal, data: dict[str, Any]) -> Json:
    """List a tenant's limits; null if it has none, as in the original."""
    rows = rate_limits_of(data["name"])
    if data["id"]:
        rows = rows.filter(uuid=limit_id(data["id"]))
    return [limit_json(row) for row in rows] or None


def upsert(caller: Principal, data: dict[str, Any]) -> Json:
    """Make or change a limit."""
    rate = lowered(data["reqlimit"] or {})
    row = tenant_rate_limit_set(
        principal=caller,
        tenant=tenant_required(data["name"]),
        capacity=integer(rate.get("cap", 0)),
        reset_ns=integer(rate.get("resetdur", 0)),
        service=data["service"][:50],
        api=data["api"][:50],
        key=limit_id(data["id"]),
    )
    return str(row.uuid)


def delete(caller: Principal, data: dict[str, Any]) -> Json:
    """Remove a limit; one that is not there is no error."""
    if not data["name"] or not data["id"]:
        raise AuthFault("user and rate-limit id is required for removing rate limit regulation")
    tenant, key = tenant_required(data["name"]), limit_id(data["id"])
    with suppress(NotFound):
        tenant_rate_limit_delete(principal=caller, tenant=tenant, key=key)
    return data["id"]


ID: Final = Field("Id", text, default="")

ROUTES: Final = (
    Route("GET", "user/ratelimit", ADMIN, get, (NAME, ID), "GetUserRateLimitsReq"),
    Route(
        "POST",
        "user/ratelimit/upsert",
        ADMIN,
        upsert,
        (
            ID,
            NAME,
            Field("Service", text, default=""),
            Field("API", text, default=""),
            Field("ReqLimit", lowered, default=None),
        ),
        "UserRateLimit",
    ),
    Route(
        "POST",
        "user/ratelimit/del",
        ADMIN,
        delete,
        (Field("Name", text, default=""), ID),
        "DelUserRateLimitReq",
    ),
)
