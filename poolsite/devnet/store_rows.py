"""The rows of a devnet's file: blocks, tipsets, and the changes of states."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poolsite.devnet.state.records import record_from_bytes
from poolsite.devnet.state.row_classes import ROW_CLASSES
from poolsite.filecoin.cbor import decode, encode

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Change, Key


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A stored block."""

    cid: bytes
    height: int
    parents: bytes
    header: bytes
    bls: bytes
    secpk: bytes


@dataclass(frozen=True, slots=True)
class TipsetRow:
    """A stored tipset with what its execution gave."""

    key: bytes
    height: int
    parents: bytes
    weight: int
    root: bytes
    receipts_root: bytes
    next_base_fee: int


@dataclass(frozen=True, slots=True)
class TipsetWrite:
    """All that comes with a tipset that was executed."""

    row: TipsetRow
    changes: list[Change]
    receipts: list[bytes]
    inclusions: list[bytes]
    """Message CIDs in the order of the receipts."""
    senders: list[tuple[int, int, bytes]]
    """(sender id, nonce, message CID) of each message."""
    objects: list[tuple[bytes, bytes]]
    """Blocks of the tries that clients may ask for."""
    snapshot: Iterable[Change] | None
    """All rows of the state, at times."""


def changes_encode(changes: Iterable[Change]) -> bytes:
    """Return changes of rows as CBOR."""
    return encode(
        [[table, list(key) if isinstance(key, tuple) else key, data] for table, key, data in changes]
    )


def changes_decode(data: bytes) -> list[tuple[str, Key, bytes | None]]:
    """Read what `changes_encode` wrote."""
    return [(table, tuple(key) if isinstance(key, list) else key, row) for table, key, row in decode(data)]


def row_decode(table: str, key: Key, data: bytes) -> Any:
    """Return a row's record from its bytes."""
    cls = ROW_CLASSES[table.partition("/")[0]]
    return record_from_bytes(cls[str(key)] if isinstance(cls, dict) else cls, data)
