"""The data of a deal: downloaded, uploaded whole or in chunks, or imported; they become a piece."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from apps.core import clock
from apps.core.connection_faults import fault_text
from apps.core.errors import BadValue, LostRace
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reason_fields import is_kept, with_codes
from apps.core.reasons import Reason, as_reason, refused
from apps.core.transitions import advance, columns_set
from apps.market.errors import ChunkRefused, DealDataComing, DealNeedsNoData
from apps.market.models import Deal, DealChunk
from apps.market.reasons import CHUNK_GONE
from apps.market.rules import Place
from apps.market.selectors.deals import chunks_received
from apps.market.services.earnings import earning_columns_compute, earning_read, income_change
from apps.market.states import WITHOUT_DATA, DealSource, DealState
from apps.messages.services.recovery.detect import restore_check
from apps.miners.selectors.miners import miner_principal
from apps.pieces.data.blocks import is_newer
from apps.pieces.data.commitments import GROWING
from apps.pieces.data.files import Source, bytes_write, file_locked, piece_opened
from apps.pieces.data.sources import url_shown
from apps.pieces.errors import PieceBusy, PieceMismatch, PieceTooLarge, UploadIncomplete
from apps.pieces.models import CLIENT_ACTOR, Piece
from apps.pieces.selectors import unknown_kept_before
from apps.pieces.services.fetches import piece_fetch_begin
from apps.pieces.services.reservations import Room
from apps.pieces.services.uploads import (
    PieceSpec,
    part_upload,
    piece_discard,
    received_note,
    upload_begin,
    upload_end,
)
from apps.pieces.states import PieceState
from apps.users.rules.encryption import text_decrypt
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

log = structlog.get_logger(__name__)

EARNING: Final = ("ACTIVATE", "END", "SEAL")
"""Events that change when a deal earns."""
KEEPS_PLACES: Final = ("WAIT", "TRANSFER", "STORE", "PUBLISH", "RETURN", "LAND", "VERIFY")
"""Events after which the data may have to come again."""
UPLOAD_WAIT: Final = timedelta(days=7)
"""For so long a client may take to bring its data, where no start epoch comes before."""
PAUSE_WAIT: Final = timedelta(hours=24)
"""For so long an upload that has begun may stand still."""
NOTED_S: Final = 60.0
"""Between two notes that bytes of an upload come."""
ARRIVED: Final = (PieceState.RECEIVED, PieceState.READY, PieceState.HELD)
"""States of a piece whose bytes are all here; a head checks those that nobody has."""
CHUNK_ENDING: Final = ".chunk"
CHUNK_LEAST: Final = 1 << 20
CHUNK_MOST: Final = 1 << 30
"""Bytes of a chunk, a power of two, as Curio has them (deps/config MK20Config; the least is smaller here)."""


def piece_spec_build(deal: Deal) -> PieceSpec:
    """Return what a deal says of its piece."""
    return PieceSpec(
        piece_cid=deal.piece_cid,
        padded_size=deal.padded_size,
        payload_size=deal.raw_size if deal.is_sized else None,
        start_epoch=deal.start_epoch,
        term_min=deal.duration if deal.allocation is None and not deal.is_published else None,
        held_for=deal.uuid if deal.is_published else None,
        client=None if deal.is_published else deal.terms["client"],
        allocation=None if deal.is_published else deal.terms["allocation"],
    )


def client_principal_make(deal: Deal) -> Principal:
    """Return as whom a client's data come in: its miner's tenant, under the client's name."""
    return replace(miner_principal(deal.miner), actor=f"{CLIENT_ACTOR}{deal.client}")


def places_decode(deal: Deal) -> list[Place]:
    """Return the client's URLs with their headers.  Raises DecryptionFailed."""
    rows = json.loads(text_decrypt(deal.places)) if deal.places else []
    return [Place(url, tuple((name, value) for name, value in headers)) for url, headers in rows]


def deal_change_publish(deal: Deal) -> None:
    """Publish to open pages that a deal has changed."""
    publish(Change("deal", str(deal.uuid), deal.miner.tenant_id))


