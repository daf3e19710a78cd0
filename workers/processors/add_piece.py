"""Stage add_piece: raw pieces, padded and aligned, become the staged file.

Source: rust-fil-proofs filecoin-proofs/src/api/mod.rs add_piece; damocles-worker AddPieces.
"""

from __future__ import annotations

from io import BufferedReader
from pathlib import Path

from poolsite.filecoin.commd import piece_alignment
from workers.processors import pieces
from workers.processors.errors import BadPiece
from workers.processors.parallel import Progress, no_progress
from workers.processors.seal_proofs import parameters_named
from workers.processors.tasks import AddPieceOutput, AddPieceTask, PieceInfo, PieceSource
from workers.storage.files import hole_write
from workers.storage.mapped import Nodes, as_nodes, file_write


def run(task: AddPieceTask, *, progress: Progress = no_progress) -> AddPieceOutput:
    """Write the staged file and return the pieces that fill the sector.

    Raises BadPiece if a piece is no 127 · 2^k, longer than its room, or does not fit.
    """
    sector = parameters_named(task.seal_proof_type).sector_bytes
    infos = pieces_stage(task.pieces, Path(task.staged_filepath), sector=sector, progress=progress)
    return AddPieceOutput(infos)


def pieces_stage(
    sources: tuple[PieceSource, ...], staged: Path, *, sector: int, progress: Progress = no_progress
) -> tuple[PieceInfo, ...]:
    """Write the staged file of a sector; return its pieces.  One of zeros alone is a hole in the disk."""
    places = _places(sources, sector)
    infos: list[PieceInfo] = []
    if all(source.piece_file is None for source in sources):
        hole_write(staged, size_bytes=sector)
        end = pieces.padded_size(sources[-1].piece_size) + places[-1] if sources else 0
        infos = [pieces.zero_piece(source.piece_size) for source in sources]
        progress(sector, sector)
        return (*infos, *pieces.filling_pieces(sector, end))
    with file_write(staged, size_bytes=sector) as raw:
        nodes = as_nodes(raw)
        nodes[:] = 0
        end = 0
        for start, piece in zip(places, sources, strict=True):
            end = start + pieces.padded_size(piece.piece_size)
            room = nodes[pieces.node_count(start) : pieces.node_count(end)]
            infos.append(_put(piece, room))
            progress(end, sector)
    return (*infos, *pieces.filling_pieces(sector, end))


def _places(sources: tuple[PieceSource, ...], sector: int) -> list[int]:
    """Return where each piece starts, in padded bytes."""
    places, written = [], 0
    for source in sources:
        pieces.piece_size_check(source.piece_size)
        if not 0 <= source.payload_size <= source.piece_size:
            raise BadPiece(f"{source.payload_size} bytes do not fit into a piece of {source.piece_size}")
        alignment = piece_alignment(written, source.piece_size)
        places.append(pieces.padded_size(written + alignment.left))
        written += alignment.left + alignment.room
        if pieces.padded_size(written) > sector:
            raise BadPiece(
                "Piece is larger than sector." if len(places) == 1 else "Pieces do not fit the sector."
            )
    return places


def _put(source: PieceSource, room: Nodes) -> PieceInfo:
    if source.piece_file is None:
        return pieces.zero_piece(source.piece_size)
    path = Path(source.piece_file)
    try:
        size = path.stat().st_size
        if size < source.payload_size:
            raise BadPiece(f"{path} has {size} bytes instead of {source.payload_size}")
        with path.open("rb") as file:
            pieces.pad_into(room, _Bounded(file, source.payload_size))
    except FileNotFoundError:
        raise BadPiece(f"{path} does not exist") from None
    return PieceInfo(pieces.nodes_commitment(room), source.piece_size)


class _Bounded:
    """The first `left` bytes of a file."""

    def __init__(self, file: BufferedReader, left: int) -> None:
        self._file, self._left = file, left

    def readinto(self, room: memoryview, /) -> int:
        """Fill `room` or its beginning; return the bytes read, none at the end."""
        size = self._file.readinto(room[: self._left])
        self._left -= size
        return size
