"""Addresses of the pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from apps.dashboard.registry import page_addresses

urlpatterns: list[URLPattern | URLResolver] = [*page_addresses()]
