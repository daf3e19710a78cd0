"""The signer's folder from the command line: passwords that are typed, keys that `init` makes once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.workers.signer.conftest import CHEAP
from workers.signer.commands import PERMANENT, main
from workers.signer.keystore import KeyStore


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What somebody types at the prompts that come."""
    answers: list[str] = []
    monkeypatch.setattr("workers.signer.signer_folder.getpass.getpass", lambda _prompt: answers.pop(0))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    return answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store whose password only a person knows."""
    KeyStore(tmp_path, cost=CHEAP).password_set("old")
    return tmp_path


def opens(folder: Path, password: str) -> bool:
    (folder / "password").write_text(password)
    try:
        return main(["new", "--dir", str(folder)]) == 0
    finally:
        (folder / "password").unlink()


def test_new_password_is_typed_twice_and_the_old_one_once(folder, typed, capsys):
    typed += ["old", "new", "new"]

    assert main(["password", "--dir", str(folder)]) == 0
    assert (typed, opens(folder, "new"), opens(folder, "old")) == ([], True, False)


@pytest.mark.parametrize("again", ["mew", ""])
def test_mistyped_new_password_changes_nothing(folder, typed, capsys, again):
    typed += ["old", "new", again]

    assert main(["password", "--dir", str(folder)]) == 1
    assert "not the same" in capsys.readouterr().err
    assert opens(folder, "old")


def test_password_that_its_file_would_not_give_back_is_refused(folder, typed, capsys):
    typed += ["old", "new ", "new "]

    assert main(["password", "--dir", str(folder)]) == 1
    assert "begin or end with a space" in capsys.readouterr().err
    assert opens(folder, "old")


def test_init_with_a_password_file_writes_no_other_password(tmp_path):
    (tmp_path / "mine").write_text("sesame\n")
    named = ["--dir", str(tmp_path / "signer"), "--password-file", str(tmp_path / "mine")]

    assert main(["init", *named]) == 0
    assert not (tmp_path / "signer" / "password").exists()
    assert main(["new", *named]) == 0


def test_init_asks_for_no_password_once_it_is_done(tmp_path, typed, capsys):
    """A signer without password file starts with `make signer --locked`, or asks once."""
    folder = str(tmp_path)
    main(["init", "--dir", folder])
    (tmp_path / "password").unlink()

    assert main(["init", "--dir", folder]) == 0
    (tmp_path / "keystore.json").write_text("damaged")
    assert main(["init", "--dir", folder]) == PERMANENT


def test_init_makes_no_key_again_that_was_deleted(tmp_path, capsys):
    """`make signer` runs it before each start."""
    folder = str(tmp_path)
    main(["init", "--dir", folder])
    made = json.loads(capsys.readouterr().out)
    main(["delete", "--dir", folder, made["owner"]])
    capsys.readouterr()

    assert main(["init", "--dir", folder]) == 0
    assert json.loads(capsys.readouterr().out) == made
    main(["list", "--dir", folder])
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["worker", "control"]
