"""Documentation: the pages of the repository's documents, for everybody, without session, cookie or script.

They hold no secret and ask nothing of the database, so they can also be read while it is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from apps.dashboard.pages.docs.documents import document_page, documents_search, pictures

if TYPE_CHECKING:
    from django.http import HttpRequest

PICTURE_S: Final = 3_600
"""How long a browser keeps a picture."""


@require_safe
def docs(request: HttpRequest, name: str = "") -> HttpResponse:
    """Show a document; with `q`, the sections of all of them that have its words."""
    text = request.GET.get("q", "").strip()[:200]
    if text and not name:
        found = documents_search(text)
        return render(request, "docs/search.html", {"text": text, "found": found})
    try:
        page = document_page(name)
    except KeyError:
        raise Http404 from None
    return render(request, "docs/page.html", {"page": page, "text": ""})


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
