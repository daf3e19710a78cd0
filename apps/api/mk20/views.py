"""The routes of market 2.0: each is limited by caller and route, and needs a signature of the client's key.

What is refused is told in plain text, under the number that Curio's clients know.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.encoding import escape_uri_path
from django.utils.http import parse_header_parameters
from django.views.decorators.csrf import csrf_exempt

from apps.api.callers import request_source
from apps.api.errors import http_status
from apps.api.mk20.auth import BadAuth, client_authenticate
from apps.api.mk20.documents import proposal_read, ulid_read
from apps.chain.node.client import page_client
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.market.errors import RETRY, ChunkRefused, DealNeedsNoData, DealRefused, DealUnknown, RefusalKind
from apps.market.selectors.client_tokens import reason_told
from apps.market.selectors.deals import chunks_received, deal_of_client
from apps.market.services.proposals import proposal_decide
from apps.market.services.transfers import (
    chunk_upload,
    chunks_begin,
    client_principal_make,
    deal_upload,
    upload_complete,
)
from apps.market.states import WITHOUT_DATA, DealSource, DealState
from apps.pieces.rules import file_name_or_none
from apps.pieces.states import PieceState
from apps.users.services.rate_limit_buckets import address_request_count

if TYPE_CHECKING:
    from apps.market.models import Deal

log = structlog.get_logger(__name__)

BODY_MAX: Final = 1 << 20
A_SECOND: Final = 50
CHUNKS_A_SECOND: Final = 100
"""Requests of one network address for one route."""
PRODUCTS: Final = ("ddo_v1", "retrieval_v1")
CODES: Final = {
    RefusalKind.BAD_PROPOSAL: 400,
    RefusalKind.UNAUTHORIZED: 401,
    RefusalKind.UNSUPPORTED_SOURCE: 422,
    RefusalKind.UNSUPPORTED_PRODUCT: 423,
    RefusalKind.BAD_PRODUCT: 425,
    RefusalKind.REJECTED: 426,
    RefusalKind.OVERLOADED: 429,
    RefusalKind.BAD_SOURCE: 430,
    RefusalKind.TOO_SHORT: 441,
}
"""Source: filecoin-project/curio market/mk20/types.go DealCode."""


def _refusal(status: int, reason: str) -> HttpResponse:
    return HttpResponse(f"{reason}\n", status=status, content_type="text/plain; charset=utf-8")


def _client_of(request: HttpRequest) -> str:
    """Return the client whose key signed a request.  Raises BadAuth."""
    return client_authenticate(
        request.headers.get("Authorization", ""),
        method=request.method or "",
        path=escape_uri_path(request.path),
        now=clock.now(),
    )


def _refusal_of(error: DomainError) -> HttpResponse:
    """Return what a client is told of a refusal."""
    if isinstance(error, DealRefused):
        return _refusal(CODES[error.kind], error.reason)
    if isinstance(error, DealNeedsNoData):
        return _refusal(404, error.reason)
    if isinstance(error, ChunkRefused):
        return _refusal(404 if error.field == "chunk" else 409, error.reason)
    if isinstance(error, BadValue):
        return _refusal(400, error.reason)
    status = http_status(error)
    return _refusal(status, RETRY if status in (503, 507) else error.reason)


METHODS: Final[dict[Callable[..., Any], tuple[str, ...]]] = {}
"""Methods of each route, by its view."""


def door(*methods: str, a_second: int = A_SECOND) -> Callable[..., Any]:
    """Return a decorator: the route has these methods, so many requests a second, and a client who signed."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt  # no cookie is read here: a signature over method, path and minute lets a client in
        @wraps(view)
        def answered(request: HttpRequest, **names: Any) -> HttpResponse:
            if request.method not in methods:
                return HttpResponse(status=405, headers={"Allow": ", ".join(methods)})
            usage = address_request_count(
                f"mk20.{view.__name__}",
                address=request_source(request),
                capacity=a_second,
                reset_us=1_000_000,
            )
            if usage is not None and usage.is_over:
                return _refusal(429, RETRY)
            if not request.headers.get("Authorization"):
                return _refusal(401, "Missing Authorization header")
            try:
                return view(request, client=_client_of(request), **names)
            except (BadAuth, DealUnknown):  # whose deal it is not, is told nothing of it
                return _refusal(401, "Unauthorized")
            except DomainError as refusal:
                return _refusal_of(refusal)

        METHODS[answered] = methods
        return answered

    return decorate


