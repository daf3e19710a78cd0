"""Adding a key that is kept offline, and removing it; only an operator does."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.object_fields import Address, Found
from apps.dashboard.pages.offline.page import offline_page
from apps.dashboard.pages.offline.rows import may_name
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.messages.selectors.offline import offline_key_require
from apps.messages.services.offline import offline_key_add, offline_key_remove
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_evident, tenant_resolve


class OfflineKeyForm(PageForm):
    """A key that no signer holds."""

    address = Address(required=True)
    label = Text()
    tenant = Found(tenant_resolve)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def key_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form, and add the key."""
    if not may_name(viewer):
        raise Http404
    form = OfflineKeyForm.of(request, viewer, tenant=tenant_evident(viewer))
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            offline_key_add(principal=viewer, **form.cleaned_data)
            return redirect("offline")
    return form_render(
        request,
        viewer,
        "offline/key_new.html",
        form,
        title=_("Add an offline key"),
        section="messages",
        tenants=picker(viewer, "tenant", value=form.typed["tenant"]),
    )


@require_POST
@sign_in_required
def key_remove(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Remove the mark of an offline key, after a confirmation; a connected signer signs for it then."""
    if not may_name(viewer):
        raise Http404
    try:
        offline_key_require(viewer, address)
        if not is_confirm_submitted(request):
            question = ConfirmPage(
                title=_("Remove offline key"),
                text=gettext(
                    "Messages from {address} then wait for a connected signer that holds the key."
                ).format(address=address),
                label=_("Remove offline key"),
                back=reverse("offline"),
                page=_("Offline signing"),
                section="messages",
            )
            return confirm_page_render(request, viewer, question)
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        offline_key_remove(principal=viewer, address=address)
    except DomainError as refusal:
        return offline_page(request, viewer, wrong=refusal_text(refusal))
    return redirect("offline")


urlpatterns: Final = [
    path("offline/new/", key_new, name="offline-key-new"),
    path("offline/<str:address>/remove/", key_remove, name="offline-key-remove"),
]
