"""Files in hosts' folders that may be data of offline deals: noted, matched, and taken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.core.reasons import Reason
from apps.market.errors import DealUnknown
from apps.market.models import Deal, DealFile, DealFolder
from apps.market.reasons import (
    FILE_EMPTY,
    FILE_GROWING,
    FILE_IS_LINK,
    FILE_NO_FILE,
    FILE_TAKEN,
    FILE_UNMATCHED,
    FILE_UNREADABLE,
    FILE_WAITS,
    FILE_WANTED,
    FOLDER_UNREADABLE,
)
from apps.market.selectors.deal_files import deals_of_files, files_of_folder
from apps.market.selectors.deals import deal_get
from apps.market.services.transfers import deal_import
from poolsite.wire.deal_files import FileFault, FolderAnswer, FolderReport, WantedFile

if TYPE_CHECKING:
    from apps.pieces.data.files import Source
    from apps.sectors.models import Worker
    from apps.users.rules.principals import Principal

FAULTS: Final = {
    FileFault.GROWING: FILE_GROWING,
    FileFault.WAITS: FILE_WAITS,
    FileFault.LINK: FILE_IS_LINK,
    FileFault.NO_FILE: FILE_NO_FILE,
    FileFault.EMPTY: FILE_EMPTY,
    FileFault.UNREADABLE: FILE_UNREADABLE,
}
NOTED_EVERY: Final = timedelta(minutes=1)
"""How exact the time of a report is in which nothing is new."""


def deal_folder_record(worker: Worker, *, report: FolderReport, by: Principal, now: datetime) -> FolderAnswer:
    """Note what lies in a host's folder, and answer which files deals wait for."""
    cids = {file.piece_cid for file in report.files if file.piece_cid}
    waiting, having = deals_of_files(cids, worker=worker, viewer=by) if cids else ({}, {})
    rows, wanted = [], []
    for file in report.files:
        deal, reason = None, FAULTS[file.fault]() if file.fault is not None else FILE_UNMATCHED()
        if file.fault is None and (deal := waiting.get(file.piece_cid)) is not None:
            reason = FILE_WANTED()
            wanted.append(WantedFile(name=file.name, deal=str(deal.uuid)))
        elif file.fault is None and (deal := having.get(file.piece_cid)) is not None:
            reason = FILE_TAKEN()
        rows.append(
            DealFile(name=file.name, size=file.size, piece_cid=file.piece_cid, deal=deal, reason=reason)
        )
    error = FOLDER_UNREADABLE(error=report.error) if report.error else ""
    _folder_write(worker, report.folder, rows, error=error, now=now)
    return FolderAnswer(wanted=tuple(wanted))


@transaction.atomic
def _folder_write(
    worker: Worker, path: str, rows: list[DealFile], *, error: Reason | str, now: datetime
) -> None:
    folder, is_new = DealFolder.objects.select_for_update().get_or_create(
        worker=worker, defaults={"path": path, "said_at": now, "reason": error}
    )
    is_same = (folder.path, str(folder.reason)) == (path, str(error))
    if not is_new and (not is_same or now - folder.said_at >= NOTED_EVERY):
        folder.path, folder.said_at, folder.reason = path, now, error
        folder.save()
    if error:  # its files are as they were seen last
        return
    if [_facts(row) for row in files_of_folder(folder)] != sorted(_facts(row) for row in rows):
        DealFile.objects.filter(folder=folder).delete()
        for row in rows:
            row.folder = folder
        DealFile.objects.bulk_create(rows)


def _facts(row: DealFile) -> tuple[str, int, str, int, str]:
    return row.name, row.size, str(row.piece_cid), row.deal_id or 0, str(row.reason)


def deal_file_import(worker: Worker, *, deal: str, source: Source, file_name: str, by: Principal) -> Deal:
    """Store the data of a deal of the host's tenant that lie in its folder.

    Raises DealUnknown, and what `deal_import` does.
    """
    row = deal_get(by, deal)
    if row.miner.tenant_id != worker.tenant_id:
        raise DealUnknown(deal)
    deal_import(row, source=source, by=by, file_name=file_name)
    return row
