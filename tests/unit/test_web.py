"""What the web process does before it serves."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from poolsite import web
from poolsite.web import COLLECT, memory_settle

if TYPE_CHECKING:
    import uvicorn


def test_what_was_loaded_at_the_start_is_collected_no_more():
    before = gc.get_threshold()
    gc.unfreeze()  # what the tests themselves have left out
    try:
        memory_settle()

        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == COLLECT
    finally:
        gc.set_threshold(*before)


def test_the_server_leaves_a_proxys_headers_to_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    configs: list[uvicorn.Config] = []
    monkeypatch.setattr(web, "memory_settle", lambda: None)
    monkeypatch.setattr(web.WebServer, "run", lambda server, sockets: configs.append(server.config))

    web.main([])

    assert [config.proxy_headers for config in configs] == [False]
