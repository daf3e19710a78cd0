"""What a person does with one piece: unseal it, remove it, set its purpose."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.pages.pieces.listing import pieces_show
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.pieces.selectors import upload_get
from apps.pieces.services.indexes import index_renew
from apps.pieces.services.uploads import piece_purpose_set, piece_remove
from apps.sectors.services.runs.unsealing import unseal_request
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.pieces.models import Piece


def _acted(
    request: HttpRequest, viewer: Principal, key: uuid.UUID, action: Callable[[Piece], Any]
) -> HttpResponse:
    piece = upload_get(viewer, str(key))
    try:
        action(piece)
    except DomainError as refusal:
        return pieces_show(request, viewer, error=refusal_text(refusal))
    return redirect("pieces")


def removal_question(piece: Piece) -> ConfirmPage:
    """Write the question before a piece is removed."""
    name = piece.file_name or formatting.shortened(piece.piece_cid or piece.announced_cid) or str(piece.uuid)
    return ConfirmPage(
        gettext("Remove {piece}").format(piece=name),
        gettext("Its data are deleted here and are sealed into no sector. To seal it later, send it again."),
        gettext("Remove"),
        back=reverse("pieces"),
        page=gettext("Pieces"),
        section="pieces",
    )


@require_POST
@sign_in_required
def unseal(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Unseal a piece of which no copy is kept."""
    return _acted(request, viewer, key, lambda piece: unseal_request(piece, now=now()))


@require_POST
@sign_in_required
def remove(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Remove a piece that is in no sector, once it was asked what that means."""
    if not viewer.may("write"):
        raise Http404
    if not is_confirm_submitted(request):
        return confirm_page_render(request, viewer, removal_question(upload_get(viewer, str(key))))
    return _acted(request, viewer, key, lambda piece: piece_remove(piece, by=viewer))


@require_POST
@sign_in_required
def purpose(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Set into which sectors a piece goes."""
    if not viewer.may("write"):
        raise Http404
    wanted = request.POST.get("purpose", "")
    return _acted(request, viewer, key, lambda piece: piece_purpose_set(piece, purpose=wanted, by=viewer))


@require_POST
@sign_in_required
def index(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Have its blocks indexed anew."""
    if not viewer.may("write"):
        raise Http404
    return _acted(request, viewer, key, lambda piece: index_renew(piece, by=viewer))


urlpatterns: Final = [
    path("pieces/<uuid:key>/unseal/", unseal, name="piece-unseal"),
    path("pieces/<uuid:key>/purpose/", purpose, name="piece-purpose"),
    path("pieces/<uuid:key>/index/", index, name="piece-index"),
    path("pieces/<uuid:key>/remove/", remove, name="piece-remove"),
]
