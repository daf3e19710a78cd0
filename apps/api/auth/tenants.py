"""`/user…`: tenants, which sophon-auth calls users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.api.auth.fields import AuthFault, Field, integer, optional_text, text, texts
from apps.api.auth.routes import ADMIN, OWN, VOID, Route
from apps.miners.services.ownership import tenant_remove
from apps.users.errors import TenantNameTaken
from apps.users.rules.principals import Principal
from apps.users.selectors.approvals import accounts_missing
from apps.users.selectors.tenants import tenant_find, tenants_visible
from apps.users.services.tenant_management import tenant_add, tenant_edit, tenant_restore

if TYPE_CHECKING:
    from apps.users.models import Tenant

Json = Any

ENABLED, DISABLED = 1, 2
"""States on the wire; 0 is `undefined`: any in a filter, unchanged in an update, enabled for a new one."""
PAGE_MAX: Final = 1000
NOT_FOUND: Final = "Key not found"


def tenant_required(name: str) -> Tenant:
    """Find a tenant.  Raises AuthFault."""
    tenant = tenant_find(name)
    if tenant is None:
        raise AuthFault(NOT_FOUND)
    return tenant


def tenant_json(tenant: Tenant) -> Json:
    """Return a tenant as JSON."""
    return {
        "id": str(tenant.uuid),
        "name": tenant.name,
        "comment": tenant.comment,
        "state": ENABLED if tenant.enabled else DISABLED,
        "createTime": int(tenant.created_at.timestamp()),
        "updateTime": int(tenant.updated_at.timestamp()),
    }


def page(data: dict[str, Any]) -> slice:
    """Return the part that skip and limit ask for; 0 is no limit, nonsense the largest page."""
    skip, limit = max(data["skip"], 0), data["limit"]
    if limit == 0:
        return slice(skip, None)
    return slice(skip, skip + (limit if 0 < limit <= PAGE_MAX else PAGE_MAX))


def state_read(state: int) -> bool | None:
    """Read a state; None leaves it as it is.  Raises AuthFault."""
    if state not in (0, ENABLED, DISABLED):
        raise AuthFault(f"unknown state {state}")
    return None if state == 0 else state == ENABLED


def create(caller: Principal, data: dict[str, Any]) -> Json:
    """Create a tenant."""
    enabled = state_read(data["state"]) is not False
    try:
        tenant = tenant_add(
            principal=caller,
            name=data["name"],
            comment=data["comment"] or "",
            enabled=enabled,
            is_named_elsewhere=True,
        )
    except TenantNameTaken:
        raise AuthFault("user already exists") from None
    return tenant_json(tenant)


def update(caller: Principal, data: dict[str, Any]) -> Json:
    """Change comment or state."""
    enabled = state_read(data["state"])
    tenant_edit(
        principal=caller, tenant=tenant_required(data["name"]), comment=data["comment"], enabled=enabled
    )
    return VOID


def list_(caller: Principal, data: dict[str, Any]) -> Json:
    """List tenants by name."""
    rows = tenants_visible(caller)
    enabled = state_read(data["state"])
    if enabled is not None:
        rows = rows.filter(enabled=enabled)
    return [tenant_json(row) for row in rows[page(data)]]


def get(_caller: Principal, data: dict[str, Any]) -> Json:
    """Show one."""
    return tenant_json(tenant_required(data["name"]))


def verify(_caller: Principal, data: dict[str, Any]) -> Json:
    """Return whether all of these exist and are enabled."""
    for name in accounts_missing(data["names"])[:1]:
        raise AuthFault(f"verify {name}: {NOT_FOUND}")
    return VOID


def exists(_caller: Principal, data: dict[str, Any]) -> Json:
    """Return whether there is such a tenant."""
    return tenant_find(data["name"]) is not None


def delete(caller: Principal, data: dict[str, Any]) -> Json:
    """Delete a tenant."""
    tenant_remove(principal=caller, tenant=tenant_required(data["name"]))
    return VOID


def recover(caller: Principal, data: dict[str, Any]) -> Json:
    """Bring it back."""
    tenant = tenant_find(data["name"], is_deleted_too=True)
    if tenant is None:
        raise AuthFault(NOT_FOUND)
    if tenant.deleted_at is None:
        raise AuthFault("user is not deleted")
    tenant_restore(principal=caller, tenant=tenant)
    return VOID


NAME: Final = Field("Name", text, is_required=True)
COMMENT: Final = Field("Comment", optional_text)
STATE: Final = Field("State", integer, default=0)
SKIP: Final = Field("Skip", integer, default=0)
LIMIT: Final = Field("Limit", integer, default=20)

ROUTES: Final = (
    Route("PUT", "user/new", ADMIN, create, (NAME, COMMENT, STATE), "CreateUserRequest"),
    Route("POST", "user/update", ADMIN, update, (NAME, COMMENT, STATE), "UpdateUserRequest"),
    Route("GET", "user/list", ADMIN, list_, (SKIP, LIMIT, STATE), "ListUsersRequest"),
    Route("GET", "user", OWN, get, (NAME,), "GetUserRequest", owner="name"),
    Route(
        "POST",
        "user/verify",
        ADMIN,
        verify,
        (Field("Names", texts, is_required=True),),
        "VerifyUsersReq",
    ),
    Route("GET", "user/has", ADMIN, exists, (NAME,), "HasUserRequest"),
    Route("POST", "user/del", ADMIN, delete, (NAME,), "DeleteUserRequest"),
    Route("POST", "user/recover", ADMIN, recover, (NAME,), "RecoverUserRequest"),
)
