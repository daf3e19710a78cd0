"""Wallets: addresses with balances and signers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from apps.core.errors import NotFound
from apps.dashboard import numbers
from apps.dashboard.frame import page_render
from apps.dashboard.people import for_people
from apps.dashboard.regions.scene import Scene
from apps.dashboard.regions.wallets import list_verdict_of, record_lines, wallet_lines
from apps.wallets.models import Wallet
from apps.wallets.selectors import wallet_get
from apps.wallets.services.sign import wallet_label

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal

LABEL_MAX: Final = Wallet._meta.get_field("label").max_length or 60


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


@require_http_methods(["GET", "HEAD", "POST"])
@for_people
def rename(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Ask for a wallet's name, which every page shows in the place of its address."""
    try:
        wallet = wallet_get(viewer, address)
    except NotFound:
        raise Http404 from None
    if not viewer.may("write") or not (viewer.is_operator or wallet.tenant_id == viewer.own_id):
        raise Http404
    label, error = wallet.label, ""
    if request.method == "POST":
        label = request.POST.get("label", "").strip()
        if len(label) <= LABEL_MAX and label.isprintable():
            wallet_label(principal=viewer, wallet=wallet, label=label)
            return redirect("wallets")
        error = f"{LABEL_MAX} letters at most, all of them visible"
    return page_render(
        request,
        "wallets/name.html",
        title="Name a wallet",
        section="wallets",
        page_key="",
        scene=Scene(viewer),
        status=422 if error else 200,
        wallet=wallet,
        short=numbers.shortened(wallet.address),
        label=label,
        label_max=LABEL_MAX,
        error=error,
    )
