"""What a scan of a store found, read over REST; a chain that has none of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from apps.sectors.services.stores import leftover_removals
from tests.integration.stores.conftest import Farm
from tests.unit.apps.sectors.sealing import NOON


def no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain has nothing of what it is asked for, of second copies the replicas that their rows have."""
    work = SimpleNamespace(client=None, head=SimpleNamespace(key=""), now=NOON)
    for place in ("apps.api.v1.store_findings", "apps.dashboard.pages.storage.findings"):
        monkeypatch.setattr(f"{place}.sealing_context_read", lambda **_: work)
    monkeypatch.setattr(leftover_removals, "live_sectors_read", lambda *_, **__: {})
    monkeypatch.setattr(leftover_removals, "sectors_proven_read", lambda *_: {})
    monkeypatch.setattr(
        leftover_removals, "precommits_read", lambda _client, _miner, numbers, _key: dict.fromkeys(numbers)
    )


def found(farm: Farm) -> dict[str, dict[str, Any]]:
    """What the last scan found, by name, read page by page."""
    rows: list[dict[str, Any]] = []
    params = {"limit": "1"}
    while params:
        page = farm.ask("GET", "findings", params=params).json()
        rows += page["results"]
        params = {"limit": "1", "cursor": page["next"]} if page["next"] else {}
    return {row["name"]: row for row in rows}
