"""Pieces over REST: lists and one piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT
from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView
from apps.core.reasons import code_of
from apps.pieces.data.sources import url_shown
from apps.pieces.selectors import PieceFilters, piece_named, piece_only, piece_status, pieces_visible
from apps.pieces.services.indexes import index_renew
from apps.pieces.services.uploads import piece_remove
from apps.pieces.states import IndexOutcome, PiecePurpose, PieceState

if TYPE_CHECKING:
    from apps.pieces.models import Piece


class BlockIndexOutput(serializers.Serializer[Any]):
    """A piece as a CAR, whose blocks are retrieved by CID."""

    outcome = serializers.ChoiceField(choices=IndexOutcome.values, help_text="empty: it is not known yet")
    is_due = serializers.BooleanField(help_text="whether it is to be made anew")
    blocks = serializers.IntegerField(help_text="blocks that can be retrieved")
    left_out = serializers.IntegerField(help_text="blocks that cannot: too large, or with an unknown hash")
    reason = serializers.CharField(help_text="why there is none, or what a sample found")
    reason_code = serializers.CharField(help_text=CODE_HELP)
    made_at = serializers.DateTimeField(allow_null=True)


class PieceOutput(serializers.Serializer[Any]):
    """One piece."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    piece_cid = serializers.CharField(allow_null=True)
    piece_cid_v2 = serializers.CharField(
        allow_null=True, help_text="with `payload_size`; null in a larger place than its bytes need"
    )
    padded_size = serializers.IntegerField(allow_null=True)
    payload_size = serializers.IntegerField(allow_null=True)
    file_name = serializers.CharField(allow_null=True, help_text="null: none was given")
    uploader = serializers.CharField(
        allow_null=True, help_text="who sent it or had it downloaded; of a deal's data its client"
    )
    state = serializers.ChoiceField(choices=PieceState.values)
    received = serializers.IntegerField()
    sector = serializers.IntegerField(allow_null=True, help_text="number of its sector")
    offset = serializers.IntegerField(allow_null=True, help_text="padded bytes from the start of the sector")
    active = serializers.BooleanField()
    is_stored = serializers.BooleanField(help_text="whether its unsealed bytes are stored")
    client = serializers.CharField(allow_null=True)
    allocation = serializers.IntegerField(allow_null=True)
    deal = serializers.IntegerField(allow_null=True)
    start_epoch = serializers.IntegerField(allow_null=True)
    purpose = serializers.ChoiceField(choices=PiecePurpose.values, help_text="which sectors it goes into")
    source_url = serializers.CharField(help_text="without its query")
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    index = BlockIndexOutput(allow_null=True, help_text="null: it was not looked at yet")
    created_at = serializers.DateTimeField()


class PiecePage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = PieceOutput(many=True)
    next = serializers.CharField(allow_null=True)


def index_body(piece: Piece) -> dict[str, Any] | None:
    """Return what a piece holds as a CAR; None until that was looked at."""
    index = piece.index
    if index is None:
        return None
    names = ("outcome", "is_due", "blocks", "left_out", "made_at")
    shown = {name: getattr(index, name) for name in names}
    return {**shown, "reason": index.reason, "reason_code": code_of(index.reason)}


def piece_body(piece: Piece) -> dict[str, Any]:
    """Return one piece as JSON."""
    names = ("payload_size", "state", "received", "offset", "allocation", "deal", "start_epoch")
    return {
        "uuid": str(piece.uuid),
        "miner": piece.miner.address,
        "piece_cid": piece.piece_cid or None,
        "piece_cid_v2": piece.piece_cid_v2 or None,
        "padded_size": piece.padded_size or None,
        "file_name": piece.file_name or None,
        "uploader": piece.actor or None,
        "sector": piece.sector_number,
        "active": piece.state == PieceState.ACTIVE,
        "is_stored": bool(piece.piece_cid) and piece.has_data,
        "client": None if piece.client is None else f"f0{piece.client}",
        "purpose": piece.purpose,
        "source_url": url_shown(piece.source_url),
        "error": piece.error,
        "error_code": code_of(piece.error),
        "index": index_body(piece),
        "created_at": piece.created_at,
        **{name: getattr(piece, name) for name in names},
    }


class PiecesView(ListView):
    """`/pieces`: the caller's pieces."""

    noun = PieceFilters

    @extend_schema(parameters=[*parameters_of(PieceFilters), CURSOR, LIMIT], responses=PiecePage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List pieces, newest first; `cursor` is the `next` of the previous page."""
        rows, following = self.newest(pieces_visible(self.principal))
        return Response({"results": [piece_body(row) for row in rows], "next": following})


class PieceView(PoolView):
    """`/pieces/{piece_cid}`: one piece by its commitment."""

    filters = ()

    @extend_schema(responses=PieceOutput)
    def get(self, request: Request, piece_cid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its state and sector, or why it failed."""
        return Response(piece_body(piece_status(self.principal, piece_cid)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, piece_cid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Remove it, unless it is in a sector; if there are several, remove one by its upload's uuid."""
        piece_remove(piece_only(self.principal, piece_cid), by=self.principal)
        return Response(status=204)


class PieceIndexView(PoolView):
    """`/pieces/{piece_cid}/index`: where the blocks of a CAR lie."""

    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses={202: PieceOutput})
    def post(self, request: Request, piece_cid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Index its blocks anew with the next head; if there are several, name one by its upload's uuid."""
        piece = piece_named(self.principal, piece_cid)
        index_renew(piece, by=self.principal)
        return Response(piece_body(piece_named(self.principal, piece_cid)), status=202)


urlpatterns = [
    path("pieces", PiecesView.as_view(), name="v1-pieces"),
    path("pieces/<str:piece_cid>/index", PieceIndexView.as_view(), name="v1-piece-index"),
    path("pieces/<str:piece_cid>", PieceView.as_view(), name="v1-piece"),
]