@transaction.atomic
def deal_move(
    deal: Deal,
    *,
    event: str,
    piece: Piece | None,
    reason: Reason | str = "",
    columns: Mapping[str, int | None] | None = None,
    height: int | None = None,
) -> None:
    """Move a deal one step, with its piece, what is to be said of it, and further columns.

    `height` is where its sector ended, of the event END.
    """
    if event in EARNING:  # its payment may have been read since the deal was
        locked = Deal.objects.select_for_update(of=("self",), no_key=True)
        deal.refresh_from_db(
            fields=["price", "earns_from", "earns_until", "settled_to"], from_queryset=locked
        )
    before = earning_read(deal)
    advance(
        deal,
        event,
        piece=piece,
        reason=as_reason(reason),
        state_since=clock.now(),
        updated_at=clock.now(),
        **({"sector_number": piece.sector_number} if event == "SEAL" and piece is not None else {}),
        **(columns or {}),
        **earning_columns_compute(deal, event=event, height=height),
        **({} if event in KEEPS_PLACES else {"places": ""}),
    )
    income_change(deal, before=before)
    deal_change_publish(deal)


def deal_fetch_begin(deal: Deal) -> None:
    """Begin the download from the next of the client's URLs; the same once more is the same download.

    Raises what `piece_fetch_begin` does, DecryptionFailed.
    """
    place = places_decode(deal)[deal.place_at]
    piece, _ = piece_fetch_begin(
        deal.miner,
        spec=piece_spec_build(deal),
        url=place.url,
        headers=place.headers,
        by=client_principal_make(deal),
    )
    deal_move(deal, event="TRANSFER", piece=piece)


def deal_upload(deal: Deal, *, source: Source, by: Principal, file_name: str = "") -> None:
    """Store all bytes of a deal at once; what came of an upload that was cut off is written anew.

    Raises DealNeedsNoData, DealDataComing, ChunkRefused, PieceBusy, PieceMismatch, and what uploads of pieces
    do.
    """
    _data_require(deal)
    _whole_write(deal, source, by=by, file_name=file_name)


def _whole_write(deal: Deal, source: Source, *, by: Principal, file_name: str) -> bool:
    """Store all bytes of a deal; False if they are here: who sent them got no answer."""
    if deal.chunk_size is not None:
        raise ChunkRefused(gettext("it is being uploaded in chunks"))
    piece = deal.piece
    if piece is None:
        piece = _piece_begin(deal, by=by, is_resumable=False, file_name=file_name)
    elif piece.state == PieceState.UPLOADING:
        with piece_opened(piece):  # no other request is sending them
            received_note(piece, received=0)
    elif piece.state in ARRIVED:
        return False
    elif piece.state == PieceState.FETCHING:
        raise DealDataComing
    _part_take(deal, piece, AwaitedSource(source, deal), offset=0, by=by)
    return True


def deal_import(deal: Deal, *, source: Source, by: Principal, file_name: str = "") -> None:
    """Store the data of a deal that came in another way, as its miner's people bring them.

    Raises what `deal_upload` does.
    """
    _data_require(deal, DealSource.PUT, DealSource.OFFLINE)
    if not _whole_write(deal, source, by=by, file_name=file_name):
        raise DealDataComing
    audit_record(principal=by, action="deal.import", target=str(deal.uuid), after={"bytes": deal.raw_size})


def deal_fetch(deal: Deal, *, url: str, headers: Sequence[tuple[str, str]], by: Principal) -> None:
    """Download the data of an offline deal from where its miner's people say; it fails back to waiting.

    Data that the miner has are taken with the next head, if their sector lives long enough.
    Raises DealNeedsNoData, DealDataComing, BadValue, and what downloads of pieces do.
    """
    try:
        _data_require(deal, DealSource.OFFLINE)
    except DealNeedsNoData:
        raise DealNeedsNoData(gettext("it awaits no data of its miner")) from None
    if deal.state != DealState.ACCEPTED or deal.piece is not None:
        raise DealDataComing
    piece, _ = piece_fetch_begin(deal.miner, spec=piece_spec_build(deal), url=url, headers=headers, by=by)
    with transaction.atomic():
        if piece.state in (PieceState.FETCHING, PieceState.RECEIVED):
            deal_move(deal, event="TRANSFER", piece=piece)
        after = {"url": url_shown(url), "headers": [name for name, _value in headers]}
        audit_record(principal=by, action="deal.fetch", target=str(deal.uuid), after=after)


