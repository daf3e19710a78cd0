"""The scope over REST: a tenant, a miner, or both, under the names that the pages of the console have."""

from __future__ import annotations

from typing import Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from apps.miners.selectors.scope import SCOPE

SCOPE_PARAMETERS: Final = [
    OpenApiParameter("tenant", description="name of a tenant: what it has alone"),
    OpenApiParameter("miner", description="address of a miner: what is its own alone"),
]


def scope_asked(request: Request) -> dict[str, str]:
    """Return what a request is narrowed to."""
    return {name: text for name in SCOPE if (text := request.query_params.get(name, "").strip())}
