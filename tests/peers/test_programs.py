"""Programs that no registry serves: used as they were built; one that is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.programs import PROGRAMS_VARIABLE, built_program


def test_a_built_program_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "greeter"
    program.touch()
    monkeypatch.setenv(PROGRAMS_VARIABLE, str(tmp_path))

    assert built_program("greeter", version="v1.0.0", shows="it greets") == program


@pytest.mark.parametrize("is_named", [True, False])
def test_a_missing_program_fails_with_what_it_would_have_shown(
    is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROGRAMS_VARIABLE, str(tmp_path) if is_named else "")

    with pytest.raises(AssertionError, match=r"greeter \(v1.0.0\), which would show that it greets"):
        built_program("greeter", version="v1.0.0", shows="it greets")
