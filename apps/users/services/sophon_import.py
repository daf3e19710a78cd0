"""Taking over a sophon-auth: its users, tokens, miners, signers and limits; every token stays valid.

Reads a badger export as JSON lines (`{"key": "TOKEN:…", "value": {…}}`) or a MySQL dump (INSERT statements).
Source: ipfs-force-community/sophon-auth storage/badger.go, storage/mysql.go, storage/store.go.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import transaction

from apps.core.marked_texts import gettext
from apps.users.models import MinerGrant, RateLimit, SignerGrant, Tenant
from apps.users.rules.principals import Principal
from apps.users.rules.sophon_records import DISABLED, MYSQL_COLUMNS, Row, is_deleted, rows_read, time_read
from apps.users.selectors.tokens import token_by_text
from apps.users.services.audit import audit_record
from apps.users.services.tokens import token_record
from apps.users.states import PERMS, Perm
from poolsite.filecoin.address import BadAddress, address_parse


@dataclass(slots=True)
class ImportResult:
    """Rows that an import created and skipped."""

    made: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    """One sentence for each row that was left out."""


@transaction.atomic
def sophon_import(lines: Iterable[str], *, name: str, by: Principal) -> ImportResult:
    """Import everything of a file of this name, or nothing; safe to repeat.

    Raises BadValue that names the line.
    """
    rows: dict[str, list[Row]] = {name: [] for name in MYSQL_COLUMNS}
    for table, row in rows_read(lines):
        rows[table].append({key.lower().replace("_", ""): value for key, value in row.items()})
    result = ImportResult()
    for row in rows["users"]:
        user_import(row, result=result)
    for table, import_row in (
        ("token", token_import),
        ("miners", miner_import),
        ("signers", signer_import),
        ("user_rate_limits", rate_limit_import),
    ):
        for row in rows[table]:
            import_row(row, result=result)
    audit_record(principal=by, action="import", target=name, after=dict(result.made))
    return result


def user_import(row: Row, *, result: ImportResult) -> None:
    """Import a user as a tenant; one of this name that is here stays as it is."""
    made_at = time_read(row.get("createtime")) or datetime.now(UTC)
    fields = {
        "uuid": row["id"],
        "comment": row.get("comment") or "",
        "enabled": row.get("state") != DISABLED,
        "created_at": made_at,
        "deleted_at": time_read(row.get("updatetime")) or made_at if is_deleted(row) else None,
    }
    _, made = Tenant.objects.get_or_create(name=row["name"], defaults=fields)
    result.made["tenants"] += made


def _owner_find(name: str, *, what: str, result: ImportResult) -> Tenant | None:
    """Find whose a row is."""
    tenant = Tenant.objects.filter(name=name).first()
    if tenant is None:
        result.skipped.append(
            gettext("{what} of {name!r}: there is no such user").format(what=what, name=name)
        )
    return tenant


def token_import(row: Row, *, result: ImportResult) -> None:
    """Import a token: its text stays good, its secret is not needed."""
    if row["perm"] not in PERMS:
        result.skipped.append(
            gettext("a token of {name!r}: unknown level {perm!r}").format(name=row["name"], perm=row["perm"])
        )
        return
    if token_by_text(row["token"]) is not None:
        return
    tenant = Tenant.objects.filter(name=row["name"]).first()
    if tenant is None:  # old servers made tokens for names without a user
        tenant = Tenant.objects.create(name=row["name"], comment="created for an imported token")
        result.made["tenants"] += 1
    made_at = time_read(row.get("createtime")) or datetime.now(UTC)
    token_record(
        row["token"],
        tenant=tenant,
        name=row["name"],
        perm=row["perm"],
        ext=row.get("extra") or "",
        is_operator=row["perm"] == Perm.ADMIN,
        created_at=made_at,
        revoked_at=made_at if is_deleted(row) else None,
    )
    result.made["tokens"] += 1


def miner_import(row: Row, *, result: ImportResult) -> None:
    """Import a miner; the store keeps addresses without the network's letter."""
    tenant = _owner_find(row["user"], what=gettext("miner {miner}").format(miner=row["miner"]), result=result)
    address = _address_read(row["miner"], result=result)
    if tenant is None or address is None:
        return
    fields = {
        "tenant": tenant,
        "open_mining": bool(row.get("openmining", True)),
        "deleted_at": datetime.now(UTC) if is_deleted(row) else None,
    }
    _, made = MinerGrant.objects.get_or_create(actor_id=address_parse(address).actor_id, defaults=fields)
    result.made["miners"] += made


def signer_import(row: Row, *, result: ImportResult) -> None:
    """Import a signer."""
    tenant = _owner_find(
        row["user"], what=gettext("signer {signer}").format(signer=row["signer"]), result=result
    )
    address = _address_read(row["signer"], result=result)
    if tenant is None or address is None:
        return
    fields = {"deleted_at": datetime.now(UTC) if is_deleted(row) else None}
    _, made = SignerGrant.objects.get_or_create(address=address, tenant=tenant, defaults=fields)
    result.made["signers"] += made


def _address_read(text: str, *, result: ImportResult) -> str | None:
    """Read an address with or without its letter."""
    try:
        return str(address_parse(text if text[:1] in ("f", "t") else f"f{text}"))
    except BadAddress as error:
        result.skipped.append(gettext("address {text!r}: {error}").format(text=text[:100], error=error))
        return None


def rate_limit_import(row: Row, *, result: ImportResult) -> None:
    """Import a rate limit."""
    tenant = _owner_find(row["name"], what=gettext("a rate limit"), result=result)
    if tenant is None:
        return
    limit = row["reqlimit"]
    limit = json.loads(limit) if isinstance(limit, str) else limit
    fields = {
        "tenant": tenant,
        "service": row.get("service") or "",
        "api": row.get("api") or "",
        "capacity": int(limit["Cap"]),
        "reset_ns": int(limit["ResetDur"]),
    }
    _, made = RateLimit.objects.get_or_create(uuid=row["id"], defaults=fields)
    result.made["limits"] += made
