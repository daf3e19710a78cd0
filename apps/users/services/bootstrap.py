"""What a fresh pool needs to be used: its tenant, an operator, and a token for each of its programs.

Every step reads first, so that it can be killed anywhere and run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.users.models import Tenant, Token, User
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.tokens import token_by_text
from apps.users.services.audit import audit_record
from apps.users.services.operator_file import operator_read, operator_write
from apps.users.services.passwords import password_generate, user_create, user_set_password
from apps.users.services.tenants import tenant_create
from apps.users.services.tokens import token_issue, token_revoke
from apps.users.states import PART_PERMS, POOL, Perm, Role
from poolsite.private_files import private_write

if TYPE_CHECKING:
    from pathlib import Path

OPERATOR: Final = "operator"
"""Name of the first person."""

PROGRAMS: Final[tuple[tuple[str, str, tuple[str, ...], bool], ...]] = (
    ("admin", Perm.ADMIN, (), True),
    *((part, perm, (part,), False) for part, perm in PART_PERMS.items()),
)
"""Name, level, scopes and whether it sees every tenant: each no more than its program needs."""


def pool_prepare(*, var: Path, url: str) -> dict[str, str]:
    """Make what is missing and give the content of operator.json.

    Raises DamagedFile, before anything is changed, if that file was cut, and OSError on a full disk.
    """
    entry = operator_read(var / "operator.json") or {}
    tenant = Tenant.objects.filter(name=POOL).first() or tenant_create(name=POOL)
    tokens = {
        name: _program_token_ensure(
            var / "tokens" / name, tenant=tenant, name=name, perm=perm, scopes=scopes, is_operator=is_operator
        )
        for name, perm, scopes, is_operator in PROGRAMS
    }
    password = _operator_password_ensure(tenant, known=entry.get("password", ""))
    written = {"url": url, "username": OPERATOR, "admin_token": tokens["admin"]}
    if password:
        written["password"] = password
    if written != entry:
        operator_write(var / "operator.json", entry=written)
    return written


def _program_token_ensure(
    path: Path, *, tenant: Tenant, name: str, perm: str, scopes: tuple[str, ...], is_operator: bool
) -> str:
    """Return the token in the file; make one if there is none that we know.

    A revoked one stays: the operator did that on purpose, and removes the file to get another.
    """
    text = path.read_text(errors="replace").strip() if path.exists() else ""
    if text and token_by_text(text) is not None:
        return text
    label = f"bootstrap {name}"
    with transaction.atomic():
        for lost in Token.objects.filter(tenant=tenant, name=label, revoked_at=None):
            token_revoke(lost)  # the token's text was lost between the row and the file
            audit_record(principal=SYSTEM, action="token.revoke", target=str(lost))
        text = token_issue(tenant=tenant, name=label, perm=perm, scopes=scopes, is_operator=is_operator)
        after = {"perm": perm, "scopes": list(scopes), "operator": is_operator}
        audit_record(principal=SYSTEM, action="token.create", target=f"{tenant.name}/{label}", after=after)
    private_write(path, text + "\n")
    return text


def _operator_password_ensure(tenant: Tenant, *, known: str) -> str:
    """Return the operator's made-up password, a new one if the last was lost; empty once it was changed."""
    person = User.objects.filter(username=OPERATOR).first()
    if person is None:
        password = password_generate()
        with transaction.atomic():
            user_create(
                username=OPERATOR, password=password, tenant=tenant, role=Role.OPERATOR, must_change=True
            )
            after = {"tenant": tenant.name, "role": str(Role.OPERATOR)}
            audit_record(principal=SYSTEM, action="person.create", target=OPERATOR, after=after)
        return password
    if not person.must_change_password:
        return ""
    if known and person.check_password(known):
        return known
    password = password_generate()
    user_set_password(user=person, password=password, must_change=True)
    return password
