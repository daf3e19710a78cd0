"""Tenants: the list, and a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.core.formatting import plural
from apps.core.languages import sentence_text
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import ROWS, cursor_read, page_of
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_count, tenants_listed
from apps.users.services.tenant_management import can_manage_tenants, tenant_add

if TYPE_CHECKING:
    from apps.users.models import Tenant


def tenant_label(tenant: Tenant) -> StateLabel:
    """Return in words whether a tenant is let in."""
    return StateLabel("ok", _("enabled")) if tenant.enabled else StateLabel("idle", _("disabled"), "off")


@require_safe
@sign_in_required
def tenants(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list."""
    after = cursor_read(request.GET.get("after", ""), of="tenants")
    shown, pager = page_of(
        tenants_listed(viewer, after=after, limit=ROWS + 1),
        of="tenants",
        cursor_of=lambda row: row.name,
        query={},
        is_first=not after,
    )
    return page_render(
        request,
        "tenants/list.html",
        title=_("Tenants"),
        section="tenants",
        data=PageData(viewer),
        tenants=[(row, tenant_label(row)) for row in shown],
        pager=pager,
        verdict=verdict_of(viewer),
        may_make=can_manage_tenants(viewer),
    )


def verdict_of(viewer: Principal) -> Verdict:
    """Return in one sentence who is there and who is shut out."""
    count, shut = tenants_count(viewer)
    rest = (
        gettext("{shut} of them disabled.").format(shut=shut)
        if shut
        else gettext("All enabled.")
        if count
        else ""
    )
    return Verdict(sentence_text(plural(count, "tenant")), rest)


class NewTenantForm(PageForm):
    """A new tenant."""

    blamed = "name"
    name = Text()
    comment = Text()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def tenant_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for name and comment, and make the tenant."""
    if not can_manage_tenants(viewer):
        raise Http404
    form = NewTenantForm.of(request)
    if form.is_valid():
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            return redirect("tenant", tenant_add(principal=viewer, **form.cleaned_data).uuid)
    return form_render(request, viewer, "tenants/new.html", form, title=_("New tenant"), section="tenants")


NAV: Final = NavItem("tenants", _("Tenants"), "tenants", place=(2, 3))


urlpatterns: Final = [
    path("tenants/", tenants, name="tenants"),
    path("tenants/new/", tenant_new, name="tenant-new"),
]
