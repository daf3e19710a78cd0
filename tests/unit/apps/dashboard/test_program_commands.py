"""Commands and lines that connect programs to the console."""

from __future__ import annotations

import pytest

from apps.dashboard.program_commands import node_line


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("http://127.0.0.1:8000", "/ip4/127.0.0.1/tcp/8000/http"),
        ("http://[::1]:8000", "/ip6/::1/tcp/8000/http"),
        ("http://pool.example", "/dns/pool.example/tcp/80/http"),
        ("https://pool.example", "wss://pool.example"),
        ("https://pool.example:8443", "wss://pool.example:8443"),
    ],
)
def test_the_line_names_the_console_as_lotus_reads_it(origin: str, place: str) -> None:
    assert node_line("a.b.c", origin=origin) == f"FULLNODE_API_INFO=a.b.c:{place}"
