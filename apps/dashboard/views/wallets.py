"""Wallets: addresses with balances and signers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.views.decorators.http import require_safe

from apps.dashboard.frame import page_render
from apps.dashboard.people import for_people
from apps.dashboard.regions.scene import Scene
from apps.dashboard.regions.wallets import list_verdict_of, record_lines, wallet_lines

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal


@require_safe
@for_people
def wallets(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, lowest balance first, and the latest signatures."""
    scene = Scene(viewer)
    return page_render(
        request,
        "wallets/list.html",
        title="Wallets",
        section="wallets",
        page_key="wallets",
        scene=scene,
        wallets=wallet_lines(scene.wallets, scene),
        records=record_lines(scene),
        verdict=list_verdict_of(scene),
    )
