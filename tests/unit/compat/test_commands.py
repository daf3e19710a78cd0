"""Command lines of the old programs as they are read, before a pool is asked anything."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from poolsite.compat.__main__ import PROGRAMS, main
from poolsite.compat.pool import Pool, url_read
from poolsite.compat.sealer import size_read
from poolsite.compat.sealer_info import size_text
from poolsite.compat.verb import Refused

LINES = [(name, verb.words) for name, verbs in PROGRAMS.items() for verb in verbs]


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No pool of this machine is meant."""
    for name in ("POOLSITE_URL", "POOLSITE_TOKEN", "POOLSITE_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POOLSITE_VAR", str(tmp_path))
    return tmp_path


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
    """The pools that are asked; they answer an empty list."""
    found: list[Pool] = []

    def call(pool: Pool, *_words: Any, **_sent: Any) -> Any:
        found.append(pool)
        return {"result": []}

    monkeypatch.setattr(Pool, "call", call)
    return found


def run(line: str) -> int:
    return main(["compat", *shlex.split(line)])


@pytest.mark.parametrize(("program", "words"), LINES)
def test_every_command_has_help(program: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = run(f"{program} {words} --help")
    except SystemExit as end:
        code = int(end.code or 0)

    shown = capsys.readouterr()
    assert (code, shown.err, shown.out.startswith(f"usage: {program}")) == (0, "", True)


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("", 2, "usage"),
        ("venus-nothing run", 2, "unknown program 'venus-nothing'"),
        ("venus-miner address dance", 2, "unknown command 'address dance'"),
        ("venus-miner", 2, "unknown command ''"),
        ("venus-miner address list", 1, "no pool is known"),
        ("venus-miner address list --pool ftp://x", 1, "is not a pool's address"),
        ("venus-miner address list --pool http://localhost:1", 1, "no token for http://localhost:1"),
        ("venus-miner address list --pool-token-file /nowhere/t --pool http://h", 1, "No such file"),
        ("venus-sealer init --pool http://localhost:1 --auth-token t", 1, "name the owner"),
        ("venus-sealer storage attach --seal /s", 1, "make worker"),
        ("venus-wallet auth api-info --perm admin --listen here", 1, "is not HOST:PORT"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    line: str, code: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line) == code
    shown = capsys.readouterr()
    assert (shown.out, why in shown.err) == ("", True), shown.err


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://pool.example/rpc/v1", "https://pool.example"),
        ("ws://10.0.0.1:8000", "http://10.0.0.1:8000"),
        ("/ip4/10.0.0.1/tcp/39812", "http://10.0.0.1:39812"),
        ("/ip6/::1/tcp/80/http", "http://[::1]:80"),
        ("/dns4/pool.example/tcp/443/https", "https://pool.example:443"),
    ],
)
def test_a_pools_address_is_a_url_or_a_multiaddress(text: str, url: str) -> None:
    assert url_read(text) == url


@pytest.mark.parametrize(
    "text", ["pool.example", "/ip4/10.0.0.1", "/ip4/300.1.1.1/tcp/1", "http://", "http://h:0"]
)
def test_another_address_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        url_read(text)


def test_a_token_comes_from_where_it_was_put_last(
    var: Path, called: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    (var / "operator.json").write_text(json.dumps({"url": "http://localhost:8000", "admin_token": "own"}))
    (var / "t").write_text("file\n")
    line = "venus-miner address list"

    assert run(line) == 0
    assert run(f"venus-miner --pool-token-file {var}/t address list") == 0
    monkeypatch.setenv("POOLSITE_TOKEN", "environment")
    assert run(f"{line} --pool https://far.example") == 0
    assert run(f"{line} --pool-token-file {var}/t") == 0

    assert [(pool.url, pool.token) for pool in called] == [
        ("http://localhost:8000", "own"),
        ("http://localhost:8000", "file"),
        ("https://far.example", "environment"),
        ("http://localhost:8000", "file"),
    ]


def test_a_token_in_clear_is_warned_of(
    called: list[Pool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POOLSITE_TOKEN", "secret")

    assert run("venus-miner address list --pool http://far.example") == 0

    shown = capsys.readouterr().err
    assert ("in clear" in shown, "secret" in shown, len(called)) == (True, False, 1)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 512 << 20), ("512MiB", 512 << 20), ("32GiB", 32 << 30), ("2048", 2048), ("8mib", 8 << 20)],
)
def test_sector_sizes_are_read_as_they_were_written(text: str, size: int) -> None:
    assert size_read(text) == size


def test_no_other_size_is_read() -> None:
    for text in ("", "big", "32TiB", "-2K"):
        with pytest.raises(Refused, match="is not a sector size"):
            size_read(text)
    assert [size_text(one) for one in (0, 2048, 3 << 30, 1 << 60)] == ["0 B", "2 KiB", "3 GiB", "1 EiB"]
