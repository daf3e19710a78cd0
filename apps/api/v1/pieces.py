"""Pieces over REST: raw bytes in, whole or in parts, from a URL; lists; the bytes out again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django.http import JsonResponse
from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import RangeUnsatisfiable, WrongType, error_body
from apps.api.v1.pagination import header_number, number
from apps.api.v1.serializers import AddressField, InputSerializer
from apps.api.v1.views import PoolView, RawRenderer, created
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.streams import STREAM_MAX_BYTES, DiskAnswer
from apps.miners.selectors import miner_get
from apps.pieces.data import PieceRange, piece_data
from apps.pieces.errors import PieceSealed
from apps.pieces.selectors import PieceFilter, piece_get, piece_status, pieces_page, upload_get
from apps.pieces.services.retention import piece_fetch_begin
from apps.pieces.services.uploads import (
    PieceSpec,
    part_upload,
    piece_purpose_set,
    piece_remove,
    piece_upload,
    upload_begin,
)
from apps.pieces.states import PiecePurpose, PieceState
from apps.sectors.services.runs.unsealing import unseal_request
from poolsite.filecoin.address import ID, address_parse

if TYPE_CHECKING:
    from apps.pieces.data import PieceBytes
    from apps.pieces.models import Piece

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
UNSEAL_AGAIN_S: Final = 5
"""After which a caller asks again for bytes that are unsealed."""
SPAN: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class PieceOutput(serializers.Serializer[Any]):
    """One piece."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    piece_cid = serializers.CharField(allow_null=True)
    padded_size = serializers.IntegerField(allow_null=True)
    payload_size = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(choices=PieceState.values)
    received = serializers.IntegerField()
    sector = serializers.IntegerField(allow_null=True, help_text="number of its sector")
    offset = serializers.IntegerField(allow_null=True, help_text="padded bytes from the start of the sector")
    active = serializers.BooleanField()
    kept = serializers.BooleanField(help_text="whether its bytes are kept unsealed")
    client = serializers.CharField(allow_null=True)
    allocation = serializers.IntegerField(allow_null=True)
    deal = serializers.IntegerField(allow_null=True)
    start_epoch = serializers.IntegerField(allow_null=True)
    purpose = serializers.ChoiceField(choices=PiecePurpose.values, help_text="which sectors it goes into")
    source_url = serializers.CharField()
    error = serializers.CharField()
    created_at = serializers.DateTimeField()


class PiecePage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = PieceOutput(many=True)
    next = serializers.CharField(allow_null=True)


class TermsInput(InputSerializer):
    """Under what a piece is to be activated; none of it: as data without a deal."""

    client = AddressField(required=False, help_text="f0 address of the client whose allocation it claims")
    allocation = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)
    deal = serializers.IntegerField(
        required=False, min_value=0, max_value=2**63 - 1, help_text="deal ID in the built-in market"
    )
    start_epoch = serializers.IntegerField(required=False, min_value=0, max_value=2**53)
    purpose = serializers.ChoiceField(
        choices=PiecePurpose.values, required=False, help_text="`snap-up`: into committed sectors only"
    )

    def validate_client(self, value: str) -> int:
        """Read the actor's id."""
        parsed = address_parse(value)
        if parsed.protocol != ID:
            raise serializers.ValidationError(gettext("must be an f0 address"))
        return int(parsed.actor_id)


class PurposeInput(InputSerializer):
    """Which sectors a piece goes into."""

    purpose = serializers.ChoiceField(choices=PiecePurpose.values)


class FetchInput(TermsInput):
    """A piece for the console to download."""

    url = serializers.CharField(max_length=2_000)
    piece_cid = serializers.CharField(required=False, max_length=100)
    padded_size = serializers.IntegerField(required=False)


TERMS: Final = [
    OpenApiParameter("client", str),
    OpenApiParameter("allocation", int),
    OpenApiParameter("deal", int),
    OpenApiParameter("start_epoch", int),
    OpenApiParameter("purpose", str, enum=PiecePurpose.values),
    OpenApiParameter("Piece-Cid", str, OpenApiParameter.HEADER),
    OpenApiParameter("Piece-Size", int, OpenApiParameter.HEADER, description="padded bytes"),
]


def piece_body(piece: Piece) -> dict[str, Any]:
    """Write one piece."""
    names = ("payload_size", "state", "received", "offset", "allocation", "deal", "start_epoch")
    return {
        "uuid": str(piece.uuid),
        "miner": piece.miner.address,
        "piece_cid": piece.piece_cid or None,
        "padded_size": piece.padded_size or None,
        "sector": piece.sector_number,
        "active": piece.state == PieceState.ACTIVE,
        "kept": bool(piece.piece_cid) and piece.has_data,
        "client": None if piece.client is None else f"f0{piece.client}",
        "purpose": piece.purpose,
        "source_url": piece.source_url,
        "error": piece.error,
        "created_at": piece.created_at,
        **{name: getattr(piece, name) for name in names},
    }


