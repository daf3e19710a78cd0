"""Creating what a pool needs to be used: its tenant, an operator, and a token for each of its programs.

A start adds what is missing and never takes from anybody; only `pool_secrets_replace`, which a person asks
for, revokes and replaces.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.db import transaction

from apps.users.models import Tenant, Token, User
from apps.users.rules.principals import SYSTEM, Principal
from apps.users.selectors.tokens import token_by_text
from apps.users.services.audit import audit_record
from apps.users.services.operator_file import operator_read, operator_write
from apps.users.services.passwords import password_generate, user_create, user_set_password
from apps.users.services.second_factor import totp_remove_unreadable
from apps.users.services.sessions import sessions_end
from apps.users.services.site_key import site_key_replace, site_key_require
from apps.users.services.tenants import tenant_create
from apps.users.services.tokens import TokenSpec, token_create, token_revoke
from apps.users.states import PART_PERMS, POOL, Perm, Role
from poolsite.private_files import private_write

OPERATOR: Final = "operator"
"""Name of the first person."""

LABEL: Final = "bootstrap "
"""Prefix of the names of the programs' tokens."""
TOKEN_NAME_MAX: Final = 100

PROGRAMS: Final[tuple[tuple[str, str, tuple[str, ...], bool], ...]] = (
    ("admin", Perm.ADMIN, (), True),
    *((part, perm, (part,), False) for part, perm in PART_PERMS.items()),
)
"""Name, level, scopes and whether it sees every tenant: each no more than its program needs."""


def pool_prepare(*, var: Path, url: str) -> dict[str, str]:
    """Make what is missing and give the content of operator.json.

    Nothing that somebody may use is revoked or reset: where a file of this folder is missing, what the rows
    have stays, and a token is added beside it.  The files are written before the rows are committed: a kill
    in between leaves a file of no use, which the next start replaces, and no row whose text nobody has.

    Raises DamagedFile, before anything is changed, if operator.json was cut, OtherKey if the database's
    secrets are encrypted with another SECRET_KEY, and OSError on a full disk.
    """
    entry = operator_read(var / "operator.json") or {}
    with transaction.atomic():
        site_key_require()
        tenant = Tenant.objects.filter(name=POOL).first() or tenant_create(name=POOL)
        password = _password_ensure(tenant, entry)
        return _files_write(var, url=url, entry=entry, tenant=tenant, password=password)


def pool_secrets_replace(*, var: Path, url: str, by: Principal) -> dict[str, str]:
    """Make this folder's tokens and SECRET_KEY the valid ones; return operator.json's content.

    For a pool whose folder was lost: tokens of the pool's programs that are not in this folder are revoked,
    and the operator gets another password, without an authenticator app that the key cannot read.
    Raises as `pool_prepare`, but for the key.
    """
    entry = operator_read(var / "operator.json") or {}
    with transaction.atomic():
        site_key_replace()
        tenant = Tenant.objects.filter(name=POOL).first() or tenant_create(name=POOL)
        known = [_token_known(var, name=name, entry=entry) for name, *_ in PROGRAMS]
        password = _password_ensure(tenant, entry) or _password_replace(by=by)
        own = Token.objects.filter(tenant=tenant, name__startswith=LABEL, revoked_at=None)
        for token in own.exclude(pk__in=[one.row.pk for one in known if one is not None]):
            token_revoke(token, by=by)
        # Another folder may have taken over before, and so revoked those of this one.
        return _files_write(
            var, url=url, entry=entry, tenant=tenant, password=password, replaces_revoked=True
        )


def _files_write(
    var: Path,
    *,
    url: str,
    entry: dict[str, Any],
    tenant: Tenant,
    password: str,
    replaces_revoked: bool = False,
) -> dict[str, str]:
    """Write the files that are missing or differ; return the content of operator.json.

    A revoked token stays, as a person revoked it on purpose and removes the files to get another, unless
    `replaces_revoked`.
    """
    tokens = {}
    for name, perm, scopes, is_operator in PROGRAMS:
        path, known = var / "tokens" / name, _token_known(var, name=name, entry=entry)
        if known is None or (replaces_revoked and known.row.revoked_at is not None):
            tokens[name] = _token_add(
                tenant=tenant, name=name, perm=perm, scopes=scopes, is_operator=is_operator
            )
        else:
            tokens[name] = known.text
        if not path.exists() or path.read_text(errors="replace").strip() != tokens[name]:
            private_write(path, tokens[name] + "\n")
    written = {"url": url, "username": OPERATOR, "admin_token": tokens["admin"]}
    if password:
        written["password"] = password
    if written != entry:
        operator_write(var / "operator.json", entry=written)
    return written


class _KnownToken(NamedTuple):
    """A token in this folder that has a row."""

    text: str
    row: Token


def _token_known(var: Path, *, name: str, entry: dict[str, Any]) -> _KnownToken | None:
    """Return a program's token in this folder, also a revoked one; None if there is no row of it."""
    path = var / "tokens" / name
    texts = [path.read_text(errors="replace").strip()] if path.exists() else []
    if name == "admin":
        texts.append(entry.get("admin_token", ""))
    rows = ((text, token_by_text(text)) for text in texts if text)
    return next((_KnownToken(text, row) for text, row in rows if row is not None), None)


def _token_add(*, tenant: Tenant, name: str, perm: str, scopes: tuple[str, ...], is_operator: bool) -> str:
    """Issue a program's token; if its name is taken, by another folder's token, the host's name is added."""
    label = f"bootstrap {name}"
    if Token.objects.filter(tenant=tenant, name=label, revoked_at=None).exists():
        label = f"bootstrap {name} on {socket.gethostname()}"[:TOKEN_NAME_MAX]
    spec = TokenSpec(name=label, perm=perm, scopes=scopes, is_operator=is_operator)
    return token_create(spec, tenant=tenant, principal=SYSTEM)[1]


def _password_ensure(tenant: Tenant, entry: dict[str, Any]) -> str:
    """Return the operator's generated password if this folder has it; create a missing operator."""
    known = entry.get("password", "")
    person = User.objects.filter(username=OPERATOR).first()
    if person is not None:
        return known if person.must_change_password and known and person.check_password(known) else ""
    password = password_generate()
    user_create(username=OPERATOR, password=password, tenant=tenant, role=Role.OPERATOR, must_change=True)
    after = {"tenant": tenant.name, "role": str(Role.OPERATOR)}
    audit_record(principal=SYSTEM, action="person.create", target=OPERATOR, after=after)
    return password


def _password_replace(*, by: Principal) -> str:
    """Set a new generated password of the operator; enable the account and end its sessions."""
    person, password = User.objects.get(username=OPERATOR), password_generate()
    person.is_active = True
    person.save(update_fields=["is_active"])
    user_set_password(user=person, password=password, must_change=True)
    totp_remove_unreadable(person)
    sessions_end(person)
    audit_record(principal=by, action="person.password", target=OPERATOR)
    return password
