"""Wallets that the pool connects to: the form, and what a person does with one."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.object_fields import Found
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_evident, tenant_resolve
from apps.wallets.services.remote_wallets import remote_wallet_add, remote_wallet_remove, remote_wallet_set


class RemoteWalletForm(PageForm):
    """A wallet that the pool connects to."""

    name = Text()
    url = Text()
    token = Text()
    tenant = Found(tenant_resolve)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def remote_wallet_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form, and add the wallet: whoever adds one lets its keys sign for a tenant."""
    if not viewer.may("admin"):
        raise Http404
    form = RemoteWalletForm.of(request, viewer, tenant=request.GET.get("tenant", tenant_evident(viewer)))
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            remote_wallet_add(principal=viewer, **form.cleaned_data)
            return redirect("gateway")
    tenants = picker(viewer, "tenant", value=form.typed["tenant"]) if viewer.is_operator else None
    return form_render(
        request,
        viewer,
        "gateway/connect.html",
        form,
        title=_("Connect a wallet"),
        section="gateway",
        tenants=tenants,
    )


@require_POST
@sign_in_required
def remote_wallet_act(request: HttpRequest, viewer: Principal, uuid: UUID, op: str) -> HttpResponse:
    """Switch a wallet off or on, or remove it."""
    if op not in ("off", "on", "remove") or not viewer.may("admin"):
        raise Http404
    if op != "off" and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if op == "remove":
        remote_wallet_remove(principal=viewer, uuid=uuid)
    else:
        remote_wallet_set(principal=viewer, uuid=uuid, is_enabled=op == "on")
    return redirect("gateway")


urlpatterns: Final = [
    path("gateway/connect/", remote_wallet_new, name="remote-wallet-new"),
    path("gateway/wallets/<uuid:uuid>/<str:op>/", remote_wallet_act, name="remote-wallet-act"),
]
