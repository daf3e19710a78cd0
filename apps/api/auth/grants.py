"""`/user/miner…`, `/user/signer…`, `/miner…`, `/signer…`: which miners and signers belong to whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from apps.api.auth.fields import AuthFault, Field, address, addresses, flag, text
from apps.api.auth.routes import ADMIN, HANDLER, OWN, VOID, Route
from apps.api.auth.tenants import NOT_FOUND, tenant_json, tenant_required
from apps.miners.services.ownership import miner_unassign, tenant_miner_grant
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import (
    miner_grant_find,
    miners_of_tenant,
    signer_grant_revoked,
    signer_grants,
    signers_of_tenant,
)
from apps.users.selectors.tenants import tenant_find
from apps.users.services.grants import SIGNER_PROTOCOLS
from apps.users.services.tenant_grants import signer_revoke, tenant_signers_grant, tenant_signers_revoke
from poolsite.filecoin.address import ID, address_parse, id_address

Json = Any


def actor_id_of(address_text: str) -> int:
    """Read a miner's number.  Raises AuthFault."""
    parsed = address_parse(address_text)
    if parsed.protocol != ID:
        raise AuthFault(f"invalid protocol type: {parsed.protocol}")
    return parsed.actor_id


def moment(value: datetime) -> str:
    """Write a time as Go does."""
    return value.isoformat().replace("+00:00", "Z")


def miner_owner(_caller: Principal, data: dict[str, Any]) -> Json:
    """Show whose miner it is."""
    grant = miner_grant_find(actor_id_of(data["miner"]))
    if grant is None:
        raise AuthFault(NOT_FOUND)
    return tenant_json(grant.tenant)


def miner_is_granted(_caller: Principal, data: dict[str, Any]) -> Json:
    """Return whether the miner is anybody's."""
    return miner_grant_find(actor_id_of(data["miner"])) is not None


def miner_exist(caller: Principal, data: dict[str, Any]) -> Json:
    """Return whether the miner is this tenant's, as far as the caller sees."""
    actor_id = actor_id_of(data["miner"])
    grant = miner_grant_find(actor_id)
    return caller.may_mine(actor_id) and grant is not None and grant.tenant.name == data["user"]


def miner_list(caller: Principal, data: dict[str, Any]) -> Json:
    """List a tenant's miners that the caller may see."""
    rows = [row for row in miners_of_tenant(data["user"]) if caller.may_mine(row.actor_id)]
    return [
        {
            "Miner": str(id_address(row.actor_id)),
            "User": data["user"],
            "OpenMining": row.open_mining,
            "CreatedAt": moment(row.created_at),
            "UpdatedAt": moment(row.updated_at),
        }
        for row in rows
    ]


def miner_add(caller: Principal, data: dict[str, Any]) -> Json:
    """Assign a miner to a tenant; true if nobody had it."""
    actor_id_of(data["miner"])
    tenant = tenant_find(data["user"])
    if tenant is None:
        raise AuthFault(f"can't bind miner:{data['miner']} to not exist user:{data['user']}")
    return tenant_miner_grant(
        principal=caller, tenant=tenant, miner=data["miner"], open_mining=data["openmining"]
    )


def miner_del(caller: Principal, data: dict[str, Any]) -> Json:
    """Revoke a tenant's miner; false if it never had one."""
    grant = miner_grant_find(actor_id_of(data["miner"]), is_revoked_too=True)
    is_admin = caller.is_operator and caller.may("admin")
    is_owner = grant is not None and grant.deleted_at is None and grant.tenant_id == caller.tenant_id
    if not caller.may_mine(actor_id_of(data["miner"])) or caller.signers:
        raise AuthFault("this token is limited to certain miners or signers", status=403)
    if not is_admin and not (is_owner and caller.may("write")):
        raise AuthFault(f"need admin prem or {data['miner']} ownership check error: Permission Deny")
    if grant is None:
        return False
    if grant.deleted_at is not None:
        raise AuthFault("not exist")
    return miner_unassign(actor_id=grant.actor_id, by=caller)


def signer_users(_caller: Principal, data: dict[str, Any]) -> Json:
    """Show whose signer it is."""
    owners = [grant.tenant for grant in signer_grants(data["signer"]) if grant.tenant.deleted_at is None]
    return [tenant_json(tenant) for tenant in owners]


def signer_is_granted(_caller: Principal, data: dict[str, Any]) -> Json:
    """Return whether the signer is anybody's."""
    return bool(signer_grants(data["signer"]))


def signer_exist(caller: Principal, data: dict[str, Any]) -> Json:
    """Return whether the signer is this tenant's, as far as the caller sees."""
    grants = [grant for grant in signer_grants(data["signer"]) if caller.may_sign_with(grant.address)]
    return any(grant.tenant.name == data["user"] for grant in grants)


