"""How many bytes the pieces of a tenant take, of those that they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext

from apps.core import formatting
from apps.pieces.selectors import StorageUse, storage_use

SCARCE_PCT: Final = 90
"""Of the quota: from here on a bar warns."""


@dataclass(frozen=True, slots=True)
class StorageBar:
    """The bytes of a tenant's pieces."""

    text: str
    pct: int | None
    """None without a limit."""
    tone: str
    is_default: bool
    limit_bytes: int


def storage_bar(tenant_id: int) -> StorageBar:
    """Lay out how much of its quota a tenant uses."""
    use = storage_use(tenant_id)
    used = formatting.joined_size(use.used_bytes)
    if not use.limit_bytes:
        text = gettext("{used}, no limit").format(used=used)
        return StorageBar(text, None, "run", use.is_default, 0)
    text = gettext("{used} of {limit}").format(used=used, limit=formatting.joined_size(use.limit_bytes))
    pct = min(100 * use.used_bytes // use.limit_bytes, 100)
    return StorageBar(text, pct, _tone(use, pct), use.is_default, use.limit_bytes)


def _tone(use: StorageUse, pct: int) -> str:
    if use.is_exceeded:
        return "bad"
    return "warn" if pct >= SCARCE_PCT else "run"
