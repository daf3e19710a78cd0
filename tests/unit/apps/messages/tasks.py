"""The tasks of one head, run at once."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages import tasks
from tests.messaging import Pool


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The senders for whom a selection was enqueued."""
    addresses: list[str] = []

    def send(_name: str, *, kwargs: dict[str, Any], queue: str, **_options: Any) -> None:
        assert queue == "messages"
        addresses.append(kwargs["address"])

    monkeypatch.setattr("apps.messages.tasks.current_app.send_task", send)
    return addresses


def run_head(pool: Pool, sent: list[str], *, height: int = 0) -> None:
    """Run the tasks of one head."""
    tasks.track(height=height, key="")
    tasks.select(height=height, key="")
    while sent:
        tasks.select_sender(address=sent.pop())