class UploadView(PoolView):
    """A route whose body is read as it comes; the same bytes again are the same piece, without any key."""

    body_max_bytes = STREAM_MAX_BYTES
    write_parameters = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer without a digest of the body, and never parse it."""
        if request.content_type.startswith("multipart/"):
            return JsonResponse(error_body(WrongType("send the raw bytes, not a form")), status=415)
        return self.answer_plain(request, *args, **kwargs)

    def spec(self, request: Request, *, payload_size: int | None) -> PieceSpec:
        """Read what a caller says of a piece.  Raises BadValue."""
        terms = TermsInput(data={key: text for key, text in request.query_params.items() if key != "token"})
        terms.is_valid(raise_exception=True)
        return PieceSpec(
            piece_cid=request.headers.get("Piece-Cid", ""),
            padded_size=header_number(request, "Piece-Size"),
            payload_size=payload_size,
            **terms.validated_data,
        )


class MinerPiecesView(UploadView):
    """`/miners/{address}/pieces`: data for a miner's sectors."""

    @extend_schema(
        operation_id="v1_miner_pieces_add",
        parameters=[*TERMS, OpenApiParameter("Upload-Length", int, OpenApiParameter.HEADER)],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: PieceOutput, 201: PieceOutput},
    )
    def post(self, request: Request, address: str) -> Response:
        """Upload a piece: the body is its raw bytes.

        With `Upload-Length` and no body, start a resumable upload; its parts go to `/pieces/uploads/{uuid}`.
        """
        miner = miner_get(self.principal, address)
        announced = header_number(request, "Upload-Length")
        if announced is not None:
            spec = self.spec(request, payload_size=announced)
            return created(piece_body(upload_begin(miner, spec, by=self.principal, is_resumable=True)))
        length = request.META.get("CONTENT_LENGTH")
        size = int(length) if length else None
        piece, is_new = piece_upload(
            miner, self.spec(request, payload_size=size), source=request._request, by=self.principal
        )
        return Response(piece_body(piece), status=201 if is_new else 200)


class MinerPiecesFetchView(PoolView):
    """`/miners/{address}/pieces:fetch`: data that lies elsewhere."""

    @extend_schema(request=FetchInput, responses={201: PieceOutput})
    def post(self, request: Request, address: str) -> Response:
        """Download a piece from a URL; its state is FETCHING until all bytes are received."""
        body = FetchInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        url = given.pop("url")
        miner = miner_get(self.principal, address)
        return created(piece_body(piece_fetch_begin(miner, PieceSpec(**given), url=url, by=self.principal)))


