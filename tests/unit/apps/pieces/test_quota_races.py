"""Two requests for one tenant at once: together they do not pass its quota."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.pieces.errors import PieceQuotaExceeded
from apps.pieces.models import Piece
from apps.pieces.selectors import storage_use
from apps.pieces.services.quotas import piece_quota_set
from apps.pieces.services.uploads import PieceSpec, upload_begin
from tests import factories, people

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_requests_at_once_do_not_pass_the_quota_together(
    settings: Any, tmp_path: Path, beside: Callable[..., list[Any]]
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    miner = factories.miner(of="alice")
    operator = people.principal("pool", "admin", is_operator=True)
    piece_quota_set(miner.tenant, limit_bytes=500, by=operator)

    def begin() -> Piece:
        return upload_begin(miner, spec=PieceSpec(payload_size=300), by=people.principal())

    one, refused, has_waited = beside(begin, "apps.pieces.services.uploads.quota_require", begin)

    assert has_waited
    assert isinstance(one, Piece)
    assert isinstance(refused, PieceQuotaExceeded)
    assert storage_use(miner.tenant_id).used_bytes == 300
