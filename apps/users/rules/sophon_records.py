"""Reading the rows of a sophon-auth store: a MySQL dump, or lines of JSON from its badger database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext

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
            values.append(_literal(found))
            if text[at : at + 1] == ")":
                at += 1
                break
            if text[at : at + 1] != ",":
                raise ValueError(f"a comma is missing at {text[at : at + 20]!r}")
            at += 1
        yield values


def _literal(found: re.Match[str]) -> Any:
    """Read one SQL literal."""
    if found[1] is not None:
        plain = found[1].replace("''", "'")
        return re.sub(r"\\(.)", lambda escape: ESCAPES.get(escape[1], escape[1]), plain, flags=re.S)
    if found[2] is not None:
        return None
    return int(found[3]) if found[3].lstrip("-").isdigit() else float(found[3])


def time_read(value: Any) -> datetime | None:
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
    return bool(row.get("isdeleted")) or time_read(deleted) is not None