def chunks_begin(deal: Deal, *, raw_size: int, chunk_size: int) -> None:
    """Begin the upload of a deal in chunks.  Raises BadValue, DealNeedsNoData, ChunkRefused."""
    _data_require(deal)
    if raw_size != deal.raw_size:
        raise BadValue("raw size of deal does not match the one provided in deal", field="raw_size")
    if chunk_size.bit_count() != 1:
        raise BadValue("chunk size must be a power of 2", field="chunk_size")
    if chunk_size < CHUNK_LEAST:
        raise BadValue("chunk size too small", field="chunk_size")
    if chunk_size > CHUNK_MOST:
        raise BadValue("chunk size too large", field="chunk_size")
    rows = Deal.objects.filter(pk=deal.pk, chunk_size=None, piece=None, state=DealState.ACCEPTED)
    if not rows.update(chunk_size=chunk_size, updated_at=clock.now()):
        raise ChunkRefused("deal upload has already started")
    deal.refresh_from_db()


def chunk_upload(deal: Deal, *, number: int, source: Source) -> None:
    """Write one chunk of a deal; several may come side by side, each once.

    Raises ChunkRefused, DealNeedsNoData, PieceBusy, UploadIncomplete, DiskFull, RoomAwaited.
    """
    _chunk_require(deal, number)
    size, path = _chunk_bytes(deal, number), chunk_place(deal, number=number)
    with file_locked(path) as file, Room(path) as room:
        _chunk_require(deal, number)  # another request may have sent it this moment
        room.reserve(size)
        try:
            is_all = bytes_write(file, AwaitedSource(source, deal), at=0, most=size, note=lambda _: None)
        except DealNeedsNoData:
            path.unlink(missing_ok=True)
            raise
        except OSError as error:
            raise UploadIncomplete(
                gettext("the upload was cut off: {error}").format(error=fault_text(error))
            ) from error
        if not is_all or file.tell() != size:
            raise UploadIncomplete(
                gettext("only {received} of {size} bytes were received").format(
                    received=file.tell(), size=size
                )
            )
        with transaction.atomic():
            is_awaited = _chunks_awaited(deal).select_for_update(no_key=True).first() is not None
            if is_awaited:
                DealChunk.objects.bulk_create([DealChunk(deal=deal, number=number)], ignore_conflicts=True)
                data_wait_renew(deal, now=clock.now())
        if not is_awaited:  # the deal has ended, or has its data, since this request came
            path.unlink(missing_ok=True)
            raise DealNeedsNoData("deal not found")
    deal_change_publish(deal)


def upload_complete(deal: Deal) -> None:
    """Note that the client has sent all; once more is fine.  Raises ChunkRefused while something lacks."""
    if deal.state not in WITHOUT_DATA:
        return
    if deal.chunk_size is None:
        if deal.piece is None or deal.piece.state == PieceState.UPLOADING:
            raise ChunkRefused("deal upload has not finished")
        return
    if not deal.is_whole and len(chunks_received(deal)) < deal.chunks:
        raise ChunkRefused("deal upload has not finished")
    Deal.objects.filter(pk=deal.pk).update(is_whole=True, updated_at=clock.now())
    deal.refresh_from_db()


def chunks_join(deal: Deal) -> None:
    """Put the chunks of a deal together into its piece; a kill amid it is gone on from where it was.

    Raises what uploads of pieces do.
    """
    by = client_principal_make(deal)
    piece = deal.piece or _piece_begin(deal, by=by, is_resumable=True)
    with GROWING.transfer():  # all chunks are one
        while deal.piece is not None and piece.state == PieceState.UPLOADING:
            at = piece.received
            number = at // (deal.chunk_size or 1) + 1
            path = chunk_place(deal, number=number)
            if at >= deal.raw_size:  # a kill came after the last byte
                _part_take(deal, piece, _Nothing(), offset=at, by=by)
                break
            try:
                with path.open("rb") as file:
                    file.seek(at - (number - 1) * (deal.chunk_size or 1))
                    _part_take(deal, piece, file, offset=at, by=by)
            except FileNotFoundError:
                _chunk_lost(deal, number)
                return
            path.unlink(missing_ok=True)
    deal.refresh_from_db()


