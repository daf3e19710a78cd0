"""Addresses of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.dashboard.registry import page_addresses

if TYPE_CHECKING:
    from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = [*page_addresses()]
