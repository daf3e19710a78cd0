"""The people and programs of the tests: an operator, a tenant's user, a stranger; plain functions."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from apps.users.errors import TokenRefused
from apps.users.models import Tenant, User
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.selectors.principals import principal_of_token
from apps.users.selectors.tokens import token_by_text
from apps.users.services.passwords import user_create
from apps.users.services.tenants import tenant_create
from apps.users.services.tokens import token_issue
from apps.users.states import Perm, Role

PASSWORD = "correct horse battery"


def tenant(name: str = "alice", **overrides: Any) -> Tenant:
    """A tenant of this name, made when it is not there yet."""
    # For nearly every row of a test: to build this query anew would cost ten times what asking it does.
    found = list(Tenant.objects.raw("select * from users_tenant where name = %s", [name]))
    return found[0] if found else tenant_create(name=name, **overrides)


def person(username: str = "ann", *, of: str = "alice", role: str = Role.TENANT) -> User:
    """A person of a tenant."""
    return user_create(username=username, password=PASSWORD, tenant=tenant(of), role=role)


def operator_person(username: str = "olga") -> User:
    """A person who runs the pool."""
    return user_create(username=username, password=PASSWORD, tenant=tenant("pool"), role=Role.OPERATOR)


def token(perm: str = Perm.WRITE, *, of: str = "alice", scopes: Sequence[str] = (), **data: Any) -> str:
    """A token of a tenant."""
    return token_issue(tenant=tenant(of), name=f"{of}-{perm}", perm=perm, scopes=scopes, **data)


def operator_token() -> str:
    """A token of the operator."""
    return token(Perm.ADMIN, of="pool", is_operator=True)


def bearer(text: str) -> dict[str, str]:
    """The header that shows a token, for `client.get(..., headers=bearer(t))`."""
    return {"Authorization": f"Bearer {text}"}


def principal(name: str = "alice", perm: str = Perm.SIGN, **overrides: Any) -> Principal:
    """A caller of a tenant."""
    row = tenant(name)
    return replace(
        SYSTEM, **{"tenant_id": row.pk, "tenant_name": name, "is_operator": False, "perm": perm, **overrides}
    )


def base64_text(data: bytes) -> str:
    """Go's []byte."""
    return base64.b64encode(data).decode()


def principal_by_token(token: str, *, now: datetime, source: str = "") -> Principal:
    """Return who holds this token.

    Raises TokenRefused if it is unknown, revoked or expired, or if its tenant is disabled.
    """
    row = token_by_text(token)
    if row is None:
        raise TokenRefused("this token is not registered here")
    return principal_of_token(row, now=now, source=source)
