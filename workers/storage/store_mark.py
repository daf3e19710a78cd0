"""What `sectorstore.json` in a store's root says, as lotus and damocles write it.

Source: lotus storage/sealer/storiface/storage.go LocalStorageMeta; ipfs-force-community/damocles
manager-plugin/objstore/objstore.go Config.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workers.storage.files import write_file

RESERVE: Final = "ReserveBytes"
"""Our own key: disk that is left free."""
SEALED_TYPES: Final = frozenset({"sealed", "cache"})
UPDATE_TYPES: Final = frozenset({"update", "update-cache"})
"""Types of lotus that a finished sector has."""


class BadMark(ValueError):
    """A `sectorstore.json` that cannot be read: one sentence with the key and the remedy."""


class StoreRefuses(Exception):
    """A store may not take a sector; one sentence with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMark:
    """A store's own rules."""

    name: str
    uid: str = ""
    """Empty: the mark has none yet."""
    weight: int = 1
    can_store: bool = True
    """False: it is for sealing only."""
    can_seal: bool = False
    read_only: bool = False
    max_bytes: int = 0
    """Most that may lie in it; 0: what the disk takes."""
    reserve_bytes: int = 0
    """Disk that is left free."""
    groups: tuple[str, ...] = ()
    allow_miners: frozenset[int] = frozenset()
    """Ids of the miners whose sectors it takes; empty: those of all that are not denied."""
    deny_miners: frozenset[int] = frozenset()
    allow_types: frozenset[str] = frozenset()
    deny_types: frozenset[str] = frozenset()
    """Types of lotus: sealed, cache, unsealed, update, update-cache."""

    def takes(self, *, miner_id: int, is_update: bool = False) -> None:
        """Raise StoreRefuses if finished sectors of this miner may not be put here."""
        types = UPDATE_TYPES if is_update else SEALED_TYPES
        why = ""
        if self.read_only:
            why = "is read-only: set ReadOnly to false in its sectorstore.json"
        elif not self.can_store:
            why = "is for sealing only: set CanStore to true in its sectorstore.json"
        elif miner_id in self.deny_miners or (self.allow_miners and miner_id not in self.allow_miners):
            why = (
                f"does not accept sectors of f0{miner_id}: see AllowMiners and DenyMiners in sectorstore.json"
            )
        elif types & self.deny_types or (self.allow_types and not types <= self.allow_types):
            what = "updated replicas" if is_update else "sealed files and caches"
            why = f"does not accept {what}: see AllowTypes and DenyTypes in sectorstore.json"
        if why:
            raise StoreRefuses(f"the store {self.name} {why}")


def mark_read(path: Path) -> StoreMark:
    """Read a store's mark; one without a name is called by its id or folder.  Raises BadMark, OSError."""
    try:
        facts = json.loads(path.read_text())
    except ValueError as error:
        raise BadMark(f"{path} is not JSON ({error}): fix it, or remove it to have it recreated") from None
    if not isinstance(facts, dict):
        raise BadMark(f'{path} is not an object: use {{"ID": …, "Name": …}}')
    read = _Facts(path, facts)
    return StoreMark(
        name=read.text("Name") or read.text("ID") or str(path.parent),
        uid=read.text("ID"),
        weight=read.number("Weight", 1),
        can_store=read.flag("CanStore", default=True),
        can_seal=read.flag("CanSeal", default=False),
        read_only=read.flag("ReadOnly", default=False),
        max_bytes=read.number("MaxStorage", 0),
        reserve_bytes=read.number(RESERVE, 0),
        groups=read.texts("Groups"),
        allow_miners=read.miners("AllowMiners"),
        deny_miners=read.miners("DenyMiners"),
        allow_types=frozenset(read.texts("AllowTypes")),
        deny_types=frozenset(read.texts("DenyTypes")),
    )


def mark_change(path: Path, changes: dict[str, Any]) -> None:
    """Write some keys of a mark; the others stay as they are.  Raises BadMark, OSError."""
    mark_read(path)
    write_file(path, json.dumps(json.loads(path.read_text()) | changes, indent=2).encode())


def uid_of_mark(path: Path, mark: StoreMark) -> str:
    """Return a store's identity; a mark without one, as of damocles, gets it if it can be written."""
    if mark.uid:
        return mark.uid
    try:
        mark_change(path, {"ID": str(uuid.uuid4())})
        return mark_read(path).uid
    except OSError:  # a read-only disk of another program: its name has to do
        return mark.name


@dataclass(frozen=True, slots=True)
class _Facts:
    """The members of a mark; null counts as absent."""

    path: Path
    facts: dict[str, Any]

    def wrong(self, key: str, remedy: str) -> BadMark:
        return BadMark(f"{self.path}: {key} is {self.facts[key]!r}: use {remedy}")

    def text(self, key: str) -> str:
        value = self.facts.get(key) or ""
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def number(self, key: str, default: int) -> int:
        value = self.facts.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.wrong(key, "a whole number")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.facts.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return default if value is None else value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.facts.get(key) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.wrong(key, "a list of strings")
        return tuple(value)

    def miners(self, key: str) -> frozenset[int]:
        """Return miners' ids: damocles writes 1000, lotus "f01000" or "t01000"."""
        value = self.facts.get(key) or []
        digits = (
            [str(one).removeprefix("f0").removeprefix("t0") for one in value]
            if isinstance(value, list)
            else []
        )
        if not isinstance(value, list) or not all(one.isascii() and one.isdigit() for one in digits):
            raise self.wrong(key, 'a list of miners such as [1000] or ["f01000"]')
        return frozenset(map(int, digits))
