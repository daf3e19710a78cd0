"""Retrieval by the CIDs within pieces: raw blocks and CARs of a DAG, each block verified before it is sent.

A trustless gateway: it sends nothing that a client cannot verify itself.
Source: ipfs/specs src/http-gateways/trustless-gateway.md, as boost and Curio serve it (frisbii).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TypeVar

import structlog
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from apps.api.callers import request_source
from apps.api.errors import RangeUnsatisfiable
from apps.api.ipfs_request import CAR, GatewayRefusal, Wanted, request_read
from apps.api.piece_gateway import (
    FOREVER,
    READ_RATE,
    RETRY_AFTER_S,
    SLOTS,
    HeldChunks,
    is_unmodified,
    over_limit,
    refusal,
    sealed_answer,
    wait_s,
)
from apps.api.v1.piece_data import range_of
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.core.streams import DiskAnswer, StreamCut, stream_connection
from apps.pieces.data.blocks import BlockStore, ServedIndex
from apps.pieces.selectors import block_store, is_any_served, piece_unsealable
from apps.pieces.services.restored_data import copy_read_note
from apps.sectors.services.runs.unsealing import retrieval_unseal_request
from poolsite.ipld.car import header_write, section_write
from poolsite.ipld.walk import (
    BadDag,
    Found,
    NoneSent,
    PathMissing,
    block_get,
    dag_walk,
    is_virtual,
    path_walk,
)
from poolsite.network_addresses import source_of

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer", HttpResponse, DiskAnswer)

CHUNK_BYTES: Final = 256 * 1024
"""Small blocks are sent together."""
NOWHERE: Final = "-"
"""Label of metrics for what no piece has: a CID that is its own data."""


class BlockSealed(Exception):
    """A block lies in a piece that has to be unsealed first."""

    def __init__(self, piece: int) -> None:
        super().__init__(piece)
        self.piece = piece


class Source:
    """The blocks of a request, and the miner of the first."""

    def __init__(self) -> None:
        self.store = block_store()
        self.miner, self.day_bytes = NOWHERE, 0

    def root_get(self, cid: bytes) -> bytes:
        """Return the root's block.  Raises LookupError."""
        if is_virtual(cid):
            if not is_any_served():
                raise LookupError
            return block_get(self.store.get, cid)
        data, row = self.store.root_get(cid)
        self.miner, self.day_bytes = row.miner, row.day_bytes
        return data


@csrf_exempt  # nothing is changed: a POST is told which methods there are
@require_safe
def ipfs_retrieve(request: HttpRequest, cid: str, path: str = "") -> HttpResponse | DiskAnswer:
    """Return a block, or the blocks of a DAG as a CAR."""
    address = source_of(request_source(request))
    try:
        wanted = request_read(request, cid, path)
    except GatewayRefusal as refused:
        return refusal(refused.status, refused.reason)
    if is_unmodified(request, wanted.etag, exists=False):  # by their CID: whoever has them needs nothing
        return _headed(HttpResponse(status=304), wanted)
    if not SLOTS.acquire(address):
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        return refusal(429, gettext("too many retrievals are under way: try again later"), **wait)
    chunks = None
    try:
        answer, chunks = _answer(request, wanted, address)
        return answer
    except BlockSealed as sealed:
        return sealed_answer(request, piece_unsealable(Q(pk=sealed.piece)))
    except GatewayRefusal as refused:
        return refusal(refused.status, refused.reason)
    except RangeUnsatisfiable as refused:
        return refusal(416, refused.reason, **{"Content-Range": f"bytes */{refused.size}"})
    finally:
        if chunks is None:
            SLOTS.release(address)


def _answer(
    request: HttpRequest, wanted: Wanted, address: str
) -> tuple[HttpResponse | DiskAnswer, HeldChunks | None]:
    """Return the answer, and the chunks that hold its slot.  Raises GatewayRefusal, RangeUnsatisfiable."""
    source = Source()
    found = _found(request, source, wanted)
    if is_unmodified(request, wanted.etag):
        return _headed(HttpResponse(status=304), wanted), None
    _reads_note(source.store)
    over = over_limit(source.miner, address, limit=source.day_bytes)
    if over is not None and request.method != "HEAD":
        return over, None
    if wanted.format == CAR:
        return _car(request, source, wanted, found, address)
    data = found[-1].data
    span = range_of(request.headers.get("Range", ""), len(data)) if request.method == "GET" else None
    sent = data if span is None else data[span.first : span.first + span.count]
    chunks = None if request.method == "HEAD" else HeldChunks(iter((sent,)), address, miner=source.miner)
    answer = DiskAnswer(chunks or iter(()), status=200 if span is None else 206)
    answer["Content-Length"] = str(len(sent))
    answer["Accept-Ranges"] = "bytes"
    if span is not None:
        answer["Content-Range"] = f"bytes {span.first}-{span.first + span.count - 1}/{len(data)}"
    answer.wait_s, answer.least_rate = wait_s, READ_RATE
    return _headed(answer, wanted), chunks


