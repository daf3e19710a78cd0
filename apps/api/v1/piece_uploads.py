"""Pieces in over REST: raw bytes, whole or in parts, or from a URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.http import JsonResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.errors import WrongType, error_body
from apps.api.v1.pagination import header_number, number_parameter
from apps.api.v1.pieces import PieceOutput, piece_body
from apps.api.v1.serializers import AddressField, ErrorSerializer, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.core.streams import STREAM_MAX_BYTES
from apps.miners.selectors.miners import miner_get
from apps.pieces.selectors import upload_get
from apps.pieces.services.fetches import piece_fetch_begin
from apps.pieces.services.uploads import (
    PieceSpec,
    part_upload,
    piece_purpose_set,
    piece_remove,
    piece_upload,
    upload_begin,
)
from apps.pieces.states import PiecePurpose
from apps.sectors.selectors.first_epochs import first_data_epoch_read
from poolsite.filecoin.address import ID, address_parse

if TYPE_CHECKING:
    from apps.miners.models import Miner

SPAN: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")


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


class PartRefusedOutput(ErrorSerializer):
    """A part that was refused."""

    received = serializers.IntegerField(
        required=False, help_text="with `bad_offset`: offset of the next part"
    )


class QuotaRefusedOutput(ErrorSerializer):
    """A piece that was refused; the numbers come with `piece_quota_exceeded`."""

    limit = serializers.IntegerField(required=False, help_text="most bytes of the tenant's pieces")
    used = serializers.IntegerField(required=False, help_text="bytes that they take")
    requested = serializers.IntegerField(
        required=False, help_text="bytes of this one, the most without a size"
    )


class PurposeInput(InputSerializer):
    """Which sectors a piece goes into."""

    purpose = serializers.ChoiceField(choices=PiecePurpose.values)


class FetchInput(TermsInput):
    """A piece for the console to download."""

    url = serializers.CharField(max_length=2_000)
    piece_cid = serializers.CharField(required=False, max_length=100)
    padded_size = serializers.IntegerField(required=False)
    payload_size = serializers.IntegerField(required=False, help_text="raw bytes; other numbers are refused")


FILE_NAME: Final = OpenApiParameter(
    "file_name", str, description="name of the file, without its folder; at most 255 bytes"
)
TERMS: Final = [
    OpenApiParameter("client", str),
    number_parameter("allocation", least=0),
    number_parameter("deal", least=0),
    number_parameter("start_epoch", least=0),
    OpenApiParameter("purpose", str, enum=PiecePurpose.values),
    OpenApiParameter("Piece-Cid", str, OpenApiParameter.HEADER),
    OpenApiParameter("Piece-Size", int, OpenApiParameter.HEADER, description="padded bytes"),
]


def _timed(miner: Miner, terms: dict[str, Any]) -> dict[str, Any]:
    """Return terms with the first epoch at which the data can be active, where they name the last."""
    if terms.get("start_epoch") is None:
        return terms
    purpose = terms.get("purpose", PiecePurpose.ANY)
    return terms | {"first_epoch": first_data_epoch_read(miner, purpose=purpose)}


class UploadView(PoolView):
    """A route whose body is read as it comes; the same bytes again are the same piece, without any key."""

    body_max_bytes = STREAM_MAX_BYTES
    streams_body = True
    write_parameters: ClassVar[tuple[str, ...] | None] = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer without a digest of the body, and never parse it."""
        if request.content_type.startswith("multipart/"):
            return JsonResponse(error_body(WrongType("send the raw bytes, not a form")), status=415)
        return self.answer_plain(request, *args, **kwargs)

    def spec(self, request: Request, miner: Miner, *, payload_size: int | None) -> PieceSpec:
        """Read what a caller says of a piece for a miner.  Raises BadValue."""
        given = request.query_params
        terms = TermsInput(data={key: given[key] for key in given if key not in ("token", "file_name")})
        terms.is_valid(raise_exception=True)
        return PieceSpec(
            piece_cid=request.headers.get("Piece-Cid", ""),
            padded_size=header_number(request, "Piece-Size"),
            payload_size=payload_size,
            file_name=given.get("file_name", ""),
            **_timed(miner, terms.validated_data),
        )


