"""A host exchanges its join token once, and starts with its own from then on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from workers.config import BadConfig, sealer_config
from workers.console import join
from workers.console.client import ConsoleAway, ConsoleRefused
from workers.console.join import joined
from workers.console.lease_keeper import TokenRefused

if TYPE_CHECKING:
    from pathlib import Path


class Line:
    """A console that answers what the test says."""

    answers: list[Any] = []
    asked: list[tuple[str, str, str]] = []

    def __init__(self, url: str, token: str) -> None:
        self.token = token

    def join(self, *, uid: str, name: str) -> str:
        self.asked.append((self.token, uid, name))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    def close(self) -> None:
        pass


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> type[Line]:
    monkeypatch.setattr(Line, "answers", [])
    monkeypatch.setattr(Line, "asked", [])
    monkeypatch.setattr(join, "Console", Line)
    monkeypatch.setattr(join, "RETRY_PAUSES_S", (0.0,))
    return Line


def config_of(folder: Path, *words: str) -> Any:
    return sealer_config(["--dir", str(folder), "--console", "https://pool", "--name", "host-a", *words])


def test_the_token_is_kept_and_the_same_command_starts_again(line: type[Line], tmp_path: Path) -> None:
    line.answers[:] = [ConsoleAway("not yet"), "own"]
    config = config_of(tmp_path, "--token", "once")

    first = joined(config, stop=threading.Event())
    again = joined(config_of(tmp_path, "--token", "once"), stop=threading.Event())

    assert (first.token, again.token) == ("own", "own")
    assert line.asked == [("once", config.uid, "host-a")] * 2
    assert oct((tmp_path / "token").stat().st_mode)[-3:] == "600"
    assert config_of(tmp_path).token == "own"


def test_another_join_token_joins_anew(line: type[Line], tmp_path: Path) -> None:
    line.answers[:] = ["own", "other"]
    joined(config_of(tmp_path, "--token", "once"), stop=threading.Event())

    assert joined(config_of(tmp_path, "--token", "twice"), stop=threading.Event()).token == "other"
    assert config_of(tmp_path).token == "other"


def test_a_kill_before_the_mark_asks_again(
    line: type[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.answers[:] = ["own", "second"]
    write = join.secret_write

    def killed(path: Path, text: str) -> None:
        if path.name == join.JOINED_FILE:
            raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(join, "secret_write", killed)
    with pytest.raises(KeyboardInterrupt):
        joined(config_of(tmp_path, "--token", "once"), stop=threading.Event())
    monkeypatch.setattr(join, "secret_write", write)

    assert joined(config_of(tmp_path, "--token", "once"), stop=threading.Event()).token == "second"


def test_what_the_console_refuses_is_said(line: type[Line], tmp_path: Path) -> None:
    line.answers[:] = [ConsoleRefused(status=409, code="join_token_used", reason="another host", field="")]

    with pytest.raises(TokenRefused, match="https://pool does not take this join token: another host"):
        joined(config_of(tmp_path, "--token", "once"), stop=threading.Event())
    assert not (tmp_path / "token").exists()


def test_without_any_token_it_says_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="give --token"):
        config_of(tmp_path)
