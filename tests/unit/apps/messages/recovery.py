"""A dump of the messages, put back while the chain goes on."""

from __future__ import annotations

import pytest
from django.db.models import Model

from apps.messages.models import (
    Message,
    MessageEvent,
    Recovery,
    Sender,
    SignedVersion,
    Tracker,
    UnmatchedMessage,
)
from tests.messaging import Pool

TABLES = (Message, Sender, Recovery, SignedVersion, MessageEvent, UnmatchedMessage, Tracker)


class Dump:
    """The rows of the messager at a moment, and the tracker's place."""

    def __init__(self, *more: type[Model]) -> None:
        self.tables: tuple[type[Model], ...] = (*TABLES, *more)
        self.rows = {model: list(model._default_manager.all()) for model in self.tables}

    def restore(self, *, is_noticed: bool = True) -> None:
        """Put the rows back; PostgreSQL's tables would be others then."""
        for model in reversed(self.tables):
            model._default_manager.all()._raw_delete(model._default_manager.db)
        for model in self.tables:
            model._default_manager.bulk_create(self.rows[model])
        if is_noticed:
            Recovery.objects.update(fingerprint={"table": -1})


def without_ids(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a signer as venus-wallet: it keeps no ids and signs whatever it is asked for."""
    monkeypatch.setattr(
        "apps.messages.services.recovery.restore.signed_ids_read", lambda *_args, **_kwargs: {}
    )
    monkeypatch.setattr("tests.messaging.origin_check", lambda *_args: None)


def heads(pool: Pool, count: int) -> None:
    """Let heads come."""
    for _ in range(count):
        pool.step()


def paid(pool: Pool, address: str) -> list[int]:
    return sorted(int(one.message.value) for one in pool.node.landed(address))
