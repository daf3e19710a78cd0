"""Commitments of files that grow: what is noted on the way saves work and decides nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.processors import commp, growing_piece, pieces
from workers.processors.growing_piece import NOTE_BYTES, file_commitment, notes_path, roots_note
from workers.processors.pieces import raw_commitment, subtree_root
from workers.processors.seal import piece_source

NODES = 1 << 10
RUN = 127 * 256
DATA = b"".join(number.to_bytes(4, "big") for number in range(4 * RUN // 4))[: 3 * RUN + 1000]


@pytest.fixture
def piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of three runs and a bit, in a piece of four; runs of 32 KiB instead of 16 MiB."""
    monkeypatch.setattr(pieces, "SUBTREE_NODES", NODES)
    monkeypatch.setattr(growing_piece, "SUBTREE_NODES", NODES)
    monkeypatch.setattr(growing_piece, "RUN_BYTES", RUN)
    path = tmp_path / "piece"
    path.write_bytes(DATA)
    return path


def whole(path: Path) -> bytes:
    """The commitment without notes."""
    return raw_commitment(io.BytesIO(path.read_bytes()), piece_source(str(path)).piece_size)


def by_notes(path: Path) -> bytes:
    """The commitment as it is printed."""
    return file_commitment(str(path), piece_source(str(path)))


def test_runs_are_noted_once_each_and_hashed_no_more(piece: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    def noted(source: pieces.Readable) -> bytes:
        hashed.append(subtree_root(source))
        return hashed[-1]

    monkeypatch.setattr(growing_piece, "subtree_root", noted)

    counts = [roots_note(str(piece), until) for until in (RUN - 1, RUN, 2 * RUN + 5, RUN, len(DATA), 9 * RUN)]
    assert (counts, len(hashed)) == ([0, 1, 2, 2, 3, 3], 3)

    assert by_notes(piece) == whole(piece)
    assert len(hashed) == 4


@pytest.mark.parametrize("size", [RUN, RUN + 1, 2 * RUN, 2 * RUN + 1, 4 * RUN])
def test_what_lies_behind_the_end_is_zeros(piece: Path, size: int) -> None:
    piece.write_bytes(DATA.ljust(size, b"x")[:size])

    assert by_notes(piece) == whole(piece)
    roots_note(str(piece), size)
    assert by_notes(piece) == whole(piece)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: flip(path, RUN + 77), id="a byte of the file"),
        pytest.param(lambda path: path.write_bytes(bytes(len(DATA))), id="a restored file with a hole"),
        pytest.param(lambda path: path.write_bytes(DATA[: RUN + 5]), id="a shorter file"),
        *(
            pytest.param(lambda path, at=at: flip(notes_path(path), at), id=f"byte {at} of the notes")
            for at in (0, 40, 70, NOTE_BYTES + 33)
        ),
        pytest.param(lambda path: notes_path(path).unlink(), id="no notes"),
        pytest.param(
            lambda path: notes_path(path).write_bytes(notes_path(path).read_bytes()[:-1]), id="a torn note"
        ),
        pytest.param(
            lambda path: notes_path(path).write_bytes(notes_path(path).read_bytes()[NOTE_BYTES:]),
            id="notes of other runs",
        ),
    ],
)
def test_the_commitment_is_always_that_of_the_bytes_on_the_disk(
    piece: Path, harm: Callable[[Path], object]
) -> None:
    roots_note(str(piece), len(DATA))

    harm(piece)

    assert by_notes(piece) == whole(piece)
    roots_note(str(piece), len(DATA))
    assert by_notes(piece) == whole(piece)


def test_each_line_is_answered_by_one(
    piece: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        json.dumps({"file": str(piece), "until": 2 * RUN}),
        json.dumps({"file": str(piece.with_name("none"))}),
        "no JSON",
        "[]",
        json.dumps({"file": str(piece)}),
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))

    assert commp.main(["--growing"]) == 0

    noted, missing, *bad, found = map(json.loads, capsys.readouterr().out.splitlines())
    assert noted["runs"] == 2
    assert missing == {"error": f"piece {piece.with_name('none')}: No such file or directory"}
    assert [[*one] for one in bad] == [["error"], ["error"]]
    assert (found["comm_p"], found["payload_size"]) == (whole(piece).hex(), len(DATA))


@pytest.mark.parametrize("arguments", [[], ["--growing", "file"]])
def test_files_are_named_or_read_from_standard_input(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        commp.main(arguments)
