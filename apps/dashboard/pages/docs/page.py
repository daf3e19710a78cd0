"""The repository's documents as pages, for everybody: no session is read, no cookie set, no script loaded.

They hold no secret and read no database, so an operator who is signed in can open them while it is offline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from apps.dashboard.languages import without_session
from apps.dashboard.pages.docs.documents import document_page, documents_search, pictures

if TYPE_CHECKING:
    from django.http import HttpRequest

PICTURE_S: Final = 3_600
"""How long a browser keeps a picture."""


@without_session
@require_safe
def docs(request: HttpRequest, name: str = "") -> HttpResponse:
    """Show a document; with `q`, the sections of all documents that have its words."""
    text = request.GET.get("q", "").strip()[:200]
    if text and not name:
        return render(request, "docs/search.html", {"text": text, "matches": documents_search(text)})
    try:
        page = document_page(name)
    except (KeyError, FileNotFoundError):
        raise Http404 from None
    return render(request, "docs/page.html", {"page": page, "text": ""})


@without_session
@require_safe
def picture(_request: HttpRequest, name: str) -> HttpResponse:
    """Return a picture of the documents."""
    if name not in pictures():
        raise Http404
    response = HttpResponse(pictures()[name].read_bytes(), content_type="image/png")
    patch_cache_control(response, public=True, max_age=PICTURE_S)
    return response


urlpatterns: Final = [
    path("docs/", docs, name="docs"),
    path("docs/screens/<str:name>", picture, name="docs-picture"),
    path("docs/<path:name>/", docs, name="docs-page"),
]