def document_read(request: HttpRequest) -> Any:
    """Return the JSON of a request.  Raises DealRefused."""
    if request.headers.get("Content-Type", "") != "application/json":
        raise DealRefused("invalid content type")
    body = request.body
    if len(body) > BODY_MAX:
        raise DealRefused("request body too large")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DealRefused(f"invalid json: {error}") from None


@door("POST")
def deal(request: HttpRequest, *, client: str) -> HttpResponse:
    """Decide on a proposal: 200 and it is accepted, else the reason."""
    try:
        proposal_decide(
            proposal_read(document_read(request), client=client), client=page_client(), now=clock.now()
        )
    except DealRefused as refusal:
        return HttpResponse(
            f"Reason: {refusal.reason}",
            status=CODES[refusal.kind],
            content_type="text/plain; charset=utf-8",
        )
    return HttpResponse("Reason: ", content_type="text/plain; charset=utf-8")


@door("GET")
def deal_status(request: HttpRequest, *, client: str, name: str) -> HttpResponse:  # noqa: ARG001  # Django's
    """Return how far a client's deal is."""
    row = deal_of_client(ulid_read(name), client=client)
    message = str(reason_told(row)) if row.state == DealState.FAILED else ""
    return JsonResponse({"ddo_v1": {"status": status_word(row), "errorMsg": message}})


UPLOADING: Final = "uploading"
STATUS_WORDS: Final = {
    DealState.ACCEPTED: "accepted",
    DealState.TRANSFERRING: "processing",
    DealState.UNPUBLISHED: "processing",
    DealState.PUBLISHING: "processing",
    DealState.VERIFIED: "processing",
    DealState.SEALING: "sealing",
    DealState.ACTIVE: "complete",
    DealState.ENDED: "complete",
    DealState.FAILED: "failed",
}
"""Source: filecoin-project/curio market/mk20/types.go DealState."""


def status_word(row: Deal) -> str:
    """Return a deal's state in market 2.0's words."""
    is_awaited = row.piece is None or row.piece.state == PieceState.UPLOADING
    if row.state in WITHOUT_DATA and row.source == DealSource.PUT and is_awaited and not row.is_whole:
        return UPLOADING
    return STATUS_WORDS[DealState(row.state)]


@door("POST")
def deal_update(request: HttpRequest, *, client: str, name: str) -> HttpResponse:
    """Compare a proposal with the accepted one, which does not change."""
    row = deal_of_client(ulid_read(name), client=client)
    return _same(request, row, client=client)


def _same(request: HttpRequest, row: Deal, *, client: str) -> HttpResponse:
    """Refuse a proposal that differs from the accepted one.  Raises DealRefused."""
    proposal = proposal_read(document_read(request), client=client)
    if proposal.uuid != row.uuid:
        raise DealRefused("deal ID and proposal ID do not match")
    if proposal.digest != row.digest:
        raise DealRefused("an accepted deal cannot be changed")
    return HttpResponse()


@door("GET")
def products(request: HttpRequest, *, client: str) -> HttpResponse:  # noqa: ARG001  # Django's
    """List the products."""
    return JsonResponse({"products": list(PRODUCTS)})


@door("GET")
def sources(request: HttpRequest, *, client: str) -> HttpResponse:  # noqa: ARG001  # Django's
    """List how data may come."""
    return JsonResponse({"sources": DealSource.values})


