"""Reading the files of hosts' folders, and which deals they are data of."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from apps.market.models import Deal, DealFile, DealFolder
from apps.market.selectors.deals import deals_visible
from apps.market.states import WITHOUT_DATA, DealSource
from apps.pieces.models import Piece
from apps.pieces.selectors import PieceName, piece_name_read
from apps.pieces.states import PieceState
from poolsite.filecoin.cids import BadCid

if TYPE_CHECKING:
    from apps.sectors.models import Worker
    from apps.users.rules.principals import Principal


def folder_of_host(worker: Worker) -> DealFolder | None:
    """Return the folder of a host as it was reported last; None if it has none."""
    return DealFolder.objects.filter(worker=worker).first()


def files_of_folder(folder: DealFolder) -> list[DealFile]:
    """Return the files of a folder by name."""
    return list(DealFile.objects.filter(folder=folder).select_related("deal").order_by("name"))


def deals_of_files(
    cids: Collection[str], *, worker: Worker, viewer: Principal
) -> tuple[dict[str, Deal], dict[str, Deal]]:
    """Return, by the piece CIDs of a host's files, the deals that wait for them, and those that have them.

    Of several that wait the one that must start first is returned.
    """
    names = {cid: name for cid in cids if (name := _name(cid)) is not None}
    committed = {one for name in names.values() for one in name.cids}
    rows = deals_visible(viewer).filter(miner__tenant=worker.tenant_id)
    without = list(rows.filter(state__in=WITHOUT_DATA, source=DealSource.OFFLINE, piece_cid__in=committed))
    waiting = [deal for deal in without if deal.piece is None or deal.piece.state == PieceState.UPLOADING]
    pieces = Piece.objects.filter(piece_cid__in=committed, miner__tenant=worker.tenant_id)
    having = [*rows.filter(piece__in=pieces), *(deal for deal in without if deal not in waiting)]
    by_start = sorted(waiting, key=lambda deal: (deal.start_epoch is None, deal.start_epoch or 0, deal.pk))
    return _by_file(names, by_start), _by_file(names, having)


def _by_file(names: dict[str, PieceName], deals: list[Deal]) -> dict[str, Deal]:
    found = {}
    for cid, name in names.items():
        deal = next((one for one in deals if one.piece_cid in name.cids and _fits(one, name)), None)
        if deal is not None:
            found[cid] = deal
    return found


def _fits(deal: Deal, name: PieceName) -> bool:
    """Return whether a file has as many raw bytes as a deal says, or may have."""
    size = name.payload_size or 0
    return size == deal.raw_size if deal.is_sized else size <= deal.raw_size


def _name(cid: str) -> PieceName | None:
    try:
        return piece_name_read(cid)
    except BadCid:
        return None
