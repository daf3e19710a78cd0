"""Two requests for one tenant at once: together they do not pass its quota."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from apps.core.errors import DomainError
from apps.pieces.selectors import storage_use
from apps.pieces.services import uploads
from apps.pieces.services.quotas import piece_quota_set, quota_require
from apps.pieces.services.uploads import PieceSpec, upload_begin
from tests import factories, people

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db(transaction=True)

WATCHED_S = 0.4
"""How long the second request is watched waiting."""


def test_two_requests_at_once_do_not_pass_the_quota_together(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    miner = factories.miner(of="alice")
    operator = people.principal("pool", "admin", is_operator=True)
    piece_quota_set(miner.tenant, limit_bytes=500, by=operator)
    checked, go_on, outcomes = threading.Event(), threading.Event(), list[Any]()
    real = quota_require

    def require(*args: Any, **options: Any) -> None:
        real(*args, **options)
        if not checked.is_set():
            checked.set()
            go_on.wait(20)

    def begin() -> None:
        try:
            outcomes.append(upload_begin(miner, spec=PieceSpec(payload_size=300), by=people.principal()))
        except DomainError as refusal:
            outcomes.append(refusal)
        finally:
            connection.close()

    monkeypatch.setattr(uploads, "quota_require", require)
    threads = [threading.Thread(target=begin) for _ in range(2)]
    threads[0].start()
    assert checked.wait(20)
    threads[1].start()
    threads[1].join(WATCHED_S)
    has_waited = threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(20)

    assert has_waited
    assert sorted(type(one).__name__ for one in outcomes) == ["Piece", "PieceQuotaExceeded"]
    assert storage_use(miner.tenant_id).used_bytes == 300
