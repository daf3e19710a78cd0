"""`manage.py pieces`: what REST does not do."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.pieces.data.commitments import small_commitment


def test_a_file_is_named_by_its_commitment(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"data of a client")
    cid = str(small_commitment(file.read_bytes()).cid)
    out = StringIO()

    call_command("pieces", "data-cid", str(file), stdout=out)

    assert out.getvalue().splitlines() == [
        f"piece_cid: {cid}",
        "piece_cid_v2: bafkzcibcn4bb6jsazjpq6miaflluycxlejxo6mchtgsc6grgbf2a74ct2e5aopi",
        "padded_size: 128",
        "payload_size: 16",
    ]
    with pytest.raises(CommandError, match="is not a file"):
        call_command("pieces", "data-cid", str(tmp_path))