def chunks_discard(deal: Deal) -> None:
    """Delete the chunks of a deal; none is fine."""
    if deal.chunk_size is None:
        return
    for number in range(1, deal.chunks + 1):
        chunk_place(deal, number=number).unlink(missing_ok=True)
    DealChunk.objects.filter(deal=deal).delete()


def chunks_sweep(*, now: datetime) -> None:
    """Delete chunks of deals that await no data any more, or are not here: a kill or a restore leaves such.

    After a restore those from before it stay for a while: another backup may know their deals.
    """
    files: dict[UUID, list[Path]] = {}
    for path in Path(settings.PIECES_DIR).glob(f"*{CHUNK_ENDING}"):
        with suppress(ValueError):  # somebody else's file
            files.setdefault(UUID(path.name.partition(".")[0]), []).append(path)
    states = dict(Deal.objects.filter(uuid__in=files).values_list("uuid", "state"))
    kept_before = unknown_kept_before(restore_check(now=now), now=now) if files else None
    for uuid, paths in files.items():
        for path in paths if states.get(uuid) not in WITHOUT_DATA else ():
            if uuid in states or kept_before is None or is_newer(path, kept_before):
                path.unlink(missing_ok=True)
                log.info("chunk_removed", file=path.name)


def deal_wait(
    deal: Deal, *, reason: Reason | str, place_at: int | None = None, lost_at: datetime | None = None
) -> None:
    """Return a deal to where it waits for its data: those that came were not all, or not the right ones.

    `place_at`: which of the client's URLs is next; None: the same.  `lost_at`: all were here and are gone
    since; they have another week to come again, from the first URL on.
    """
    chunks_discard(deal)
    next_at = deal.place_at if place_at is None else place_at
    renewed: dict[str, Any] = {}
    if lost_at is not None:
        renewed, next_at = {"data_until": lost_at + UPLOAD_WAIT}, 0
    with transaction.atomic():
        rows = Deal.objects.filter(pk=deal.pk)
        rows.update(chunk_size=None, is_whole=False, place_at=next_at, **renewed)
        deal.refresh_from_db()
        if deal.state != DealState.ACCEPTED:
            deal_move(deal, event="WAIT", piece=None, reason=reason)
        else:
            deal_note(deal, reason=reason)


def data_wait_renew(deal: Deal, *, now: datetime) -> bool:
    """Note that bytes of an upload come: its client has as long again for the next ones.

    Returns whether the deal awaits them.
    """
    last = deal.created_at + UPLOAD_WAIT
    rows = Deal.objects.filter(pk=deal.pk, state__in=WITHOUT_DATA)
    # Data that were lost have another week to come again.
    uploads = rows.filter(source=DealSource.PUT).exclude(data_until__gt=last)
    return bool(uploads.update(data_until=min(now + PAUSE_WAIT, last))) or rows.exists()


class AwaitedSource:
    """The bytes of a deal while they come: for long, and only while the deal awaits them."""

    def __init__(self, source: Source, deal: Deal) -> None:
        self._source, self._deal = source, deal
        self._noted_at = time.monotonic()

    def read(self, size: int, /) -> bytes:
        """Return the next bytes.  Raises DealNeedsNoData once the deal has failed, or has others."""
        if time.monotonic() - self._noted_at >= NOTED_S:
            if not data_wait_renew(self._deal, now=clock.now()):
                raise DealNeedsNoData("deal not found")
            self._noted_at = time.monotonic()
        return self._source.read(size)


