"""When `make soak` last ran green is noted for all checkouts of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.last_soak import main, note_path


def test_it_is_said_when_soak_last_ran_green(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    main(["--say"])
    assert capsys.readouterr().out.endswith("last ran green: never on this machine\n")
    assert not note_path().exists()

    main([])
    noted = note_path().read_text()
    capsys.readouterr()
    main(["--say"])
    assert capsys.readouterr().out.endswith(f"last ran green: {noted}")
    assert " UTC, commit " in noted


def test_a_home_that_cannot_be_written_fails_no_soak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    main([])

    assert capsys.readouterr().out.endswith("last ran green: never on this machine\n")