class MinerPiecesView(UploadView):
    """`/miners/{address}/pieces`: data for a miner's sectors."""

    @extend_schema(
        parameters=[*TERMS, FILE_NAME, OpenApiParameter("Upload-Length", int, OpenApiParameter.HEADER)],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: PieceOutput, 201: PieceOutput, 409: QuotaRefusedOutput},
    )
    def post(self, request: Request, address: str) -> Response:
        """Upload a piece: the body is its raw bytes.

        With `Upload-Length` and no body, start a resumable upload; its parts go to `/pieces/uploads/{uuid}`.
        """
        miner = miner_get(self.principal, address)
        announced = header_number(request, "Upload-Length")
        length = request.META.get("CONTENT_LENGTH")
        if announced is not None:
            if length and int(length):
                raise BadValue(gettext("goes without a body: send the bytes as parts"), field="Upload-Length")
            spec = self.spec(request, miner, payload_size=announced)
            return created(piece_body(upload_begin(miner, spec=spec, by=self.principal, is_resumable=True)))
        size = int(length) if length else None
        piece, is_new = piece_upload(
            miner,
            spec=self.spec(request, miner, payload_size=size),
            source=request._request,
            by=self.principal,
        )
        return Response(piece_body(piece), status=201 if is_new else 200)


class MinerPiecesFetchView(PoolView):
    """`/miners/{address}/pieces:fetch`: data that lies elsewhere."""

    @extend_schema(
        request=FetchInput, responses={200: PieceOutput, 201: PieceOutput, 409: QuotaRefusedOutput}
    )
    def post(self, request: Request, address: str) -> Response:
        """Download a piece from a URL; its state is FETCHING until all bytes are received.

        200 and nothing to download: the announced piece is here, or the same URL is being downloaded.
        """
        body = FetchInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = dict(body.validated_data)
        url = data.pop("url")
        miner = miner_get(self.principal, address)
        piece, is_new = piece_fetch_begin(
            miner, spec=PieceSpec(**_timed(miner, data)), url=url, by=self.principal
        )
        return Response(piece_body(piece), status=201 if is_new else 200)


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
        responses={200: PieceOutput, 409: PartRefusedOutput},
    )
    def patch(self, request: Request, uuid: str) -> Response:
        """Upload the next part, which starts at `Upload-Offset`, or where `Content-Range` says."""
        piece = upload_get(self.principal, uuid)
        offset = part_offset(request, size=piece.payload_size)
        piece, _ = part_upload(piece, source=request._request, offset=offset, by=self.principal)
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
            piece_body(piece_purpose_set(piece, purpose=body.validated_data["purpose"], by=self.principal))
        )


def part_offset(request: Request, *, size: int | None) -> int:
    """Return where a part of an upload of a `size` begins.  Raises BadValue if its headers do not fit."""
    offset, text = header_number(request, "Upload-Offset"), request.headers.get("Content-Range")
    if text is None:
        if offset is None:
            raise BadValue(gettext("specify where this part starts"), field="Upload-Offset")
        return offset
    span = SPAN.fullmatch(text)
    if span is None:
        raise BadValue(gettext("must be 'bytes first-last/total'"), field="Content-Range")
    first, last = int(span[1]), int(span[2])
    length = request.META.get("CONTENT_LENGTH") or str(last - first + 1)
    if last < first or length != str(last - first + 1) or span[3] not in ("*", str(size)):
        raise BadValue(gettext("does not fit the body or the upload's size"), field="Content-Range")
    if offset not in (None, first):
        raise BadValue(gettext("starts elsewhere than Upload-Offset"), field="Content-Range")
    return first


urlpatterns = [
    path("miners/<str:address>/pieces", MinerPiecesView.as_view(), name="v1-miner-pieces"),
    path("miners/<str:address>/pieces:fetch", MinerPiecesFetchView.as_view(), name="v1-miner-pieces-fetch"),
    path("pieces/uploads/<str:uuid>", PieceUploadView.as_view(), name="v1-piece-upload"),
    path("pieces/uploads/<str:uuid>/purpose", PiecePurposeView.as_view(), name="v1-piece-purpose"),
]
