"""What an entry of the audit log changed, as rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext

from apps.core.languages import list_text

SHORT: Final = 120
"""Longest value that stands in the row itself."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One field of what was changed."""

    name: str
    before: str
    after: str
    is_long: bool
    """Has lines of its own, or too many words for a row."""


def value_text(value: Any) -> str:
    """Write a value for people."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return list_text(value) or gettext("none")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def change_rows(before: Any, after: Any) -> tuple[ChangeRow, ...]:
    """Put what was and what is side by side; what stayed the same is left out."""
    old = before if isinstance(before, dict) else {} if before is None else {"": before}
    new = after if isinstance(after, dict) else {} if after is None else {"": after}
    found = []
    for name in dict.fromkeys([*old, *new]):
        if name in old and name in new and old[name] == new[name]:
            continue
        was, now = value_text(old.get(name)), value_text(new.get(name))
        is_long = "\n" in was + now or max(len(was), len(now)) > SHORT
        found.append(ChangeRow(str(name).replace("_", " "), was, now, is_long))
    return tuple(found)
