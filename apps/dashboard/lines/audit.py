"""A line of the audit log as a page shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apps.dashboard import numbers

if TYPE_CHECKING:
    from apps.users.models import AuditEntry

SHORT: Final = 120
"""Longest value that stands in the row itself."""


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One field of what was changed."""

    name: str
    before: str
    after: str
    is_long: bool
    """Has lines of its own, or too many words for a row."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who did what."""

    number: str
    at: str
    who: str
    source: str
    tenant: str
    what: str
    target: str
    changes: tuple[ChangeLine, ...]
    digest: str


def value_words(value: Any) -> str:
    """Write a value for people."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def change_lines(before: Any, after: Any) -> tuple[ChangeLine, ...]:
    """Put what was and what is side by side; what stayed the same is left out."""
    old = before if isinstance(before, dict) else {} if before is None else {"": before}
    new = after if isinstance(after, dict) else {} if after is None else {"": after}
    found = []
    for name in dict.fromkeys([*old, *new]):
        if name in old and name in new and old[name] == new[name]:
            continue
        was, now = value_words(old.get(name)), value_words(new.get(name))
        is_long = "\n" in was + now or max(len(was), len(now)) > SHORT
        found.append(ChangeLine(str(name).replace("_", " "), was, now, is_long))
    return tuple(found)


def audit_line(row: AuditEntry) -> AuditLine:
    """Lay out one line of `audit_visible`."""
    return AuditLine(
        number=str(row.pk),
        at=str(numbers.moment(row.at)),
        who=row.actor or numbers.NOTHING,
        source=row.source,
        tenant=row.tenant.name if row.tenant is not None else "pool",
        what=row.action,
        target=row.target or numbers.NOTHING,
        changes=change_lines(row.before, row.after),
        digest=row.entry_hash[:12],
    )
