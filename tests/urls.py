"""The site's addresses for Django's test client, with JSON-RPC, which web processes answer before Django."""

from __future__ import annotations

from django.urls import path

from poolsite.urls import handler400, handler404, handler500
from poolsite.urls import urlpatterns as site
from tests.rpc_view import rpc

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]

urlpatterns = [path("rpc/<str:version>", rpc, name="rpc"), *site]