class PieceUploadView(UploadView):
    """`/pieces/uploads/{uuid}`: a piece by the name of its upload."""

    filters = ()

    @extend_schema(responses=PieceOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its progress: `received` is the offset of the next part."""
        return Response(piece_body(upload_get(self.principal, uuid)))

    @extend_schema(
        parameters=[
            OpenApiParameter("Upload-Offset", int, OpenApiParameter.HEADER),
            OpenApiParameter("Content-Range", str, OpenApiParameter.HEADER),
        ],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses=PieceOutput,
    )
    def patch(self, request: Request, uuid: str) -> Response:
        """Upload the next part, which starts at `Upload-Offset`, or where `Content-Range` says."""
        piece = upload_get(self.principal, uuid)
        offset = _offset(request)
        piece, _ = part_upload(piece, request._request, offset=offset, by=self.principal)
        return Response(piece_body(piece))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Remove it, unless it is in a sector."""
        piece_remove(upload_get(self.principal, uuid), by=self.principal)
        return Response(status=204)


class PiecePurposeView(PoolView):
    """`/pieces/uploads/{uuid}/purpose`: into which sectors a piece goes, until it is in one."""

    @extend_schema(request=PurposeInput, responses=PieceOutput)
    def put(self, request: Request, uuid: str) -> Response:
        """Set it."""
        body = PurposeInput(data=request.data)
        body.is_valid(raise_exception=True)
        piece = upload_get(self.principal, uuid)
        return Response(
            piece_body(piece_purpose_set(piece, body.validated_data["purpose"], by=self.principal))
        )


def _offset(request: Request) -> int:
    """Return where a part begins.  Raises BadValue."""
    offset = header_number(request, "Upload-Offset")
    if offset is not None:
        return offset
    span = SPAN.fullmatch(request.headers.get("Content-Range", ""))
    if span is None:
        raise BadValue(gettext("specify where this part starts"), field="Upload-Offset")
    return int(span[1])


class PiecesView(PoolView):
    """`/pieces`: the caller's pieces."""

    filters = ("miner", "state", "cursor", "limit")

    @extend_schema(
        operation_id="v1_pieces_list",
        parameters=[
            OpenApiParameter("miner", str),
            OpenApiParameter("state", str, enum=PieceState.values),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=PiecePage,
    )
    def get(self, request: Request) -> Response:
        """List pieces, newest first; `cursor` is the `next` of the previous page."""
        query = request.query_params
        state = query.get("state", "")
        if state and state not in PieceState.values:
            raise BadValue(gettext("there is no such state"), field="state")
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        before = number(request, "cursor", least=1, default=0, most=10**12)
        wanted = PieceFilter(miner=query.get("miner", ""), state=state, before=before or None)
        rows = pieces_page(self.principal, wanted, limit=limit + 1)
        more = str(rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": [piece_body(row) for row in rows[:limit]], "next": more})


class PieceView(PoolView):
    """`/pieces/{piece_cid}`: one piece by its commitment."""

    filters = ()

    @extend_schema(responses=PieceOutput)
    def get(self, request: Request, piece_cid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its state and sector, or why it failed."""
        return Response(piece_body(piece_status(self.principal, piece_cid)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, piece_cid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Remove it, unless it is in a sector."""
        piece_remove(piece_get(self.principal, piece_cid), by=self.principal)
        return Response(status=204)


class PieceDataView(PoolView):
    """`/pieces/{piece_cid}/data`: the raw bytes."""

    scopes = ("", "sealer")
    filters = ()
    renderer_classes = [JSONRenderer, RawRenderer]

    @extend_schema(
        parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, 202: PieceOutput},
    )
    def get(self, request: Request, piece_cid: str) -> Any:
        """Return the bytes, or a `Range` of them; 202 while they are being unsealed: try again."""
        piece = piece_get(self.principal, piece_cid)
        wanted = range_wanted(request, piece)
        try:
            found = piece_data(piece, wanted)
        except PieceSealed:
            unseal_request(piece, now=clock.now())
            return Response(piece_body(piece), status=202, headers={"Retry-After": str(UNSEAL_AGAIN_S)})
        return data_answer(piece, found, wanted)


class PieceKeptView(PoolView):
    """`/pieces/{piece_cid}/kept`: the raw bytes where they are kept; `/piecestore` sends here."""

    scopes = ("", "sealer")
    filters = ()
    renderer_classes = [JSONRenderer, RawRenderer]

    @extend_schema(
        parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, piece_cid: str) -> Any:
        """Return the bytes, or a `Range` of them; 409 if they are only in a sealed sector."""
        piece = piece_get(self.principal, piece_cid)
        wanted = range_wanted(request, piece)
        return data_answer(piece, piece_data(piece, wanted), wanted)


def data_answer(piece: Piece, found: PieceBytes, wanted: PieceRange | None) -> DiskAnswer:
    """Return an answer with a piece's bytes."""
    answer = DiskAnswer(found.chunks, status=200 if wanted is None else 206)
    answer["Content-Type"] = "application/octet-stream"
    answer["Content-Length"] = str(found.count)
    answer["Accept-Ranges"] = "bytes"
    answer["ETag"] = etag_of(piece)
    answer["Content-Disposition"] = f'attachment; filename="{piece.piece_cid}"'
    if wanted is not None:
        last = wanted.first + wanted.count - 1
        answer["Content-Range"] = f"bytes {wanted.first}-{last}/{piece.payload_size}"
    return answer


def etag_of(piece: Piece) -> str:
    """Return the name of a piece's bytes."""
    return f'"{piece.piece_cid}"'


def range_wanted(request: Request, piece: Piece) -> PieceRange | None:
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
    path("miners/<str:address>/pieces", MinerPiecesView.as_view(), name="v1-miner-pieces"),
    path("miners/<str:address>/pieces:fetch", MinerPiecesFetchView.as_view(), name="v1-miner-pieces-fetch"),
    path("pieces", PiecesView.as_view(), name="v1-pieces"),
    path("pieces/uploads/<str:uuid>", PieceUploadView.as_view(), name="v1-piece-upload"),
    path("pieces/uploads/<str:uuid>/purpose", PiecePurposeView.as_view(), name="v1-piece-purpose"),
    path("pieces/<str:piece_cid>", PieceView.as_view(), name="v1-piece"),
    path("pieces/<str:piece_cid>/data", PieceDataView.as_view(), name="v1-piece-data"),
    path("pieces/<str:piece_cid>/kept", PieceKeptView.as_view(), name="v1-piece-kept"),
]
