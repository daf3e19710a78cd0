"""Taking over a sophon-auth: its users, tokens, miners, signers and limits; every token stays valid.

Reads a badger export as JSON lines (`{"key": "TOKEN:…", "value": {…}}`) or a MySQL dump (INSERT statements).
Source: ipfs-force-community/sophon-auth storage/badger.go, storage/mysql.go, storage/store.go.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.core.errors import BadValue
from apps.users.models import MinerGrant, RateLimit, SignerGrant, Tenant
from apps.users.selectors import token_by_text
from apps.users.services.tokens import token_record
from apps.users.states import PERMS, Perm
from poolsite.filecoin.address import BadAddress, address_parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Row = dict[str, Any]

MYSQL_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "users": ("id", "name", "comment", "state", "createTime", "updateTime", "is_deleted"),
    "token": ("name", "perm", "secret", "extra", "token", "createTime", "is_deleted"),
    "miners": ("id", "miner", "user", "open_mining", "created_at", "updated_at", "deleted_at"),
    "signers": ("id", "user", "signer", "created_at", "updated_at", "deleted_at"),
    "user_rate_limits": ("id", "name", "service", "api", "reqLimit"),
}
"""Tables and their columns in the order in which gorm makes them; a dump may name its own."""
BADGER_TABLES: Final = {
    "TOKEN": "token",
    "USER": "users",
    "MINERS": "miners",
    "SIGNERS": "signers",
    "ReqLimit": "user_rate_limits",
}
INSERT: Final = re.compile(r"INSERT INTO `?(\w+)`?\s*(?:\(([^)]*)\))?\s*VALUES\s*(.*);\s*$", re.I | re.S)
DISABLED: Final = 2


@dataclass(slots=True)
class Taken:
    """What an import did."""

    made: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    """One sentence for each row that was left out."""


@transaction.atomic
def sophon_import(lines: Iterable[str]) -> Taken:
    """Import everything, or nothing; safe to repeat.  Raises BadValue that names the line."""
    rows: dict[str, list[Row]] = {name: [] for name in MYSQL_COLUMNS}
    for table, row in rows_read(lines):
        rows[table].append({key.lower().replace("_", ""): value for key, value in row.items()})
    taken = Taken()
    for row in rows["users"]:
        user_import(row, taken)
    for table, take in (
        ("token", token_import),
        ("miners", miner_import),
        ("signers", signer_import),
        ("user_rate_limits", rate_limit_import),
    ):
        for row in rows[table]:
            take(row, taken)
    return taken


def rows_read(lines: Iterable[str]) -> Iterator[tuple[str, Row]]:
    """Read the rows of either form.  Raises BadValue."""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        try:
            if text.startswith("{"):
                yield from badger_read(json.loads(text))
            elif text[:6].upper() == "INSERT":
                yield from insert_read(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadValue(
                gettext("line {number} cannot be read: {error}").format(number=number, error=error),
                field=str(number),
            ) from None


def badger_read(entry: Row) -> Iterator[tuple[str, Row]]:
    """Read one key of a badger export."""
    table = BADGER_TABLES.get(entry["key"].partition(":")[0])
    if table == "user_rate_limits":
        for row in entry["value"].values():
            yield table, row
    elif table is not None:
        yield table, entry["value"]


def insert_read(text: str) -> Iterator[tuple[str, Row]]:
    """Read one INSERT statement with any number of rows."""
    found = INSERT.match(text)
    if found is None:
        raise ValueError("an INSERT statement that does not end on its line")
    table = found[1]
    if table not in MYSQL_COLUMNS:
        return
    columns = [name.strip(" `") for name in found[2].split(",")] if found[2] else list(MYSQL_COLUMNS[table])
    for values in tuples_read(found[3]):
        if len(values) != len(columns):
            raise ValueError(f"{len(values)} values for {len(columns)} columns of {table}")
        yield table, dict(zip(columns, values, strict=True))


VALUE: Final = re.compile(r"\s*(?:'((?:[^'\\]|\\.|'')*)'|(NULL)|(-?[0-9.]+)|(_binary\s*))", re.S)
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


def tuples_read(text: str) -> Iterator[list[Any]]:
    """Read `(…),(…)` of SQL literals."""
    at = 0
    while at < len(text):
        if text[at] != "(":
            at += 1
            continue
        values, at = [], at + 1
        while True:
            found = VALUE.match(text, at)
            if found is None:
                raise ValueError(f"no SQL value at {text[at : at + 20]!r}")
            at = found.end()
            if found[4]:
                continue
            values.append(literal(found))
            if text[at : at + 1] == ")":
                at += 1
                break
            if text[at : at + 1] != ",":
                raise ValueError(f"a comma is missing at {text[at : at + 20]!r}")
            at += 1
        yield values


def literal(found: re.Match[str]) -> Any:
    """Read one SQL literal."""
    if found[1] is not None:
        plain = found[1].replace("''", "'")
        return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), plain, flags=re.S)
    if found[2] is not None:
        return None
    return int(found[3]) if found[3].lstrip("-").isdigit() else float(found[3])


def moment(value: Any) -> datetime | None:
    """Read a time: seconds, RFC 3339, or MySQL's own; Go's zero time is none."""
    if value in (None, "", 0):
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    text = re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", str(value)).replace("Z", "+00:00")
    if text.startswith("0001-01-01"):
        return None
    read = datetime.fromisoformat(text)
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def is_deleted(row: Row) -> bool:
    """Return whether a row was deleted softly."""
    deleted = row.get("deletedat")
    if isinstance(deleted, dict):  # gorm's DeletedAt in JSON
        deleted = deleted.get("Time") if deleted.get("Valid") else None
    return bool(row.get("isdeleted")) or moment(deleted) is not None


def user_import(row: Row, taken: Taken) -> None:
    """Import a user as a tenant; one of this name that is here stays as it is."""
    made_at = moment(row.get("createtime")) or datetime.now(UTC)
    fields = {
        "uuid": row["id"],
        "comment": row.get("comment") or "",
        "enabled": row.get("state") != DISABLED,
        "created_at": made_at,
        "deleted_at": moment(row.get("updatetime")) or made_at if is_deleted(row) else None,
    }
    _, made = Tenant.objects.get_or_create(name=row["name"], defaults=fields)
    taken.made["tenants"] += made


def owner_of(name: str, what: str, *, taken: Taken) -> Tenant | None:
    """Find whose a row is."""
    tenant = Tenant.objects.filter(name=name).first()
    if tenant is None:
        taken.skipped.append(
            gettext("{what} of {name!r}: there is no such user").format(what=what, name=name)
        )
    return tenant


def token_import(row: Row, taken: Taken) -> None:
    """Import a token: its text stays good, its secret is not needed."""
    if row["perm"] not in PERMS:
        taken.skipped.append(
            gettext("a token of {name!r}: unknown level {perm!r}").format(name=row["name"], perm=row["perm"])
        )
        return
    if token_by_text(row["token"]) is not None:
        return
    tenant = Tenant.objects.filter(name=row["name"]).first()
    if tenant is None:  # old servers made tokens for names without a user
        tenant = Tenant.objects.create(name=row["name"], comment="created for an imported token")
        taken.made["tenants"] += 1
    made_at = moment(row.get("createtime")) or datetime.now(UTC)
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
    taken.made["tokens"] += 1


def miner_import(row: Row, taken: Taken) -> None:
    """Import a miner; the store keeps addresses without the network's letter."""
    tenant = owner_of(row["user"], gettext("miner {miner}").format(miner=row["miner"]), taken=taken)
    address = address_of(row["miner"], taken)
    if tenant is None or address is None:
        return
    fields = {
        "tenant": tenant,
        "open_mining": bool(row.get("openmining", True)),
        "deleted_at": datetime.now(UTC) if is_deleted(row) else None,
    }
    _, made = MinerGrant.objects.get_or_create(actor_id=address_parse(address).actor_id, defaults=fields)
    taken.made["miners"] += made


