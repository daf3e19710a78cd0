"""Wallets: addresses with balances and signers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from apps.core import formatting
from apps.core.errors import NotFound
from apps.dashboard.fragments.wallets import list_verdict_of, record_rows, wallet_rows
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.sessions import sign_in_required
from apps.wallets.models import Wallet
from apps.wallets.selectors import wallet_get
from apps.wallets.services.sign import wallet_label

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from apps.users.principals import Principal

LABEL_MAX: Final = Wallet._meta.get_field("label").max_length or 60


@require_safe
@sign_in_required
def wallets(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """The list, lowest balance first, and the latest signatures."""
    data = PageData(viewer)
    return page_render(
        request,
        "wallets/list.html",
        title="Wallets",
        section="wallets",
        page_key="wallets",
        data=data,
        wallets=wallet_rows(data.wallets, data),
        records=record_rows(data),
        verdict=list_verdict_of(data),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
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
        data=PageData(viewer),
        status=422 if error else 200,
        wallet=wallet,
        short=formatting.shortened(wallet.address),
        label=label,
        label_max=LABEL_MAX,
        error=error,
    )
