"""The command line of a tenant's host: what there is, and what a slip of the finger gets."""

from __future__ import annotations

import pytest

from workers.__main__ import PROGRAMS, main
from workers.signer.commands import VERBS


def test_help_lists_every_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in PROGRAMS)


def test_the_signers_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["signer", "--help"]) == 0

    said = capsys.readouterr().out
    assert all(f"  {verb} " in said for verb in VERBS)


@pytest.mark.parametrize("words", [[], ["nothing"], ["signer", "nothing"]])
def test_a_wrong_name_is_refused_in_one_sentence(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "one of " in said


@pytest.mark.parametrize(
    "words",
    [["precompile", "nothing"], ["sealer", "--nope"], ["signer", "new", "rsa"], ["bench", "--size", "3"]],
)
def test_a_wrong_argument_is_told_without_a_traceback(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
