"""Tenants: the list, and a new one."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import sentence_text
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import page_in_turn
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import TenantFilters, tenants_count, tenants_listed
from apps.users.services.tenant_management import can_manage_tenants, tenant_add

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.users.models import Tenant


def tenant_label(tenant: Tenant) -> StateLabel:
    """Return in words whether a tenant is let in."""
    return StateLabel("ok", _("enabled")) if tenant.enabled else StateLabel("idle", _("disabled"), "off")


def verdict(data: PageData) -> Verdict:
    """Return in one sentence who is there and who is shut out."""
    count, shut = tenants_count(data.viewer)
    rest = (
        gettext("{shut} of them disabled.").format(shut=shut)
        if shut
        else gettext("All enabled.")
        if count
        else ""
    )
    return Verdict(sentence_text(plural(count, "tenant")), rest)


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    if data.viewer.sees_pool:
        yield Link(_("Use of the pool"), reverse("tenants-use"))
    if can_manage_tenants(data.viewer):
        yield Link(_("New tenant…"), reverse("tenant-new"), icon="plus", kind="primary")


def name(tenant: Tenant) -> SafeString:
    """Return what a tenant is called, and what was noted of it."""
    return cells.joined(
        cells.link(reverse("tenant", args=[tenant.uuid]), tenant.name), cells.sub(tenant.comment)
    )


def _counted(key: str, head: StrOrPromise) -> Column:
    count = attrgetter(f"{key}_count")
    return Column(
        head=head, cell=lambda row: formatting.whole(count(row)), css="num", key=key, by=f"{key}_count"
    )


TENANTS: Final = ListPage(
    name="tenants",
    one="tenant",
    title=_("Tenants"),
    table=_("Table of tenants"),
    caption=_("Tenants by name"),
    icon="tenants",
    rows=lambda data: tenants_listed(data.viewer),
    page=page_in_turn,
    lay_out=lambda rows, _data: rows,
    id_of=attrgetter("pk"),
    tone_of=lambda _row: "",
    verdict=verdict,
    links=links,
    filters=TenantFilters,
    search=_("Name or comment"),
    none=Empty(_("No matching tenants"), _("No tenant has that in its name or comment.")),
    empty=lambda _data: Empty(
        _("No tenants yet"),
        _("A tenant owns miners, signers, people and tokens; tenants are isolated from each other."),
    ),
    columns=(
        Column(head=_("Tenant"), cell=name, is_name=True, key="name", by="name"),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(tenant_label(row)),
            css="tight c-state",
            is_plain=True,
            key="state",
            by="enabled",
        ),
        _counted("miners", _("Miners")),
        _counted("signers", _("Addresses")),
        _counted("people", _("People")),
        Column(
            head=_("Rate limits"),
            cell=lambda row: formatting.whole(row.rates_count) if row.rates_count else gettext("no limit"),
            css="num",
            key="rates",
            by="rates_count",
        ),
        Column(
            head=_("Since"),
            cell=lambda row: time_html(row.created_at),
            css="keep",
            key="since",
            by="created_at",
        ),
    ),
)


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


NAV: Final = NavItem("tenants", _("Tenants"), "tenants", place=(7, 1), jump="k")


urlpatterns: Final = [
    *TENANTS.urls,
    path("tenants/new/", tenant_new, name="tenant-new"),
]
