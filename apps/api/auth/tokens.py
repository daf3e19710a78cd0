"""`/verify`, `/genToken`, `/token…`: what tokens say, and their care.

Source: ipfs-force-community/sophon-auth auth/jwt.go.  Ours keeps no token's text, so listings show it masked,
no caller sees a token above its own level, and only an admin removes others than its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.api.auth.fields import AuthFault, Field, text
from apps.api.auth.routes import ADMIN, HANDLER, NOBODY, READ, VOID, Route
from apps.api.auth.tenants import LIMIT, NAME, SKIP, page
from apps.core import clock
from apps.users.errors import TokenRefused
from apps.users.rules.principals import Principal
from apps.users.selectors.principals import principal_of_token
from apps.users.selectors.tenants import tenant_find
from apps.users.selectors.tokens import token_by_text, token_like, tokens_of_tenant, tokens_valid
from apps.users.services.tokens import TokenSpec, token_create, token_restore, token_revoke
from apps.users.states import PERMS, Perm
from poolsite.filecoin.jwt import BadToken, Claims, token_claims, token_sign

if TYPE_CHECKING:
    from apps.users.models import Token

Json = Any

VERSION: Final = {"Version": "1.16.0"}
MASK: Final = "***"
"""Stands in a shown token for what we do not know; such a token names its row, but lets nobody in."""


NO_SECRET: Final = bytes(32)
"""Signs the form of a token whose signature is cut off."""


def version(_caller: Principal, _data: dict[str, Any]) -> Json:
    """Return what we speak."""
    return VERSION


def health(_caller: Principal, _data: dict[str, Any]) -> Json:
    """Answer the health check."""
    return {"status": "OK"}


def verify(_caller: Principal, data: dict[str, Any]) -> Json:
    """Return what a token says, if it is good; a disabled tenant's is not."""
    try:
        token_claims(data["token"])
    except BadToken:
        raise AuthFault("can't parse user from input token") from None
    row = token_by_text(data["token"])
    if row is None:
        raise AuthFault("get token: Key not found")
    try:
        principal_of_token(row, now=clock.now())
    except TokenRefused:
        raise AuthFault("A non-registered token", status=401) from None
    return {"name": row.tenant.name, "perm": row.perm, "ext": row.ext}


def generate(caller: Principal, data: dict[str, Any]) -> Json:
    """Make a token.  One of level admin is a service's: it sees all tenants, as in the original."""
    if data["perm"] not in PERMS:
        raise AuthFault(f"`perm` is {data['perm'][:20]!r}: must be one of read, write, sign, admin")
    tenant = tenant_find(data["name"])
    if tenant is None:
        raise AuthFault(f"token must be based on an existing user {data['name']} to generate")
    spec = TokenSpec(
        name=data["name"],
        perm=data["perm"],
        ext=data["extra"][:255],
        is_operator=data["perm"] == Perm.ADMIN,
    )
    return {"token": token_create(spec, tenant=tenant, principal=caller)[1]}


def masked(row: Token) -> str:
    """Show a token without what makes it good."""
    claims = Claims(name=row.tenant.name, perm=row.perm, ext=row.ext)
    signed = token_sign(claims, NO_SECRET).rpartition(".")[0]
    return f"{signed}.{MASK}{row.hint}"


def token_json(row: Token, *, shown: str = "") -> Json:
    """Return a token as JSON; its text only to somebody who has sent it."""
    return {
        "token": shown or masked(row),
        "name": row.tenant.name,
        "perm": row.perm,
        "custom": "",
        "createTime": row.created_at.isoformat().replace("+00:00", "Z"),
    }


def get(caller: Principal, data: dict[str, Any]) -> Json:
    """Find tokens by text (operator) or by tenant (its own too)."""
    if not data["name"] and not data["token"]:
        raise AuthFault("`name` and `token` both empty")
    is_admin = caller.sees_pool and caller.may("admin")
    if data["token"]:
        if not is_admin:
            raise AuthFault("need admin prem: Permission Deny")
        row = token_find(data["token"])
        if row is None or row.revoked_at is not None:
            raise AuthFault("Key not found")
        return [token_json(row, shown=data["token"])]
    if not is_admin and data["name"] != caller.tenant_name:
        raise AuthFault(f"need admin prem or user {data['name']} does not match: Permission Deny")
    rows = tokens_of_tenant(data["name"], up_to=None if is_admin else caller.perm)
    if caller.is_partial:
        rows = rows.filter(pk=caller.token_id)
    return [token_json(row) for row in rows]


def list_(_caller: Principal, data: dict[str, Any]) -> Json:
    """List all tokens."""
    return [token_json(row) for row in tokens_valid()[page(data)]]


def token_find(token_text: str) -> Token | None:
    """Find a token by its text, or by the masked form that listings show."""
    signed, _, end = token_text.rpartition(".")
    if not end.startswith(MASK):
        return token_by_text(token_text)
    try:
        claims = token_claims(f"{signed}.AA")
    except BadToken:
        return None
    return token_like(tenant=claims.name, perm=claims.perm, hint=end.removeprefix(MASK))


def removable_token(caller: Principal, token_text: str) -> Token | None:
    """Find a token that the caller may remove: any (operator), its tenant's (its admin), else only itself.

    (The original lets every token of a tenant remove its siblings, and bring removed ones back.)
    """
    row = token_find(token_text)
    if caller.sees_pool and caller.may("admin"):
        return row
    is_own = row is not None and row.tenant_id == caller.tenant_id and not row.is_operator
    is_admin = caller.may("admin") and not caller.is_limited
    if row is None or not is_own or not (is_admin or str(row.pk) == caller.token_id):
        raise AuthFault("need admin prem or token ownership check error: Permission Deny")
    return row


def remove(caller: Principal, data: dict[str, Any]) -> Json:
    """Make a token worthless."""
    row = removable_token(caller, data["token"])
    if row is None or not token_revoke(row, by=caller):
        raise AuthFault(f"remove token {data['token']}: not exist")
    return VOID


def recover(caller: Principal, data: dict[str, Any]) -> Json:
    """Restore a revoked token."""
    row = removable_token(caller, data["token"])
    if row is None:
        raise AuthFault(f"recover token {data['token']}: not exist")
    if row.revoked_at is None:
        raise AuthFault(f"recover token {data['token']}: token is not deleted")
    token_restore(row, by=caller)
    return VOID


TOKEN: Final = Field("Token", text, is_required=True)

ROUTES: Final = (
    Route("GET", "version", NOBODY, version),
    Route("GET", "healthcheck", NOBODY, health),
    Route("POST", "verify", READ, verify, (TOKEN,), "VerifyRequest"),
    Route(
        "POST",
        "genToken",
        ADMIN,
        generate,
        (NAME, Field("Perm", text, default=""), Field("Extra", text, default="")),
        "GenTokenRequest",
    ),
    Route(
        "GET",
        "token",
        HANDLER,
        get,
        (Field("Token", text, default=""), Field("Name", text, default="")),
        "GetTokenRequest",
    ),
    Route("GET", "tokens", ADMIN, list_, (SKIP, LIMIT), "GetTokensRequest"),
    Route("DELETE", "token", HANDLER, remove, (TOKEN,), "RemoveTokenRequest"),
    Route("POST", "recoverToken", HANDLER, recover, (TOKEN,), "RecoverTokenRequest"),
)