def signer_import(row: Row, taken: Taken) -> None:
    """Import a signer."""
    tenant = owner_of(row["user"], gettext("signer {signer}").format(signer=row["signer"]), taken=taken)
    address = address_of(row["signer"], taken)
    if tenant is None or address is None:
        return
    fields = {"deleted_at": datetime.now(UTC) if is_deleted(row) else None}
    _, made = SignerGrant.objects.get_or_create(address=address, tenant=tenant, defaults=fields)
    taken.made["signers"] += made


def address_of(text: str, taken: Taken) -> str | None:
    """Read an address with or without its letter."""
    try:
        return str(address_parse(text if text[:1] in ("f", "t") else f"f{text}"))
    except BadAddress as error:
        taken.skipped.append(gettext("address {text!r}: {error}").format(text=text[:100], error=error))
        return None


def rate_limit_import(row: Row, taken: Taken) -> None:
    """Import a rate limit."""
    tenant = owner_of(row["name"], gettext("a rate limit"), taken=taken)
    if tenant is None:
        return
    asked = row["reqlimit"]
    asked = json.loads(asked) if isinstance(asked, str) else asked
    fields = {
        "tenant": tenant,
        "service": row.get("service") or "",
        "api": row.get("api") or "",
        "capacity": int(asked["Cap"]),
        "reset_ns": int(asked["ResetDur"]),
    }
    _, made = RateLimit.objects.get_or_create(uuid=row["id"], defaults=fields)
    taken.made["limits"] += made
