"""HTTP addresses of the machine interfaces."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from apps.api.ipfs_gateway import ipfs_retrieve
from apps.api.ipni_provider import advertisement
from apps.api.pagerduty import pagerduty_event
from apps.api.piece_gateway import piece_retrieve
from apps.api.piece_store import piece_store
from apps.api.schema import DocsView, MarketDocs, MarketJson, MarketYaml, SchemaView

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("apps.api.v1.urls")),
    path("api/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/docs/", DocsView.as_view(), name="api-docs"),
    path("ipni-provider/<str:peer_id>/ipni/v1/ad/<str:name>", advertisement, name="ipni-advertisement"),
    path("market/mk20/info/", MarketDocs.as_view(), name="mk20-info"),
    path("market/mk20/info/swagger.json", MarketJson.as_view(), name="mk20-swagger-json"),
    path("market/mk20/info/swagger.yaml", MarketYaml.as_view(), name="mk20-swagger-yaml"),
    path("market/mk20/", include("apps.api.mk20.views")),
    path("pagerduty/<uuid:channel>", pagerduty_event, name="pagerduty-event"),
    path("piece/<str:cid>", piece_retrieve, name="piece-retrieve"),
    path("ipfs/<str:cid>", ipfs_retrieve, name="ipfs-retrieve"),
    path("ipfs/<str:cid>/<path:path>", ipfs_retrieve, name="ipfs-retrieve-path"),
    path("piecestore/<str:name>", piece_store, name="piece-store"),
    path("", include("apps.api.auth.urls")),
]
