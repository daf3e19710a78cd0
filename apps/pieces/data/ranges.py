"""The raw bytes of a piece that is kept here, whole or a range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apps.pieces.data.files import bytes_read, is_stored, piece_path
from apps.pieces.errors import PieceSealed
from apps.pieces.models import Piece


@dataclass(frozen=True, slots=True)
class PieceRange:
    """Some of a piece's raw bytes."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class PieceBytes:
    """The bytes, a chunk at a time."""

    count: int
    chunks: Iterator[bytes]


def piece_data(piece: Piece, wanted: PieceRange | None) -> PieceBytes:
    """Return a piece's bytes, or those of a range.  Raises PieceSealed where they are not kept."""
    if not is_stored(piece):
        raise PieceSealed
    span = wanted or PieceRange(0, piece.payload_size or 0)
    return PieceBytes(span.count, bytes_read(piece_path(piece), first=span.first, count=span.count))
