"""Copies that were unsealed for somebody who retrieves them: removed once nobody reads them, or for room.

Anybody can ask for any piece: such copies would fill the tenant's quota, or the disk of all.  Nothing is lost
with one, as only those go whose sector has its files; a kill anywhere leaves the rest to the next sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core.disk import DiskLevel, disk_space
from apps.pieces.errors import PieceBusy
from apps.pieces.models import Piece
from apps.pieces.selectors import copies_lent, storage_use
from apps.pieces.services.restored_data import data_drop, piece_data_lock
from apps.pieces.states import PieceState
from apps.sectors.models import Sector
from poolsite.filecoin.fr32 import unpadded_bytes

log = structlog.get_logger(__name__)

LENT_FOR: Final = timedelta(days=7)
"""After the last time that somebody read it."""
LENT_AT_LEAST: Final = timedelta(hours=1)
"""For so long a copy stays where others need its room, unless the disk is full: whoever asked reads it."""


def lent_copies_remove(*, now: datetime) -> None:
    """Remove the copies that nobody reads any more, and others while there is too little room.

    So that uploads, deals and others that retrieve find room: the data of one sector, on the disk and in each
    tenant's quota, at most half of that.  The least recently read ones go first.
    """
    copies = copies_lent()
    for_each_isolated(
        [one for one in copies if _is_unread(one, now - LENT_FOR)], copy_remove, event="copy_not_removed"
    )
    _room_make(copies, is_enough=lambda: disk_space(settings.PIECES_DIR).level is not DiskLevel.FULL)
    idle = [one for one in copies if _is_unread(one, now - LENT_AT_LEAST)]
    for tenant in {one.miner.tenant_id for one in idle}:
        of_tenant = [one for one in idle if one.miner.tenant_id == tenant]
        _room_make(of_tenant, is_enough=partial(_has_quota, tenant, of_tenant))
    _room_make(idle, is_enough=lambda: _has_disk(idle))


def _is_unread(piece: Piece, since: datetime) -> bool:
    return piece.copy_read_at is not None and piece.copy_read_at < since


def _sector_bytes(copies: Sequence[Piece]) -> int:
    return max(unpadded_bytes(one.miner.sector_size) for one in copies)


def _has_quota(tenant: int, copies: Sequence[Piece]) -> bool:
    use = storage_use(tenant)
    return use.has_room(min(_sector_bytes(copies), use.limit_bytes // 2))


def _has_disk(copies: Sequence[Piece]) -> bool:
    space = disk_space(settings.PIECES_DIR)
    return space.free - settings.DISK_RESERVE_BYTES >= min(_sector_bytes(copies), space.total // 2)


def _room_make(copies: Sequence[Piece], *, is_enough: Callable[[], bool]) -> None:
    """Remove one copy after the other until there is room enough."""
    for piece in copies:
        if is_enough():
            return
        for_each_isolated([piece], copy_remove, event="copy_not_removed")


@transaction.atomic
def copy_remove(piece: Piece) -> None:
    """Remove a copy, unless it was read, or is kept, since its row was, or no other can be made."""
    with suppress(PieceBusy):
        piece_data_lock(piece)
        rows = Piece.objects.filter(pk=piece.pk, copy_read_at=piece.copy_read_at, has_data=True)
        is_free = rows.filter(state__in=(PieceState.ACTIVE, PieceState.ENDED)).exists()
        number = -1 if piece.sector_number is None else piece.sector_number
        sectors = Sector.objects.filter(miner=piece.miner, number=number, removal_asked_at=None)
        if is_free and sectors.exclude(store="").exists():
            data_drop(piece)
            log.info("lent_copy_removed", piece=str(piece.uuid), bytes=piece.payload_size)