def deal_note(deal: Deal, *, reason: Reason | str) -> None:
    """Note what holds a deal up."""
    reason = as_reason(reason)
    if not is_kept(deal, "reason", reason):
        values = with_codes(Deal, {"reason": reason}) | {"updated_at": clock.now()}
        columns_set(deal, **values)
        Deal.objects.filter(pk=deal.pk).update(**values)
        deal_change_publish(deal)


def chunk_place(deal: Deal, *, number: int) -> Path:
    """Return where a chunk lies: beside the pieces, whose reservations of room it shares."""
    return Path(settings.PIECES_DIR) / f"{deal.uuid}.{number}{CHUNK_ENDING}"


class _Nothing:
    """A source without bytes."""

    def read(self, _size: int, /) -> bytes:
        """Return none."""
        return b""


def _data_require(deal: Deal, *sources: str) -> None:
    """Refuse data that nobody waits for, or that are to come another way; a client uploads those of PUT.

    Raises DealNeedsNoData.
    """
    if deal.state not in WITHOUT_DATA or deal.source not in (sources or (DealSource.PUT,)):
        raise DealNeedsNoData("deal not found")


def _chunks_awaited(deal: Deal) -> QuerySet[Deal]:
    """Return the row of a deal while it awaits chunks of this size."""
    rows = Deal.objects.filter(pk=deal.pk, state__in=WITHOUT_DATA, is_whole=False)
    return rows.filter(chunk_size=deal.chunk_size)


def _chunk_require(deal: Deal, number: int) -> None:
    """Refuse a chunk that the deal does not await.  Raises DealNeedsNoData, ChunkRefused."""
    _data_require(deal)
    if not 1 <= number <= deal.chunks:
        raise ChunkRefused("chunk not found", field="chunk")
    if DealChunk.objects.filter(deal=deal, number=number).exists() or not _chunks_awaited(deal).exists():
        raise ChunkRefused("chunk already uploaded")


def _piece_begin(deal: Deal, *, by: Principal, is_resumable: bool, file_name: str = "") -> Piece:
    """Begin the piece of a deal that has none.  Raises PieceBusy if another request has done so by now."""
    spec = replace(piece_spec_build(deal), file_name=file_name)
    piece = upload_begin(deal.miner, spec=spec, by=by, is_resumable=is_resumable)
    rows = Deal.objects.filter(pk=deal.pk, state=DealState.TRANSFERRING, piece=None)
    try:
        if deal.state == DealState.ACCEPTED:
            deal_move(deal, event="TRANSFER", piece=piece)
            data_wait_renew(deal, now=clock.now())
        elif not rows.update(piece=piece, updated_at=clock.now()):
            raise PieceBusy
    except (LostRace, PieceBusy):
        piece_discard(piece)
        raise PieceBusy from None
    deal.refresh_from_db()
    return piece


def _part_take(deal: Deal, piece: Piece, source: Source | BinaryIO, *, offset: int, by: Principal) -> None:
    """Write bytes of a deal; all together must have its commitment.

    Raises PieceMismatch, DealNeedsNoData.
    """
    try:
        stored, is_whole = part_upload(piece, source=source, offset=offset, by=by)
        if not is_whole and piece.payload_size is None:  # nobody said how many bytes there are
            stored, _ = upload_end(stored, by=by)
    except DealNeedsNoData:
        piece_discard(piece)
        raise
    except (PieceMismatch, PieceTooLarge) as refusal:
        piece_discard(piece)
        deal.refresh_from_db()
        deal_wait(deal, reason=refused(refusal))
        raise
    if stored.pk != piece.pk:  # the miner had these data already
        Deal.objects.filter(pk=deal.pk).update(piece=stored)
        deal.refresh_from_db()


def _chunk_bytes(deal: Deal, number: int) -> int:
    """Return how many bytes a chunk has."""
    size = deal.chunk_size or 0
    return min(size, deal.raw_size - (number - 1) * size)


def _chunk_lost(deal: Deal, number: int) -> None:
    """Begin the upload anew: a chunk that was here is gone."""
    if deal.piece is not None and deal.piece.state == PieceState.UPLOADING:
        piece_discard(deal.piece)
        deal.refresh_from_db()
    deal_wait(deal, reason=CHUNK_GONE(number=number))
