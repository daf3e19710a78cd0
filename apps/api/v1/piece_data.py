"""The raw bytes of pieces over REST, whole or a range of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import RangeUnsatisfiable
from apps.api.v1.views import PoolView, RawRenderer
from apps.core import clock
from apps.core.streams import DiskAnswer
from apps.pieces.data.ranges import PieceBytes, PieceRange, piece_data
from apps.pieces.errors import PieceSealed
from apps.pieces.selectors import piece_get
from apps.sectors.services.runs.unsealing import unseal_request

if TYPE_CHECKING:
    from apps.pieces.models import Piece
from apps.api.v1.pieces import PieceOutput, piece_body

UNSEAL_AGAIN_S: Final = 5
"""After which a caller asks again for bytes that are unsealed."""
RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")

RANGE_HEADERS: Final = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER) for name in ("Range", "If-Range")
]
BYTES: Final = {(status, "application/octet-stream"): OpenApiTypes.BINARY for status in (200, 206)}


class PieceDataView(PoolView):
    """`/pieces/{piece_cid}/data`: the raw bytes."""

    scopes = ("", "sealer")
    filters = ()
    renderer_classes = [JSONRenderer, RawRenderer]

    @extend_schema(
        parameters=RANGE_HEADERS,
        responses=BYTES | {(202, "application/json"): PieceOutput},
    )
    def get(self, request: Request, piece_cid: str) -> Any:
        """Return the bytes, or a `Range` of them; 202 while they are being unsealed: try again."""
        piece = piece_get(self.principal, piece_cid)
        requested = range_requested(request, piece)
        try:
            found = piece_data(piece, requested)
        except PieceSealed:
            unseal_request(piece, now=clock.now())
            return Response(piece_body(piece), status=202, headers={"Retry-After": str(UNSEAL_AGAIN_S)})
        return data_response(piece, found, requested)


class PieceKeptView(PoolView):
    """`/pieces/{piece_cid}/kept`: the raw bytes where they are kept; `/piecestore` sends here."""

    scopes = ("", "sealer")
    filters = ()
    renderer_classes = [JSONRenderer, RawRenderer]

    @extend_schema(
        parameters=RANGE_HEADERS,
        responses=BYTES,
    )
    def get(self, request: Request, piece_cid: str) -> Any:
        """Return the bytes, or a `Range` of them; 409 if they are only in a sealed sector."""
        piece = piece_get(self.principal, piece_cid)
        requested = range_requested(request, piece)
        return data_response(piece, piece_data(piece, requested), requested)


def data_response(piece: Piece, found: PieceBytes, requested: PieceRange | None) -> DiskAnswer:
    """Return an answer with a piece's bytes."""
    answer = DiskAnswer(found.chunks, status=200 if requested is None else 206)
    answer["Content-Type"] = "application/octet-stream"
    answer["Content-Length"] = str(found.count)
    answer["Accept-Ranges"] = "bytes"
    answer["ETag"] = etag_of(piece)
    answer["Content-Disposition"] = f'attachment; filename="{piece.piece_cid}"'
    if requested is not None:
        last = requested.first + requested.count - 1
        answer["Content-Range"] = f"bytes {requested.first}-{last}/{piece.payload_size}"
    return answer


def etag_of(piece: Piece) -> str:
    """Return the name of a piece's bytes."""
    return f'"{piece.piece_cid}"'


def range_requested(request: Request | HttpRequest, piece: Piece) -> PieceRange | None:
    """Return the range that a caller asks for; None where it goes on with what are other bytes (`If-Range`).

    Raises RangeUnsatisfiable.
    """
    if request.headers.get("If-Range", etag_of(piece)) != etag_of(piece):
        return None
    return range_of(request.headers.get("Range", ""), piece.payload_size or 0)


def range_of(header: str, size: int) -> PieceRange | None:
    """Read one range of bytes; None without one, or for a form that we do not serve, as RFC 9110 has it.

    Raises RangeUnsatisfiable.
    """
    found = RANGE.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return None
    if not found[1]:
        count = min(int(found[2]), size)
        first = size - count
    else:
        first = int(found[1])
        last = min(int(found[2]) if found[2] else size - 1, size - 1)
        count = last - first + 1
        if found[2] and int(found[2]) < first:
            return None
    if count < 1:
        raise RangeUnsatisfiable(size)
    return PieceRange(first, count)


urlpatterns = [
    path("pieces/<str:piece_cid>/data", PieceDataView.as_view(), name="v1-piece-data"),
    path("pieces/<str:piece_cid>/kept", PieceKeptView.as_view(), name="v1-piece-kept"),
]