def _found(request: HttpRequest, source: Source, wanted: Wanted) -> list[Found]:
    """Return the blocks of the path.  Raises GatewayRefusal."""
    try:
        root = source.root_get(wanted.cid)
    except LookupError:
        _unsealed_require(source)
        is_cached = "only-if-cached" in request.headers.get("Cache-Control", "")
        raise GatewayRefusal(
            412 if is_cached else 404, gettext("this block can be retrieved from no piece here")
        ) from None
    try:
        return path_walk(
            lambda cid: root if cid == wanted.cid else source.store.get(cid), wanted.cid, list(wanted.path)
        )
    except PathMissing as missing:
        reason = gettext("there is no {name} on this path").format(name=repr(missing.args[0])[:100])
        raise GatewayRefusal(404, reason) from None
    except LookupError:
        _unsealed_require(source)
        raise GatewayRefusal(
            404, gettext("a block on this path can be retrieved from no piece here")
        ) from None
    except BadDag as bad:
        raise GatewayRefusal(
            404, gettext("a block on this path cannot be read: {bad}").format(bad=bad)
        ) from None


def _unsealed_require(source: Source) -> None:
    """Raise BlockSealed if a block is missing that can be unsealed."""
    if source.store.sealed is not None:
        raise BlockSealed(source.store.sealed.piece) from None


def _car(
    request: HttpRequest, source: Source, wanted: Wanted, found: list[Found], address: str
) -> tuple[DiskAnswer, HeldChunks | None]:
    chunks = None
    if request.method != "HEAD":
        chunks = HeldChunks(_sections(source, wanted, found), address, miner=source.miner)
    answer = DiskAnswer(chunks or iter(()))
    answer["Accept-Ranges"] = "none"
    answer.wait_s, answer.least_rate = wait_s, READ_RATE
    return _headed(answer, wanted), chunks


def _sections(source: Source, wanted: Wanted, found: list[Found]) -> Iterator[bytes]:
    """Yield a CAR.  Raises StreamCut where a block below its root is missing or cannot be followed."""
    store, pending, size = source.store, [header_write([found[-1].cid])], 0
    sent = NoneSent() if wanted.has_dups else store
    try:
        for cid, data in dag_walk(store.get, found, scope=wanted.scope, span=wanted.span, sent=sent):
            pending.append(section_write(cid, data))
            size += len(data)
            if size >= CHUNK_BYTES:
                yield b"".join(pending)
                pending, size = [], 0
    except (LookupError, BadDag) as error:
        yield b"".join(pending)
        log.info("car_cut", path=wanted.content_path[:200], reason=str(error)[:200])
        if store.sealed is not None:  # for whoever tries again
            with stream_connection(), suppress(DomainError):
                _unseal(store.sealed)
        raise StreamCut from None
    with stream_connection():
        _reads_note(store)
    if pending:
        yield b"".join(pending)


def _reads_note(store: BlockStore) -> None:
    """Note which copies are read that were unsealed for whoever retrieves them."""
    for row in store.rows_recent():
        copy_read_note(row.piece, read_at=row.copy_read_at, now=clock.now())


def _unseal(row: ServedIndex) -> None:
    """Order a piece to be unsealed, if its miner does that.  Raises DomainError."""
    piece = piece_unsealable(Q(pk=row.piece))
    if piece is not None:
        retrieval_unseal_request(piece, now=clock.now())


def _headed(answer: Answer, wanted: Wanted) -> Answer:
    """Set the headers that every answer of a block has."""
    answer["Content-Type"] = wanted.content_type
    answer["Content-Disposition"] = f'attachment; filename="{wanted.filename}"'
    answer["ETag"] = wanted.etag
    answer["Cache-Control"] = FOREVER
    answer["X-Content-Type-Options"] = "nosniff"
    answer["X-Ipfs-Path"] = wanted.content_path
    answer["X-Ipfs-Roots"] = wanted.name
    answer["Access-Control-Allow-Origin"] = "*"  # clients in browsers; nobody's session counts here
    if not wanted.is_in_address:
        answer["Content-Location"] = wanted.location
        answer["Vary"] = "Accept"
    return answer
