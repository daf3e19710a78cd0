"""HTTP addresses of the machine interfaces."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

import apps.api.schema  # noqa: F401  # the generator finds our ways to authenticate once they are loaded
from apps.api.piece_store import piece_store
from apps.api.rpc.transport.http import rpc

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("apps.api.v1.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("rpc/<str:version>", rpc, name="rpc"),
    path("piecestore/<str:name>", piece_store, name="piece-store"),
    path("", include("apps.api.auth.urls")),
]
