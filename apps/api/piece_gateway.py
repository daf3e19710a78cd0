"""Retrieval: the raw bytes of active pieces for anybody, of the miners whose page *Market* says so.

Source: FRC-0066, https://github.com/ipfs/specs/blob/main/src/http-gateways/piece-gateway.md, as boost and
Curio serve it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_etags
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from apps.api.callers import request_source
from apps.api.errors import RangeUnsatisfiable
from apps.api.v1.piece_data import data_response, etag_of, range_requested
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.core.metrics import RETRIEVALS, RETRIEVED_BYTES
from apps.core.streams import DiskAnswer, Throttle
from apps.pieces.data.ranges import PieceBytes, piece_data
from apps.pieces.errors import PieceSealed, PieceUnknown
from apps.pieces.selectors import piece_name, piece_retrievable, piece_unsealable
from apps.pieces.services.restored_data import copy_read_note
from apps.pieces.services.retrieval_counts import limit_wait_read, retrieved_add
from apps.sectors.errors.runs import NotUnsealed, UnsealFailed, UnsealsUnderWay
from apps.sectors.services.runs.unsealing import retrieval_unseal_request
from poolsite.filecoin.cids import BadCid, cid_parse
from poolsite.network_addresses import source_of

if TYPE_CHECKING:
    from apps.pieces.models import Piece

ANSWERS_MAX: Final = 32
"""Answers at a time in one web process."""
ANSWERS_PER_ADDRESS: Final = 4
"""Of these to one network address: whoever reads slowly leaves room for others."""
READ_RATE: Final = 64 << 10
"""Bytes a second that whoever has a slot reads over all, beside a minute."""
COUNTED_BYTES: Final = 64 << 20
"""After so many an answer's bytes are counted for its address, before its end."""
RETRY_AFTER_S: Final = 5
TAGS_MAX: Final = 10_000
"""Characters of a list of ETags that are read."""
UNSEAL_AGAIN_S: Final = 300
"""After which somebody asks again for a piece that is unsealed."""
FOREVER: Final = "public, max-age=29030400, immutable"
"""As the specification has it: other bytes would have another CID."""


class Slots:
    """Answers under way, by network address; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def acquire(self, address: str) -> bool:
        """Return whether there was a slot, which is taken now."""
        with self._lock:
            is_free = self._counts.total() < ANSWERS_MAX and self._counts[address] < ANSWERS_PER_ADDRESS
            if is_free:
                self._counts[address] += 1
            return is_free

    def release(self, address: str) -> None:
        """Free a slot."""
        with self._lock:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]


SLOTS: Final = Slots()
"""This process' slots.  (Module state: every request of it shares the machine's disks and sockets.)"""


THROTTLE: Final = Throttle()
"""Shared by this process' retrievals.  (Module state: as the slots.)"""