@door("GET")
def contracts(request: HttpRequest, *, client: str) -> HttpResponse:  # noqa: ARG001  # Django's
    """List the market contracts that the pool works with: none."""
    return JsonResponse({"contracts": []})


@door("PUT", "POST", a_second=CHUNKS_A_SECOND)
def upload(request: HttpRequest, *, client: str, name: str) -> HttpResponse:
    """Store all bytes of a deal in one body, or note that they are all."""
    row = deal_of_client(ulid_read(name), client=client)
    if request.method == "POST":
        return _finalized(request, row, client=client)
    name = file_name_read(request.headers.get("Content-Disposition", ""))
    deal_upload(row, source=request, by=client_principal_make(row), file_name=name)
    return HttpResponse()


def file_name_read(header: str) -> str:
    """Return the file's name of a Content-Disposition; empty where it has none, or a bad one."""
    try:
        _kind, options = parse_header_parameters(header.encode("latin-1").decode())
    except (LookupError, ValueError):  # an encoding that is none, or not UTF-8
        return ""
    return file_name_or_none(options.get("filename", ""))


def _finalized(request: HttpRequest, row: Deal, *, client: str) -> HttpResponse:
    if request.body.strip():
        _same(request, row, client=client)
    try:
        upload_complete(row)
    except ChunkRefused as refusal:
        return _refusal(400, refusal.reason)
    return HttpResponse()


@door("POST", "GET")
def uploads(request: HttpRequest, *, client: str, name: str) -> HttpResponse:
    """Begin an upload in chunks, or list which of them are here."""
    row = deal_of_client(ulid_read(name), client=client)
    if request.method == "GET":
        return _chunks_listed(row)
    body = document_read(request)
    sizes = [body.get(key) if isinstance(body, dict) else None for key in ("raw_size", "chunk_size")]
    raw_size, chunk_size = (size if isinstance(size, int) else 0 for size in sizes)
    if raw_size < 1 or chunk_size < 1:
        raise DealRefused("raw size and chunk size must be greater than 0")
    chunks_begin(row, raw_size=raw_size, chunk_size=chunk_size)
    return HttpResponse()


def _chunks_listed(row: Deal) -> HttpResponse:
    if row.chunk_size is None:
        return _refusal(425, "upload not initiated")
    found = chunks_received(row)
    missing = sorted({*range(1, row.chunks + 1)} - {*found})
    return JsonResponse(
        {
            "total_chunks": row.chunks,
            "uploaded": len(found),
            "missing": len(missing),
            "uploaded_chunks": found,
            "missing_chunks": missing,
        }
    )


@door("PUT", a_second=CHUNKS_A_SECOND)
def chunk(request: HttpRequest, *, client: str, name: str, number: int) -> HttpResponse:
    """Store one chunk."""
    if request.headers.get("Content-Type", "") != "application/octet-stream":
        return _refusal(400, "invalid content type")
    chunk_upload(deal_of_client(ulid_read(name), client=client), number=number, source=request)
    return HttpResponse()


@door("POST")
def uploads_finalize(request: HttpRequest, *, client: str, name: str) -> HttpResponse:
    """Note that all chunks are here."""
    return _finalized(request, deal_of_client(ulid_read(name), client=client), client=client)


urlpatterns = [
    path("deal", deal, name="mk20-deal"),
    path("status/<str:name>", deal_status, name="mk20-status"),
    path("update/<str:name>", deal_update, name="mk20-update"),
    path("products", products, name="mk20-products"),
    path("sources", sources, name="mk20-sources"),
    path("contracts", contracts, name="mk20-contracts"),
    path("upload/<str:name>", upload, name="mk20-upload"),
    path("uploads/finalize/<str:name>", uploads_finalize, name="mk20-uploads-finalize"),
    path("uploads/<str:name>", uploads, name="mk20-uploads"),
    path("uploads/<str:name>/<int:number>", chunk, name="mk20-chunk"),
]
