"""`make reset`: what is removed, after which word, and what stays."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from poolsite.embedded.ownership import owned
from poolsite.embedded.reset import main


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pool with a key."""
    folder = tmp_path / "var"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "django_secret").write_text("x")
    monkeypatch.setenv("POOLSITE_VAR", str(folder))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return folder


@pytest.mark.parametrize(
    ("typed", "code", "stays"), [("yes\n", 0, False), ("YES \n", 0, False), ("y\n", 1, True), ("", 1, True)]
)
def test_state_goes_after_yes_alone(
    var: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, stays: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    assert (main(), var.exists()) == (code, stays)


@pytest.mark.parametrize(
    ("url", "words"), [("", "the database too"), ("postgres://db/pool", "your own database stays as it is")]
)
def test_reset_says_what_becomes_of_the_database(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, words: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    if url:
        monkeypatch.setenv("DATABASE_URL", url)

    main()

    assert words in capsys.readouterr().out
    assert var.exists()


def test_state_of_a_running_pool_stays(
    var: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    monkeypatch.setattr("time.sleep", lambda _: None)

    with owned(var):
        assert main() == 1

    assert "Nothing was removed: " in capsys.readouterr().out
    assert var.exists()