class HeldChunks:
    """Chunks of an answer that holds a slot until it is closed: read to its end or not."""

    _address: str | None = None

    def __init__(self, chunks: Iterator[bytes], address: str, *, miner: str) -> None:
        self._chunks = chunks
        self._bytes = RETRIEVED_BYTES.labels(miner)
        RETRIEVALS.labels(miner).inc()
        self._miner, self._uncounted = miner, 0
        self._address = address

    def __iter__(self) -> HeldChunks:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Return the next chunk."""
        try:
            chunk = next(self._chunks)
        except BaseException:  # Django closes no answer that fails
            self.close()
            raise
        self._bytes.inc(len(chunk))
        self._uncounted += len(chunk)
        if self._uncounted >= COUNTED_BYTES:
            self._count()
        return chunk

    def _count(self) -> None:
        if self._address is not None and self._uncounted:
            retrieved_add(self._miner, network=self._address, count=self._uncounted, now=clock.now())
        self._uncounted = 0

    def close(self) -> None:
        """Free the slot and close the file; once more is fine."""
        if self._address is not None:
            self._count()
            SLOTS.release(self._address)
            self._address = None
        self._chunks = iter(())

    def __del__(self) -> None:
        """Free the slot of an answer that was never sent, and so never closed."""
        self.close()


@csrf_exempt  # nothing is changed: a POST is told which methods there are
@require_safe
def piece_retrieve(request: HttpRequest, cid: str) -> HttpResponse | DiskAnswer:
    """Return the bytes of a piece, or one `Range` of them."""
    try:
        cid_parse(cid)
    except BadCid as bad:
        return refusal(400, gettext("{cid} is no CID: {bad}").format(cid=cid[:100], bad=bad))
    try:
        piece = piece_retrievable(cid)
        if is_unmodified(request, etag_of(piece)):
            return HttpResponse(status=304, headers={"ETag": etag_of(piece), "Cache-Control": FOREVER})
        requested = range_requested(request, piece) if request.method == "GET" else None
        found = piece_data(piece, requested)
    except (PieceUnknown, PieceSealed):
        return sealed_answer(request, _sealed_named(cid))
    except RangeUnsatisfiable as beyond:
        return refusal(416, beyond.reason, **{"Content-Range": f"bytes */{beyond.size}"})
    address = source_of(request_source(request))
    if request.method == "HEAD":
        headers = data_response(piece, found, None).headers
        return HttpResponse(headers={**headers, "Cache-Control": FOREVER})
    limit = piece.miner.market.retrieval_day_bytes
    if (over := over_limit(str(piece.miner), address, limit=limit)) is not None:
        return over
    copy_read_note(piece.pk, read_at=piece.copy_read_at, now=clock.now())
    if not SLOTS.acquire(address):
        wait = {"Retry-After": str(RETRY_AFTER_S)}
        return refusal(429, gettext("too many retrievals are under way: try again later"), **wait)
    held = PieceBytes(found.count, HeldChunks(found.chunks, address, miner=str(piece.miner)))
    answer = data_response(piece, held, requested)
    answer["Cache-Control"] = FOREVER
    answer.wait_s, answer.least_rate = wait_s, READ_RATE
    return answer


def _sealed_named(cid: str) -> Piece | None:
    try:
        return piece_unsealable(piece_name(cid).committed)
    except PieceUnknown:  # a CID that names no piece at all
        return None


def sealed_answer(request: HttpRequest, piece: Piece | None) -> HttpResponse:
    """Return the answer where no unsealed copy is here; a GET has it unsealed, if its miner does that."""
    if piece is None:
        return refusal(404, gettext("no unsealed copy of this piece can be retrieved here"))
    reason = gettext("this piece is unsealed when it is asked for: it takes minutes to hours, try again")
    if request.method == "GET":
        try:
            retrieval_unseal_request(piece, now=clock.now())
        except UnsealsUnderWay:
            reason = gettext("other pieces are unsealed first: try again later")
        except (NotUnsealed, UnsealFailed):
            return refusal(404, gettext("no unsealed copy of this piece can be retrieved here"))
        except DomainError:  # no room for its bytes
            reason = gettext("there is no room to unseal this piece now: try again later")
    return refusal(503, reason, **{"Retry-After": str(UNSEAL_AGAIN_S)})


def over_limit(miner: str, address: str, *, limit: int) -> HttpResponse | None:
    """Return the refusal of an address that retrieved a miner's bytes of a day; None: it did not."""
    wait = limit_wait_read(miner, network=address, limit=limit, now=clock.now())
    if not wait:
        return None
    reason = gettext("this address has retrieved its bytes of today: try again tomorrow (UTC)")
    return refusal(429, reason, **{"Retry-After": str(wait)})


def is_unmodified(request: HttpRequest, etag: str, *, exists: bool = True) -> bool:
    """Return whether the caller has these very bytes (`If-None-Match`): the ETag is in its list.

    Weak ETags count as strong ones (RFC 9110, 13.1.2).  `*` counts if the bytes are known to exist here.
    """
    tags = parse_etags(request.headers.get("If-None-Match", "")[:TAGS_MAX])
    return (exists and "*" in tags) or etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}


def wait_s(count: int) -> float:
    """Return after how many seconds so many bytes may be sent, by the pool's rate for retrievals."""
    return THROTTLE.wait_s(count, rate=settings.PIECE_RETRIEVAL_RATE)


def refusal(status: int, reason: str, **headers: str) -> HttpResponse:
    """Return a reason as plain text."""
    return HttpResponse(f"{reason}\n", status=status, headers=headers, content_type="text/plain")