def signer_list(caller: Principal, data: dict[str, Any]) -> Json:
    """List a tenant's signers that the caller may see."""
    rows = [row for row in signers_of_tenant(data["user"]) if caller.may_see_signer(row.address)]
    return [
        {
            "Signer": row.address,
            "User": data["user"],
            "CreatedAt": moment(row.created_at),
            "UpdatedAt": moment(row.updated_at),
        }
        for row in rows
    ]


def signer_register(caller: Principal, data: dict[str, Any]) -> Json:
    """Grant senders to a tenant; safe to repeat."""
    kinds = [address_parse(signer).protocol for signer in data["signers"]]
    for kind in kinds:
        if kind not in SIGNER_PROTOCOLS:
            raise AuthFault(f"invalid protocol type: {kind}")
    tenant = tenant_find(data["user"])
    if tenant is not None:
        tenant_signers_grant(principal=caller, tenant=tenant, addresses=data["signers"])
    elif data["signers"]:
        signer = data["signers"][0]
        fault = f"can't bind signer:{signer} to not exist user:{data['user']}"
        raise AuthFault(f"unregister signer:{signer}, error: {fault}")
    return VOID


def signer_unregister(caller: Principal, data: dict[str, Any]) -> Json:
    """Revoke a tenant's senders; one that was never granted is no error."""
    tenant = tenant_required(data["user"])
    for signer in data["signers"]:
        if signer_grant_revoked(tenant=tenant, address=signer):
            raise AuthFault(f"unregister signer:{signer}, error: not exist")
    tenant_signers_revoke(principal=caller, tenant=tenant, addresses=data["signers"])
    return VOID


def signer_del(caller: Principal, data: dict[str, Any]) -> Json:
    """Revoke a sender of all tenants; an owner alone may only revoke its own."""
    if not caller.may_sign_with(data["signer"]) or caller.miners:
        raise AuthFault("this token is limited to certain miners or signers", status=403)
    grants = signer_grants(data["signer"])
    if caller.is_operator and caller.may("admin"):
        return signer_revoke(address=data["signer"], by=caller)
    own = [grant.tenant for grant in grants if grant.tenant_id == caller.tenant_id]
    if not own or not caller.may("write"):
        raise AuthFault(f"need admin prem or {data['signer']} ownership check error: Permission Deny")
    return signer_revoke(address=data["signer"], tenant=own[0], by=caller)


USER: Final = Field("User", text, is_required=True)
MINER: Final = Field("Miner", address, default="", is_required=False)
SIGNER: Final = Field("Signer", address, is_required=True)
SIGNERS: Final = Field("Signers", addresses, default=())
OPEN: Final = Field("OpenMining", flag, is_required=True)
MINER_REQUIRED: Final = Field("Miner", address, is_required=True)


def miner_routes(listing: str, add: str, remove: str, owner: str) -> tuple[Route, ...]:
    """Return the routes of miners under one set of paths; there is an old and a new one."""
    return (
        Route("GET", owner, ADMIN, miner_owner, (MINER_REQUIRED,), "GetUserByMinerRequest"),
        Route("GET", listing, OWN, miner_list, (USER,), "ListMinerReq", owner="user"),
        Route("POST", add, ADMIN, miner_add, (USER, MINER, OPEN), "UpsertMinerReq"),
        Route("POST", remove, HANDLER, miner_del, (MINER_REQUIRED,), "DelMinerReq"),
    )


ROUTES: Final = (
    *miner_routes("user/miner/list", "user/miner/add", "user/miner/del", "user/miner"),
    *miner_routes("miner/list-by-user", "miner/add-miner", "miner/del", "miner"),
    Route(
        "GET",
        "user/miner/exist",
        OWN,
        miner_exist,
        (MINER_REQUIRED, USER),
        "MinerExistInUserRequest",
        owner="user",
    ),
    Route("GET", "miner/has", ADMIN, miner_is_granted, (MINER_REQUIRED,), "HasMinerRequest"),
    Route("GET", "miner/has-miner", ADMIN, miner_is_granted, (MINER_REQUIRED,), "HasMinerRequest"),
    Route("GET", "user/signer", ADMIN, signer_users, (SIGNER,), "GetUserBySignerRequest"),
    Route(
        "GET", "user/signer/exist", OWN, signer_exist, (SIGNER, USER), "SignerExistInUserReq", owner="user"
    ),
    Route("GET", "user/signer/list", OWN, signer_list, (USER,), "ListSignerReq", owner="user"),
    Route(
        "POST",
        "user/signer/register",
        ADMIN,
        signer_register,
        (USER, SIGNERS),
        "RegisterSignersReq",
    ),
    Route(
        "POST",
        "user/signer/unregister",
        ADMIN,
        signer_unregister,
        (USER, SIGNERS),
        "UnregisterSignersReq",
    ),
    Route("GET", "signer/has", ADMIN, signer_is_granted, (SIGNER,), "HasSignerReq"),
    Route("POST", "signer/del", HANDLER, signer_del, (SIGNER,), "DelSignerReq"),
)
