"""A host exchanges its join token once, and starts with its own from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers.agent import sealer
from workers.config import sealer_config
from workers.config_mistakes import BadConfig
from workers.console import join, lease_keeper
from workers.console.join import joined, size_learned
from workers.console.lease_keeper import TokenRefused
from workers.console.process import MISCONFIGURED, AlreadyRunning, owned
from workers.console.refusals import ConsoleAway, ConsoleRefused
from workers.prover import main as prover

NOT_MADE = "/proc/poolsite"
"""Nobody makes a folder there, root included."""


class Line:
    """A console that answers what the test says."""

    answers: list[Any] = []
    asked: list[tuple[str, str, str]] = []

    def __init__(self, url: str, token: str) -> None:
        self.token = token

    def join(self, *, uid: str, name: str) -> tuple[str, int]:
        self.asked.append((self.token, uid, name))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, tuple) else (str(answer), 0)

    def close(self) -> None:
        pass


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> type[Line]:
    monkeypatch.setattr(Line, "answers", [])
    monkeypatch.setattr(Line, "asked", [])
    monkeypatch.setattr(join, "Console", Line)
    monkeypatch.setattr(lease_keeper, "RETRY_PAUSES_S", (0.0,))
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


def test_a_token_in_a_file_joins_once_and_may_go_afterwards(line: type[Line], tmp_path: Path) -> None:
    file = tmp_path / "join-token"
    file.write_text("once\n")
    line.answers[:] = ["own"]

    first = joined(config_of(tmp_path, "--join-token-file", str(file)), stop=threading.Event())
    file.unlink()
    again = joined(config_of(tmp_path, "--join-token-file", str(file)), stop=threading.Event())

    assert (first.token, again.token) == ("own", "own")
    assert [token for token, *_ in line.asked] == ["once"]


def test_a_join_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot be read"):
        config_of(tmp_path, "--join-token-file", str(tmp_path / "join-token"))


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

    with pytest.raises(
        TokenRefused, match=r"https://pool does not accept this join token: another host\. .*Join a"
    ):
        joined(config_of(tmp_path, "--token", "once"), stop=threading.Event())
    assert not (tmp_path / "token").exists()


def test_without_any_token_it_says_where_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="pass --join-token-file"):
        config_of(tmp_path)


def test_the_pools_sector_size_is_the_hosts_unless_it_says_one(line: type[Line], tmp_path: Path) -> None:
    line.answers[:] = [("own", 8 << 20)]
    stop = threading.Event()

    assert joined(config_of(tmp_path, "--token", "once"), stop=stop).sector_bytes == 8 << 20
    assert config_of(tmp_path).sector_bytes == 8 << 20
    told = config_of(tmp_path, "--token", "once", "--sector-size", "2KiB")
    assert joined(told, stop=stop).sector_bytes == 2 << 10
    assert not size_learned(told, 8 << 20)


def test_another_size_that_is_told_later_is_for_the_next_start(line: type[Line], tmp_path: Path) -> None:
    line.answers[:] = ["own"]
    config = joined(config_of(tmp_path, "--token", "once"), stop=threading.Event())

    assert [size_learned(config, size) for size in (0, 2 << 10, 7, 512 << 20)] == [False] * 3 + [True]
    assert config_of(tmp_path).sector_bytes == 512 << 20


def test_a_second_program_in_a_folder_says_how_to_give_it_another(tmp_path: Path) -> None:
    with (
        owned(tmp_path, name="sealer"),
        pytest.raises(AlreadyRunning, match="own with --dir FOLDER"),
        owned(tmp_path, name="sealer"),
    ):
        pass


@pytest.mark.parametrize("start", [sealer.main, prover.main])
def test_a_folder_that_cannot_be_made_is_named(
    start: Callable[[list[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("t\n")

    assert start(["--dir", NOT_MADE, "--token-file", str(tmp_path / "token")]) == MISCONFIGURED
    assert f"{NOT_MADE} cannot be used: No such file or directory: check" in capsys.readouterr().err


def test_a_store_that_cannot_be_made_is_named_at_the_first_start(line: type[Line], tmp_path: Path) -> None:
    line.answers[:] = ["own"]
    words = ["--token", "once", "--store", NOT_MADE]

    with pytest.raises(BadConfig, match=f"{NOT_MADE} cannot be used: No such file or directory: check"):
        sealer.configured(config_of(tmp_path, *words), words, stop=threading.Event())
